"""Bytes of a file that go straight to the transport, framed where they were read.

For a stream that has its connection for itself, so that there is nothing to put into order: the
bytes are read into the places between the headers of their frames, and nothing is joined. A frame
is a record of TLS long, and four of them leave in one packet.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from proxy.server.files import AHEAD, FileToSend, Scratch
from proxy.server.http2 import frames
from proxy.server.http2.streams import Stream
from proxy.server.room import RECORD

# A frame with its header, and what is in it. No client may take less (RFC 9113 §6.5.2).
FRAME = RECORD
PAYLOAD = FRAME - frames.HEADER_SIZE
_FRAMES = 16
# Bytes of the file that are read at once, at most.
MOST = _FRAMES * PAYLOAD
# Bytes that go straight to the client before others get their turn.
_FAIR_SHARE = 2**20


class Direct(Protocol):
    """A connection that may write past its schedule."""

    def send_straight(self, stream: Stream, file: FileToSend, left: int) -> int:
        """Reads and writes the next bytes of a file at once; returns how many, which is 0 where
        they have to take their turn."""
        ...

    def room_for(self, stream: Stream) -> int:
        """How many bytes of the stream could be written at once, beyond those that wait."""
        ...


class Straight:
    """What is left of a stretch of a file, as long as it goes straight.

    Attributes:
        left: how many bytes.
    """

    __slots__ = ("_file", "_owner", "_stream", "left")

    def __init__(self, owner: Direct, stream: Stream, file: FileToSend, left: int) -> None:
        self._owner, self._stream, self._file = owner, stream, file
        self.left = left

    def send(self) -> int:
        """Sends what there is room for, if it goes straight; returns how many bytes. The next are
        known to be in memory."""
        sent = self._owner.send_straight(self._stream, self._file, self.left)
        self.left -= sent
        if sent:
            self._file.passed(sent)
        return sent

    def go_on(self) -> bool:
        """A window grew, or there is room: sends at once what there is room for, if any. Returns
        whether that is all for now; if not, `in_turns` has to see to it."""
        total = 0
        while self.left and total < MOST:
            if not self._file.is_near(min(self.left, MOST)):
                if not self._owner.room_for(self._stream):
                    return True
                if not self._file.looks_near(min(self.left, AHEAD)):
                    return False
            try:
                sent = self.send()
            except (OSError, RuntimeError):  # which comes again
                return False
            if not self._owner.room_for(self._stream):
                return self.left > 0
            if not sent:
                return False
            total += sent
        return False

    async def in_turns(self) -> None:
        """Sends as long as it goes straight."""
        share = 0
        while self.left:
            if not self._file.is_near(min(self.left, MOST)):
                await self._file.look(min(self.left, AHEAD))
            sent = self.send()
            if not sent:
                return
            share += sent
            if share >= _FAIR_SHARE:
                share = 0
                await asyncio.sleep(0)


class FramedScratch:
    """A buffer for a whole event loop, as `Scratch`, with places for frames."""

    def __init__(self) -> None:
        self._scratch = Scratch(_FRAMES * FRAME)
        self._divide()

    def _divide(self) -> None:
        self._whole = whole = self._scratch.view(self._scratch.size)
        starts = range(frames.HEADER_SIZE, len(whole), FRAME)
        self._places = [whole[start : start + PAYLOAD] for start in starts]

    def read(self, file: FileToSend, stream_id: int, size: int, left: int) -> memoryview:
        """Reads at most so many of the next bytes (MOST or fewer), which are known to be in memory;
        `left` are to come in all. Returns the DATA frames they are in, none of which is the last.
        """
        full, rest = divmod(size, PAYLOAD)
        places = self._places[:full]
        if rest:
            places.append(self._places[full][:rest])
        count, whole = file.read_into(places, left), self._whole
        if count != size:
            full, rest = divmod(count, PAYLOAD)
        end = full * FRAME
        for at in range(0, end, FRAME):
            frames.put_data_header(whole, at, PAYLOAD, stream_id)
        if rest:
            frames.put_data_header(whole, end, rest, stream_id)
            end += frames.HEADER_SIZE + rest
        return whole[:end]

    def give_away(self) -> None:
        """As `Scratch.give_away`."""
        self._scratch.give_away()
        self._divide()


def content_of(size: int) -> int:
    """How many bytes of a file are in so many bytes of such frames, all of them whole."""
    full, rest = divmod(size, FRAME)
    return full * PAYLOAD + max(0, rest - frames.HEADER_SIZE)
