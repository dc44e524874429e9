"""Field blocks that go, in HPACK (RFC 7541); see `proxy.server.field_blocks`."""

from __future__ import annotations

from hpack.table import HeaderTable

from proxy.server.field_blocks import BlockWriter, Compression, integer, string_literal


def _static_names() -> dict[bytes, bytes]:
    names: dict[bytes, bytes] = {}
    for index, (name, _) in enumerate(HeaderTable.STATIC_TABLE, 1):
        names.setdefault(name, integer(index, 4, 0))
    return names


_STATIC = _static_names()


def _literal_name(name: bytes) -> bytes:
    """A literal without indexing (§6.2.2) begins so: by the static table where it has the name."""
    return _STATIC.get(name) or b"\0" + string_literal(name)


# The static table has seven statuses with their value: one byte each (§6.1).
_STATUSES = {
    int(value): bytes((0x80 | index,))
    for index, (name, value) in enumerate(HeaderTable.STATIC_TABLE, 1)
    if name == b":status"
}

BLOCKS = BlockWriter(Compression(b"", _literal_name, _STATUSES, "http2"))

write_head, write_prepared, write_trailers = BLOCKS.head, BLOCKS.prepared, BLOCKS.trailers
bare_head, CONTINUE = BLOCKS.bare, BLOCKS.interim
