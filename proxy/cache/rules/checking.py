"""Check values of what is kept: a CRC64NVME of each block of 64 KiB, and one over those of a slice.

Pure. Blocks and not whole slices, so that a hundred bytes of a slice are checked by reading 64 KiB;
and each time they are read from disk, since that costs 0.02 s of processor time a GiB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from awscrt import checksums as crt

BLOCK: Final = 64 * 1024
WIDTH: Final = 8

Buffer = bytes | memoryview


def sum_of(buffer: Buffer) -> bytes:
    """The check value of some bytes."""
    return int(crt.crc64nvme(buffer, 0)).to_bytes(WIDTH, "big")


class BlockSums:
    """The check values of the blocks of a slice that comes in buffers of any size."""

    __slots__ = ("_filled", "_sums", "_value")

    def __init__(self) -> None:
        self._sums: list[bytes] = []
        self._value = 0
        self._filled = 0

    def update(self, buffer: bytes) -> None:
        """Takes the next bytes of the slice."""
        rest = memoryview(buffer)
        while rest:
            piece = rest[: BLOCK - self._filled]
            self._value = crt.crc64nvme(piece, self._value)
            self._filled += len(piece)
            rest = rest[len(piece) :]
            if self._filled == BLOCK:
                self._end_block()

    def table(self) -> bytes:
        """The check values of all blocks, one after the other. No more bytes may follow."""
        if self._filled:
            self._end_block()
        return b"".join(self._sums)

    def _end_block(self) -> None:
        self._sums.append(self._value.to_bytes(WIDTH, "big"))
        self._value = self._filled = 0


def agree(blocks: Buffer, table: bytes, first: int) -> bool:
    """Whether consecutive whole blocks, of which the first has number `first`, are those of the
    table. The last of a slice may be shorter."""
    view = memoryview(blocks)
    expected = memoryview(table)[first * WIDTH :]
    for start in range(0, len(view), BLOCK):
        at = start // BLOCK * WIDTH
        if sum_of(view[start : start + BLOCK]) != expected[at : at + WIDTH]:
            return False
    return True


def blocks_in(length: int) -> int:
    """How many blocks so many bytes have."""
    return -(-length // BLOCK)


def combined(tables: Sequence[tuple[bytes, int]]) -> bytes:
    """The CRC64NVME of slices one after the other, each given by its table and its length."""
    total = 0
    for table, length in tables:
        for start in range(0, len(table), WIDTH):
            size = min(BLOCK, length - start // WIDTH * BLOCK)
            value = int.from_bytes(table[start : start + WIDTH], "big")
            total = crt.combine_crc64nvme(total, value, size)
    return total.to_bytes(WIDTH, "big")
