"""The control channel between the supervisor and one worker: messages over a socket pair.

A message is a JSON object with a key "is" that names its kind, and optional bytes beside it. On
the wire: two lengths (32 bit, network order), the JSON, the bytes. Both ends are ours, so a
malformed message is a programming error; the limits only keep such an error from eating memory.

    supervisor → worker   plan (with the payload), drain
    worker → supervisor   ready, failed, draining, drained

Questions and their answers go over it too: `proxy.server.asking`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from typing import Any

_LENGTHS = struct.Struct("!II")
_MOST_JSON = 1 << 20  # a report of every listener is a few KiB
_MOST_PAYLOAD = 64 << 20  # a configuration is a few KiB; this is only a guard

Message = Mapping[str, Any]


class Channel:
    """One end of the control channel. `aclose` when done; the other end then sees the end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Channel:
        """A channel over one end of a socket pair, which it owns from here on."""
        end.setblocking(False)
        return cls(*await asyncio.open_unix_connection(sock=end))

    async def send(self, message: Message, payload: bytes = b"") -> None:
        """Sends one message; raises `ConnectionError` when the other end is gone."""
        self.post(message, payload)
        await self._writer.drain()

    def post(self, message: Message, payload: bytes = b"") -> None:
        """Sends one message without waiting: for few and small ones, since nothing bounds them."""
        if not self._writer.is_closing():
            text = json.dumps(message).encode()
            self._writer.write(_LENGTHS.pack(len(text), len(payload)) + text + payload)

    async def receive(self) -> tuple[Message, bytes] | None:
        """The next message and its payload, or None when the other end is gone."""
        try:
            text, payload = _LENGTHS.unpack(await self._reader.readexactly(_LENGTHS.size))
            if text > _MOST_JSON or payload > _MOST_PAYLOAD:
                raise ValueError(f"control message of {text} + {payload} bytes")
            message = json.loads(await self._reader.readexactly(text))
            return message, await self._reader.readexactly(payload)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def aclose(self) -> None:
        """Closes this end."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            pass
