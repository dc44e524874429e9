"""What the files of the cache hold, written and read. Pure.

Each file says itself what it is: which origin's key, which version, which slice, and what its bytes
must sum to. Whatever is not exactly that, however it came about, reads as `None`: as if there were
no file.

    head     magic, length of the JSON, JSON, check value of all before
    slice    the bytes, then a footer: JSON, table of check values, and a trailer of fixed size with
    the
             lengths of both, the check value of the footer, and the magic

A slice is written from its start on, so that who follows while it is being filled reads it as any
file.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from proxy.cache.rules.checking import WIDTH, blocks_in, sum_of
from proxy.semantics.etags import EntityTag, parse_etag
from proxy.semantics.representation import Checksum, Representation

_HEAD_MAGIC: Final = b"HGhead1\n"
_SLICE_MAGIC: Final = b"HGslice1"
_LENGTH: Final = struct.Struct("!I")
_TRAILER: Final = struct.Struct(f"!II{WIDTH}s8s")
TRAILER_SIZE: Final = _TRAILER.size

# A key has at most a few KiB, and a seal 19 bytes for each slice: 860 GiB in slices of 8 MiB. One
# that is longer is left out.
MOST_JSON: Final = 2 * 1024 * 1024
MOST_HEAD: Final = MOST_JSON + 64
# What JSON of another make, whose sum is right, may raise when it is taken apart.
_OF_ANOTHER_MAKE: Final = (AttributeError, KeyError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of one version of an object.

    Attributes:
        origin, key: whose it is.
        width: of its slices, in bytes.
        validated: when the origin last said that it is the current one, in seconds since 1970; 0
            for one that was purged softly.
        representation: what the store says of it.
        complete: whether that is all it says: to ranges, stores do not tell their checksums.
        seal: the check value of each slice's table, once all of it was read and was what the store
            promised; else None.
        sealed_by: the algorithm of the store's checksum it was compared with, "" without a seal.
    """

    origin: str
    key: str
    width: int
    validated: float
    representation: Representation
    complete: bool = False
    seal: tuple[bytes, ...] | None = None
    sealed_by: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """Which slice a file holds. Files with another label are not the one looked for."""

    origin: str
    key: str
    version: str
    index: int
    length: int


# --- heads --------------------------------------------------------------------------------------


def write_head(head: Head) -> bytes:
    """The whole file."""
    told = {
        "origin": head.origin,
        "key": head.key,
        "width": head.width,
        "validated": head.validated,
        "complete": head.complete,
        "representation": _told(head.representation),
    }
    text = _json(told)
    if head.seal is not None:
        seal = {"seal": [one.hex() for one in head.seal], "sealed_by": head.sealed_by}
        sealed = _json(told | seal)
        text = sealed if len(sealed) <= MOST_JSON else text
    body = _HEAD_MAGIC + _LENGTH.pack(len(text)) + text
    return body + sum_of(body)


def read_head(file: bytes) -> Head | None:
    """What a head's file says; None if it is damaged or of another make."""
    start = len(_HEAD_MAGIC) + _LENGTH.size
    if len(file) < start + WIDTH or not file.startswith(_HEAD_MAGIC):
        return None
    (length,) = _LENGTH.unpack_from(file, len(_HEAD_MAGIC))
    if len(file) != start + length + WIDTH or sum_of(file[:-WIDTH]) != file[-WIDTH:]:
        return None
    try:
        told = _read_json(file[start:-WIDTH])
        seal = told.get("seal")
        return Head(
            origin=told["origin"],
            key=told["key"],
            width=told["width"],
            validated=told["validated"],
            representation=_representation(told["representation"]),
            complete=told["complete"],
            seal=None if seal is None else tuple(map(bytes.fromhex, seal)),
            sealed_by=told.get("sealed_by", ""),
        )
    except _OF_ANOTHER_MAKE:
        return None


def _json(told: object) -> bytes:
    """Not escaped: two halves of a pair, which a key may hold, would be read as one character."""
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def _read_json(text: bytes) -> Any:  # noqa: ANN401  # whatever it holds
    return json.loads(text.decode("utf-8", "surrogatepass"))


def _told(representation: Representation) -> dict[str, Any]:
    """The members that are not at their default."""
    told: dict[str, Any] = {"size": representation.size}
    for name in _PLAIN:
        value = getattr(representation, name)
        if value is not None:
            told[name] = value
    if representation.etag is not None:
        told["etag"] = str(representation.etag)
    if representation.checksums:
        told["checksums"] = [
            [one.algorithm, one.value.hex(), one.composite, one.parts]
            for one in representation.checksums
        ]
    if representation.tags:
        told["tags"] = list(representation.tags)
    return told


_PLAIN: Final = (
    "last_modified",
    "media_type",
    "content_encoding",
    "content_language",
    "content_disposition",
    "cache_control",
    "cdn_cache_control",
    "expires",
    "version",
)


def _representation(told: Mapping[str, Any]) -> Representation:
    made = Representation(
        told["size"],
        etag=_etag(told.get("etag")),
        checksums=tuple(
            Checksum(algorithm, bytes.fromhex(value), composite, parts)
            for algorithm, value, composite, parts in told.get("checksums", ())
        ),
        tags=tuple(told.get("tags", ())),
    )
    return replace(made, **{name: told[name] for name in _PLAIN if name in told})


def _etag(text: str | None) -> EntityTag | None:
    if text is None:
        return None
    tag = parse_etag(text)
    if tag is None:
        raise ValueError(text)
    return tag


# --- slices -------------------------------------------------------------------------------------


def write_footer(label: Label, table: bytes) -> bytes:
    """What stands behind the bytes of a slice."""
    told = [label.origin, label.key, label.version, label.index, label.length]
    text = _json(told)
    check = sum_of(text + table)
    return text + table + _TRAILER.pack(len(text), len(table), check, _SLICE_MAGIC)


def footer_size(trailer: bytes) -> int | None:
    """How long the footer is, by a file's last `TRAILER_SIZE` bytes; None if they are none."""
    if len(trailer) != TRAILER_SIZE:
        return None
    text, table, _, magic = _TRAILER.unpack(trailer)
    if magic != _SLICE_MAGIC or text > MOST_JSON or table > MOST_JSON:
        return None
    return int(text) + int(table) + TRAILER_SIZE


def read_footer(footer: bytes, size: int) -> tuple[Label, bytes] | None:
    """The label and the table of a footer, in a file of `size` bytes; None if it is damaged."""
    if footer_size(footer[-TRAILER_SIZE:]) != len(footer):
        return None
    length, _, check, _ = _TRAILER.unpack(footer[-TRAILER_SIZE:])
    told = footer[:-TRAILER_SIZE]
    if sum_of(told) != check:
        return None
    try:
        origin, key, version, index, content = _read_json(told[:length])
    except _OF_ANOTHER_MAKE:
        return None
    label, table = Label(origin, key, version, index, content), told[length:]
    if type(content) is not int or size != content + len(footer):
        return None
    return (label, table) if len(table) == blocks_in(content) * WIDTH else None
