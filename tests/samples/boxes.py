"""Reads what the muxer and the encoder wrote, from the standards and not from their code."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf"}


class Box(NamedTuple):
    """A box: its content is file[start:end]."""

    kind: bytes
    start: int
    end: int


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """All boxes from `start` to `end`, each container before what is in it."""
    end = len(data) if end is None else end
    while start < end:
        length, kind = struct.unpack_from(">I4s", data, start)
        header = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start + 8)
            header = 16
        assert header <= length <= end - start, f"{kind!r} at {start} is {length} long"
        yield Box(kind, start + header, start + length)
        if kind in CONTAINERS:
            yield from boxes(data, start + header, start + length)
        start += length


def find(data: bytes, kind: bytes) -> bytes:
    """The content of the one box of this kind."""
    (found,) = (box for box in boxes(data) if box.kind == kind)
    return data[found.start : found.end]


def numbers(content: bytes, skip: int = 8, form: str = "I") -> list[int]:
    """The numbers of a table, after version, flags and count."""
    size = struct.calcsize(form)
    return list(struct.unpack(f">{(len(content) - skip) // size}{form}", content[skip:]))


def sample_places(data: bytes) -> list[tuple[int, int]]:
    """(offset, size) of every sample, by stsc, stco and stsz."""
    runs = numbers(find(data, b"stsc"))
    table = {runs[i]: runs[i + 1] for i in range(0, len(runs), 3)}
    sizes = iter(numbers(find(data, b"stsz"), 12))
    places, count = [], 0
    for chunk, offset in enumerate(numbers(find(data, b"stco")), 1):
        count = table.get(chunk, count)
        for _ in range(count):
            size = next(sizes)
            places.append((offset, size))
            offset += size  # noqa: PLW2901  # within a chunk, samples follow each other
    assert next(sizes, None) is None, "more sizes than samples in chunks"
    return places


class Bits:
    """Reads the payload of a NAL unit bit by bit, emulation prevention taken out."""

    def __init__(self, nal: bytes) -> None:
        self._data = nal[1:].replace(b"\0\0\3", b"\0\0")
        self.place = 0

    def u(self, count: int) -> int:
        value = 0
        for _ in range(count):
            byte = self._data[self.place // 8]
            value = value << 1 | byte >> 7 - self.place % 8 & 1
            self.place += 1
        return value

    def ue(self) -> int:
        zeros = 0
        while not self.u(1):
            zeros += 1
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)

    def align(self) -> None:
        while self.place % 8:
            assert self.u(1) == 0, "pcm_alignment_zero_bit"

    def bytes(self, count: int) -> bytes:
        assert self.place % 8 == 0
        start = self.place // 8
        self.place += 8 * count
        return self._data[start : start + count]

    def more(self) -> bool:
        """more_rbsp_data: whether anything but the stop bit and its zeros is left."""
        last = len(self._data) - 1
        while not self._data[last]:
            last -= 1
        low = self._data[last] & -self._data[last]
        return self.place < 8 * last + 8 - low.bit_length()
