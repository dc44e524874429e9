"""Slices filled from an origin in memory, by this process or one of its own.

`python -m tests.cache.fillers ROOT LENGTH WIDTH PAUSE INDEX…` waits for a line, reads those slices
one after the other, from an origin that pauses for so many seconds before each buffer, and prints
what it counted.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from time import time

from proxy.cache.disk.disk import Disk
from proxy.cache.disk.files import Files
from proxy.cache.disk.format import Head
from proxy.cache.disk.watching import FileWatcher
from proxy.cache.filling.entry import Entry
from proxy.cache.filling.filling import Filler, Source
from proxy.cache.memory.growing import Slice
from proxy.cache.memory.memory import Memory
from proxy.cache.rules.naming import object_name
from proxy.cache.rules.slices import slice_span
from proxy.origins.base import WHOLE, OpenObject, Origin, Want
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.semantics.representation import Span
from tests.cache.samples import bytes_of

KEY = "a/key"
NAME = object_name("store", KEY)
BUFFER = 1000


class Paced:
    """An origin that waits before each buffer: for a turn of the event loop, for `pause` seconds,
    or, from the buffer number `stops_at` on, until `gate` is set.

    Attributes:
        opened: what was opened, by the wants.
        open: how many objects are open.
        bytes: how many were given.
    """

    def __init__(self, body: bytes, pause: float = 0.0) -> None:
        self.memory = MemoryOrigin({KEY: StoredObject(body)}, buffer_size=BUFFER)
        self.pause = pause
        self.stops_at: int | None = None
        self.gate = asyncio.Event()
        self.opened: list[Want] = []
        self.now_open = 0
        self.bytes = 0

    async def start(self) -> None:
        await self.memory.start()

    async def open(self, key: str, want: Want = WHOLE) -> OpenObject:
        self.opened.append(want)
        await asyncio.sleep(0)
        opened = await self.memory.open(key, want)
        self.now_open += 1
        return _Paced(self, opened)

    async def aclose(self) -> None:
        await self.memory.aclose()


class _Paced:
    def __init__(self, origin: Paced, opened: OpenObject) -> None:
        self._origin, self._opened = origin, opened
        self._is_open = True
        self.representation = opened.representation

    async def read(self, span: Span) -> AsyncGenerator[bytes, None]:
        origin, number = self._origin, 0
        async with aclosing(self._opened.read(span)) as buffers:
            async for buffer in buffers:
                if origin.stops_at is not None and number >= origin.stops_at:
                    await origin.gate.wait()
                await asyncio.sleep(origin.pause)
                number += 1
                origin.bytes += len(buffer)
                yield buffer

    async def aclose(self) -> None:
        self._origin.now_open -= self._is_open
        self._is_open = False
        await asyncio.sleep(0)


def an_entry(body: bytes, width: int) -> Entry:
    """The entry of the object in the origin."""
    return Entry(NAME, Head("store", KEY, width, time(), StoredObject(body).representation))


class Setting:
    """A filler with all it works on."""

    def __init__(self, origin: Origin, body: bytes, width: int, disk: Disk | None) -> None:
        self.origin, self.body, self.width, self.disk = origin, body, width, disk
        self.entry = an_entry(body, width)
        self.memory = Memory(2**24)
        self.changed: list[Entry] = []
        self.filler = Filler(self.memory, disk, self._change, self._seal)

    def _change(self, entry: Entry) -> None:
        self.changed.append(entry)
        entry.dropped = True
        for name in self.memory.names():
            self.memory.discard(name)

    def _seal(self, entry: Entry, sums: tuple[bytes, ...], algorithm: str) -> None:
        entry.head = replace(entry.head, seal=sums, sealed_by=algorithm)

    async def get(self, index: int, opened: OpenObject | None = None) -> Source | None:
        return await self.filler.get(self.origin, self.entry, index, opened)

    async def slice(self, index: int) -> Slice:
        """One that is growing, or whole in memory."""
        found = await self.get(index)
        assert isinstance(found, Slice)
        return found

    def right(self, index: int) -> bytes:
        """What a slice has to be."""
        span = slice_span(index, len(self.body), self.width)
        return self.body[span.start : span.stop]

    async def read(self, index: int) -> bytes:
        found = await self.get(index)
        assert found is not None
        return await read(found, self.entry.length_of(index))

    async def done(self) -> None:
        """When nothing is on its way any more."""
        async with asyncio.timeout(60):
            while self.filler._looking or self.filler._filling:
                await asyncio.sleep(0.001)

    def path(self, index: int) -> Path:
        """Of a slice that is whole."""
        assert self.disk is not None
        return Path(self.disk.files.path(self.entry.slice_name(index)))

    def temporary(self, index: int) -> Path:
        """Of one that is on its way."""
        assert self.disk is not None
        return Path(self.disk.files.temporary(self.entry.slice_name(index)))


async def read(source: Source, stop: int, start: int = 0, pause: int = 0) -> bytes:
    """Bytes of a slice, letting others go on `pause` times after each buffer."""
    got = b""
    async with aclosing(source.read(start, stop)) as buffers:
        async for buffer in buffers:
            got += buffer
            for _ in range(pause):
                await asyncio.sleep(0)
    return got


@asynccontextmanager
async def setting(
    root: Path | None, body: bytes, width: int, origin: Origin | None = None
) -> AsyncIterator[Setting]:
    """A filler over a directory, or over none; closed in the end."""
    disk = Disk(Files(str(root)), FileWatcher()) if root is not None else None
    if disk is not None:
        await disk.start()
    made = Setting(origin or Paced(body), body, width, disk)
    try:
        yield made
    finally:
        await made.filler.aclose()
        if disk is not None:
            disk.close()


def begin(
    root: Path, length: int, width: int, pause: float, *orders: list[int]
) -> list[subprocess.Popen[str]]:
    """The same in processes of their own, one for each list of indexes; all begin at once."""
    started = []
    for indexes in orders:
        told = [str(one) for one in (root, length, width, pause, *indexes)]
        command = [sys.executable, "-m", "tests.cache.fillers", *told]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        started.append(process)
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return started


async def _main(root: Path, length: int, width: int, pause: float, indexes: list[int]) -> None:
    body = bytes_of(length)
    async with setting(root, body, width, Paced(body, pause)) as made:
        right = True
        for index in indexes:
            right = right and await made.read(index) == made.right(index)
        await made.done()
        print(json.dumps({"right": right} | asdict(made.filler.counts)), flush=True)


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    asyncio.run(
        _main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]),
              [int(one) for one in sys.argv[5:]])
    )  # fmt: skip
