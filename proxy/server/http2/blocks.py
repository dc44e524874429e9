"""Field blocks that come (RFC 7541, HPACK): decoded by hpack, within bounds, and remembered."""

from __future__ import annotations

from hpack import Decoder, HPACKError, OversizedHeaderListError
from hpack.table import HeaderTable

from proxy.server.http2.faults import ConnectionFault, ErrorCode
from proxy.server.http2.fields import Head

Field = tuple[bytes, bytes]

# Blocks of one connection that are remembered, and the size of what is: those of a client that
# asks the same again and again are a few dozen bytes.
_MOST_KNOWN = 32
_LARGEST_KNOWN = 512
# Look-ups in one block, four times the fields a head may have: an indexed field is one byte, and
# costs us microseconds. Fewer are answered with 431, more end the connection.
_MOST_LOOKUPS = 512


class _Table(HeaderTable):
    """hpack's table, which knows how often it was changed and used."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0
        self.lookups = 0

    def add(self, name: bytes, value: bytes) -> None:
        self.changes += 1
        super().add(name, value)

    def get_by_index(self, index: int) -> Field:
        self.lookups += 1
        if self.lookups > _MOST_LOOKUPS:
            raise OversizedHeaderListError("too many fields")
        return super().get_by_index(index)


class BlockReader:
    """Decodes the blocks of one connection.

    A block that was decoded before, while the table is as it was then and the block changed
    nothing in it, says the same again: what was made of it is remembered.

    Args:
        most: bytes of a decoded head with 32 for each field (RFC 9113 §6.5.2), beyond which
            the decoder stops, which ends the connection.
    """

    def __init__(self, most: int) -> None:
        self._table = _Table()
        self._decoder = Decoder(most)
        self._decoder.header_table = self._table
        self._known: dict[bytes, Head] = {}
        self._unchanged = False
        self.cost = 0

    def recall(self, block: bytes) -> Head | None:
        """What `remember` was told of this block, if that still holds."""
        return self._known.get(block)

    def remember(self, block: bytes, head: Head) -> None:
        """Keeps what was made of the block that was decoded last."""
        if self._unchanged and len(block) <= _LARGEST_KNOWN and len(self._known) < _MOST_KNOWN:
            self._known[block] = head

    def decode(self, block: bytes) -> list[Field]:
        """The fields of a block; raises `ConnectionFault`, since the table is lost then.

        `cost` is the number of look-ups it took.
        """
        table = self._table
        before, maximum = table.changes, table.maxsize
        table.lookups = 0
        try:
            decoded = self._decoder.decode(block, raw=True)
        except OversizedHeaderListError:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too large a head") from None
        except (HPACKError, IndexError, TypeError, ValueError) as error:
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, str(error)) from None
        fields = [(bytes(name), bytes(value)) for name, value in decoded]
        self._unchanged = before == table.changes and maximum == table.maxsize
        if not self._unchanged:
            self._known.clear()
        self.cost = len(fields)
        return fields
