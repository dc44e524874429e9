"""Field blocks in QPACK (RFC 9204), both ways, without a dynamic table. Pure.

Our settings say that we keep no dynamic table, so that a block means the same wherever and
whenever it comes, no block waits for another, and none costs memory beside its own.
"""

from __future__ import annotations

from functools import lru_cache

from hpack import HPACKDecodingError
from hpack.huffman_table import decode_huffman

from proxy.server.field_blocks import BlockWriter, Compression, integer
from proxy.server.http3.faults import ConnectionFault, ErrorCode
from proxy.server.http3.static_table import STATIC_TABLE
from proxy.server.requests import MOST_FIELDS

Field = tuple[bytes, bytes]

_PER_FIELD = 32  # RFC 9114 §4.2.2
# A client sends the same few strings with each request, and undoing Huffman's code is slow.
_SHORT, _MOST_KNOWN = 256, 1024


class TooLarge(Exception):
    """The fields are more or larger than a head may have; decoding stopped there."""


def read_block(block: bytes, most_bytes: int) -> list[Field]:
    """The fields of a block.

    Args:
        block: with its prefix (§4.5.1).
        most_bytes: of names and values, with 32 for each field (RFC 9114 §4.2.2).

    Raises `TooLarge`, and `ConnectionFault` for what can't be decoded (§2.2.3): whatever refers to
    the dynamic table among it.
    """
    reader = _Reader(block)
    fields: list[Field] = []
    left = most_bytes
    try:
        if reader.integer(8) or reader.base_is_negative():
            raise ConnectionFault(ErrorCode.DECOMPRESSION_FAILED, "there is no dynamic table")
        while reader.more():
            name, value = field = reader.field()
            left -= len(name) + len(value) + _PER_FIELD
            if left < 0 or len(fields) > MOST_FIELDS:
                raise TooLarge
            fields.append(field)
    except (IndexError, HPACKDecodingError):
        raise ConnectionFault(ErrorCode.DECOMPRESSION_FAILED, "a broken field block") from None
    return fields


class _Reader:
    """A block and how far it is read. Methods raise `IndexError` at its end."""

    __slots__ = ("_at", "_block")

    def __init__(self, block: bytes) -> None:
        self._block = block
        self._at = 0

    def more(self) -> bool:
        return self._at < len(self._block)

    def base_is_negative(self) -> bool:
        """§4.5.1.2; with no dynamic table any other will do."""
        negative = bool(self._block[self._at] & 0x80)
        self.integer(7)
        return negative

    def field(self) -> Field:
        """One field line (§4.5)."""
        first = self._block[self._at]
        if first & 0xC0 == 0xC0:  # indexed, in the static table
            return STATIC_TABLE[self.integer(6)]
        if first & 0xD0 == 0x50:  # a literal with a name of the static table
            name, _ = STATIC_TABLE[self.integer(4)]
            return name, self.string(7)
        if first & 0xE0 == 0x20:  # a literal with a literal name
            return self.string(3), self.string(7)
        raise ConnectionFault(ErrorCode.DECOMPRESSION_FAILED, "there is no dynamic table")

    def integer(self, prefix: int) -> int:
        """§4.1.1; more than 28 bits are none of ours."""
        most = (1 << prefix) - 1
        number = self._block[self._at] & most
        self._at += 1
        if number < most:
            return number
        for shift in range(0, 28, 7):
            byte = self._block[self._at]
            self._at += 1
            number += (byte & 127) << shift
            if byte < 128:
                return number
        raise IndexError("too large an integer")

    def string(self, prefix: int) -> bytes:
        """§4.1.2; the bit before the prefix says whether it is in Huffman's code."""
        coded = self._block[self._at] >> prefix & 1
        size = self.integer(prefix)
        begin, self._at = self._at, self._at + size
        if self._at > len(self._block):
            raise IndexError("a string cut short")
        raw = self._block[begin : self._at]
        if not coded:
            return raw
        return _expand_short(raw) if size <= _SHORT else decode_huffman(raw)


@lru_cache(_MOST_KNOWN)
def _expand_short(raw: bytes) -> bytes:
    return decode_huffman(raw)


# --- what goes --------------------------------------------------------------------------------


def _static_names() -> dict[bytes, bytes]:
    names: dict[bytes, bytes] = {}
    for index, (name, _) in enumerate(STATIC_TABLE):
        names.setdefault(name, integer(index, 4, 0x70))
    return names


_STATIC = _static_names()


def _literal_name(name: bytes) -> bytes:
    """A literal that is never indexed begins so (§4.5.4, §4.5.6)."""
    return _STATIC.get(name) or integer(len(name), 3, 0x30) + name


_STATUSES = {
    int(value): integer(index, 6, 0xC0)
    for index, (name, value) in enumerate(STATIC_TABLE)
    if name == b":status"
}

BLOCKS = BlockWriter(Compression(b"\0\0", _literal_name, _STATUSES, "http3"))
