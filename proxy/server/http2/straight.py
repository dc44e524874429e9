"""Bytes of a file that go straight to the transport, framed where they were read.

For a stream that has its connection for itself, so that there is nothing to put into order: the
bytes are read into the places between the headers of their frames, and nothing is joined. A frame
is a record of TLS long, and four of them leave in one packet.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
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


async def in_turns(
    owner: Direct, stream: Stream, file: FileToSend, left: int
) -> AsyncGenerator[int, None]:
    """Sends at most so many bytes as long as they go straight; gives how many did each time."""
    share = 0
    while left:
        if not file.is_near(min(left, AHEAD)):
            await file.look(min(left, AHEAD))
        sent = owner.send_straight(stream, file, left)
        if not sent:
            return
        left, share = left - sent, share + sent
        file.passed(sent)
        yield sent
        if share >= _FAIR_SHARE:
            share = 0
            await asyncio.sleep(0)


class FramedScratch:
    """A buffer for a whole event loop, as `Scratch`, with places for frames."""

    def __init__(self) -> None:
        self._scratch = Scratch(_FRAMES * FRAME)
        self._places = self._divide()

    def _divide(self) -> list[memoryview]:
        whole = self._scratch.view(self._scratch.size)
        starts = range(frames.HEADER_SIZE, len(whole), FRAME)
        return [whole[start : start + PAYLOAD] for start in starts]

    def read(self, file: FileToSend, stream_id: int, size: int, left: int) -> memoryview:
        """Reads at most so many of the next bytes (MOST or fewer), which are known to be in memory;
        `left` are to come in all. Returns the DATA frames they are in, none of which is the last.
        """
        full, rest = divmod(size, PAYLOAD)
        places = self._places[:full]
        if rest:
            places.append(self._places[full][:rest])
        full, rest = divmod(file.read_into(places, left), PAYLOAD)
        view, end = self._scratch.view(self._scratch.size), full * FRAME
        header = frames.frame_header(PAYLOAD, frames.DATA, 0, stream_id)
        for at in range(0, end, FRAME):
            view[at : at + frames.HEADER_SIZE] = header
        if rest:
            start = end + frames.HEADER_SIZE
            view[end:start] = frames.frame_header(rest, frames.DATA, 0, stream_id)
            end = start + rest
        return view[:end]

    def give_away(self) -> None:
        """As `Scratch.give_away`."""
        self._scratch.give_away()
        self._places = self._divide()


def content_of(size: int) -> int:
    """How many bytes of a file are in so many bytes of such frames, all of them whole."""
    full, rest = divmod(size, FRAME)
    return full * PAYLOAD + max(0, rest - frames.HEADER_SIZE)
