"""Heads and footers read as they were written, and anything else reads as nothing."""

from __future__ import annotations

import json
import struct
from dataclasses import fields, replace
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.cache.disk.format import (
    MOST_HEAD,
    MOST_JSON,
    TRAILER_SIZE,
    Head,
    Label,
    footer_size,
    read_footer,
    read_head,
    write_footer,
    write_head,
)
from proxy.cache.rules.checking import BLOCK, WIDTH, blocks_in, sum_of
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Checksum, Representation

# Any text: also what is not UTF-8, and halves of a pair that stand together.
TEXTS = st.text(st.characters(), max_size=12) | st.sampled_from(
    ["", "\udcff", "\ud83d", "\ud83d\ude00", "😀", '"\\', "\0\n", "a\u2028b", "é" * 500]
)
# etagc is %x21 / %x23-7E / obs-text (RFC 9110 §8.8.3).
ETAGC = [chr(code) for code in range(0x21, 0x100) if code not in (0x22, 0x7F)]
ETAGS = st.builds(EntityTag, st.text(st.sampled_from(ETAGC), max_size=12), st.booleans())
NUMBERS = st.integers(0, 2**63)
CHECKSUMS = st.builds(
    Checksum,
    st.sampled_from(["crc64nvme", "crc32c", "crc32", "sha256", "sha1", "md5"]),
    st.binary(max_size=32),
    st.booleans(),
    st.none() | st.integers(1, 10_000),
)
SAID = st.none() | TEXTS
REPRESENTATIONS = st.builds(
    Representation,
    size=NUMBERS,
    etag=st.none() | ETAGS,
    last_modified=st.none() | st.integers(-(2**40), 2**40),
    media_type=SAID,
    content_encoding=SAID,
    content_language=SAID,
    content_disposition=SAID,
    cache_control=SAID,
    expires=SAID,
    checksums=st.lists(CHECKSUMS, max_size=3).map(tuple),
    version=SAID,
    cdn_cache_control=SAID,
    tags=st.lists(TEXTS, max_size=3).map(tuple),
)
UNSEALED = st.builds(
    Head,
    origin=TEXTS,
    key=TEXTS,
    width=NUMBERS,
    validated=st.floats(0, 1e12) | st.just(0.0),
    representation=REPRESENTATIONS,
    complete=st.booleans(),
)
SEALS = st.lists(st.binary(min_size=WIDTH, max_size=WIDTH), max_size=5).map(tuple)
HEADS = UNSEALED | st.builds(replace, UNSEALED, seal=SEALS, sealed_by=TEXTS)

HEAD = Head(
    origin="store",
    key="a/b",
    width=BLOCK,
    validated=1.7e9,
    representation=Representation(
        10,
        etag=EntityTag("abc\xff", weak=True),
        last_modified=5,
        media_type="text/plain",
        checksums=(Checksum("sha256", b"\0" * 32, composite=True, parts=3),),
        tags=("one", "two"),
    ),
    complete=True,
    seal=(b"12345678", b"abcdefgh"),
    sealed_by="sha256",
)
LABEL = Label("store", "a/b\udcff", "0123456789abcdef", 17, 2 * BLOCK + 5)
TABLE = bytes(range(3 * WIDTH))
FOOTER = write_footer(LABEL, TABLE)
SIZE = LABEL.length + len(FOOTER)


def framed(text: bytes) -> bytes:
    """A head's file with any text in it, as a release to come may write it."""
    body = b"HGhead1\n" + struct.pack("!I", len(text)) + text
    return body + sum_of(body)


# --- heads --------------------------------------------------------------------------------------


@example(HEAD)
@example(replace(HEAD, key="\ud83d\ude00"))
@given(HEADS)
def test_a_head_reads_as_it_was_written(head: Head) -> None:
    file = write_head(head)
    assert read_head(file) == head
    assert len(file) <= MOST_HEAD


def test_every_field_of_a_representation_is_kept() -> None:
    values = {
        "size": 1,
        "etag": EntityTag("x"),
        "last_modified": 2,
        "checksums": (Checksum("md5", b"y"),),
        "tags": ("z",),
    }
    for each in fields(Representation):
        told: dict[str, Any] = {each.name: values.get(each.name, each.name)}
        made = replace(Representation(0), **told)
        read = read_head(write_head(replace(HEAD, representation=made)))
        assert read is not None
        assert read.representation == made != Representation(0)


def test_every_truncation_and_addition_of_a_head_is_nothing() -> None:
    file = write_head(HEAD)
    for length in range(len(file)):
        assert read_head(file[:length]) is None
        assert read_head(file[length:] if length else b"") is None
    assert read_head(file + b"\0") is None
    assert read_head(file + file) is None


def test_every_flipped_byte_of_a_head_is_nothing() -> None:
    file = write_head(HEAD)
    for at in range(len(file)):
        for bits in (1, 0x80, 0xFF):
            damaged = bytearray(file)
            damaged[at] ^= bits
            assert read_head(bytes(damaged)) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_no_head(file: bytes) -> None:
    assert read_head(file) is None
    assert read_head(b"HGhead1\n" + file) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
TOLD = json.loads(write_head(HEAD)[12:-WIDTH])


@given(st.binary(max_size=30) | JSON.map(lambda value: json.dumps(value).encode()))
def test_what_another_release_wrote_is_nothing(text: bytes) -> None:
    assert read_head(framed(text)) is None


@pytest.mark.parametrize("text", [b"[" * 10**5, b'{"a":' * 10**5, b"9" * 5000, b"\xff"])
def test_a_text_that_is_hard_to_read_is_nothing(text: bytes) -> None:
    assert read_head(framed(text)) is None


def _with(told: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    """The same with another value at a path."""
    first, *rest = path
    return told | {first: _with(told[first], tuple(rest), value) if rest else value}


MEMBERS: list[tuple[str, ...]] = [(name,) for name in TOLD]
INNER_MEMBERS: list[tuple[str, ...]] = [("representation", name) for name in TOLD["representation"]]


@pytest.mark.parametrize("path", MEMBERS + INNER_MEMBERS)
@given(value=JSON)
@settings(max_examples=30)
def test_another_type_in_a_member_is_nothing_or_a_head(
    path: tuple[str, ...], value: object
) -> None:
    file = framed(json.dumps(_with(TOLD, path, value)).encode())
    read = read_head(file)
    assert read is None or isinstance(read, Head)


NEEDED = [one for one in MEMBERS if one[0] not in ("seal", "sealed_by")]


@pytest.mark.parametrize("path", [*NEEDED, ("representation", "size")])
def test_a_head_without_a_member_is_nothing(path: tuple[str, ...]) -> None:
    told = json.loads(json.dumps(TOLD))
    inner = told
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    assert read_head(framed(json.dumps(told).encode())) is None
    assert read_head(framed(json.dumps(TOLD).encode())) == HEAD


def test_a_seal_that_is_too_long_is_left_out() -> None:
    sealed = replace(HEAD, seal=(b"12345678",) * 655_360)  # 5 TiB in slices of 8 MiB
    file = write_head(sealed)
    assert len(file) < MOST_JSON
    assert read_head(file) == replace(HEAD, seal=None, sealed_by="")
    fits = replace(HEAD, seal=(b"12345678",) * 100_000)
    assert read_head(write_head(fits)) == fits
    assert len(write_head(fits)) <= MOST_HEAD


# --- slices -------------------------------------------------------------------------------------


@given(st.builds(Label, TEXTS, TEXTS, TEXTS, NUMBERS, st.integers(0, 10 * BLOCK)))
def test_a_footer_reads_as_it_was_written(label: Label) -> None:
    table = bytes(index % 256 for index in range(blocks_in(label.length) * WIDTH))
    footer = write_footer(label, table)
    assert footer_size(footer[-TRAILER_SIZE:]) == len(footer)
    assert read_footer(footer, label.length + len(footer)) == (label, table)


def test_every_truncation_of_a_footer_is_nothing() -> None:
    for length in range(len(FOOTER)):
        assert read_footer(FOOTER[:length], SIZE) is None
        assert read_footer(FOOTER[:length], LABEL.length + length) is None
        if length:
            assert read_footer(FOOTER[length:], SIZE) is None
            assert read_footer(FOOTER[length:], SIZE - length) is None
    for length in range(TRAILER_SIZE):
        assert footer_size(FOOTER[-TRAILER_SIZE:][:length]) is None


def test_every_flipped_byte_of_a_footer_is_nothing() -> None:
    for at in range(len(FOOTER)):
        for bits in (1, 0x80, 0xFF):
            damaged = bytearray(FOOTER)
            damaged[at] ^= bits
            length = footer_size(bytes(damaged[-TRAILER_SIZE:]))
            assert length != len(FOOTER) or read_footer(bytes(damaged), SIZE) is None
            assert read_footer(bytes(damaged), SIZE) is None


@pytest.mark.parametrize("size", [0, len(FOOTER), SIZE - 1, SIZE + 1, SIZE + BLOCK])
def test_a_footer_in_a_file_of_another_size_is_nothing(size: int) -> None:
    assert read_footer(FOOTER, size) is None


@pytest.mark.parametrize("blocks", [0, 2, 4])
def test_a_table_of_other_blocks_is_nothing(blocks: int) -> None:
    footer = write_footer(LABEL, bytes(blocks * WIDTH))
    assert read_footer(footer, LABEL.length + len(footer)) is None


def a_footer(text: bytes, table: bytes = TABLE) -> bytes:
    check = sum_of(text + table)
    return text + table + struct.pack("!II8s8s", len(text), len(table), check, b"HGslice1")


@given(st.binary(max_size=30) | JSON.map(lambda value: json.dumps(value).encode()))
def test_a_label_of_another_release_is_nothing(text: bytes) -> None:
    footer = a_footer(text)
    assert read_footer(footer, LABEL.length + len(footer)) is None


@pytest.mark.parametrize(
    "content", [None, "5", [], {}, 1.5, float(LABEL.length), float("nan"), -1, True, 2**70]
)
def test_a_length_that_is_no_length_is_nothing(content: object) -> None:
    footer = a_footer(json.dumps(["store", "key", "version", 0, content]).encode())
    assert read_footer(footer, LABEL.length + len(footer)) is None
    assert read_footer(a_footer(b"[" * 10**5), 10**5) is None


@given(st.binary(min_size=TRAILER_SIZE, max_size=TRAILER_SIZE))
def test_any_bytes_are_no_trailer(trailer: bytes) -> None:
    assert footer_size(trailer) is None


@pytest.mark.parametrize(
    ("text", "table", "size"),
    [
        (MOST_JSON, MOST_JSON, 2 * MOST_JSON + TRAILER_SIZE),
        (0, 0, TRAILER_SIZE),
        (MOST_JSON + 1, 0, None),
        (0, MOST_JSON + 1, None),
        (2**32 - 1, 2**32 - 1, None),
    ],
)
def test_a_footer_has_a_bound(text: int, table: int, size: int | None) -> None:
    make = partial(struct.pack, "!II8s8s", text, table, bytes(8))
    assert footer_size(make(b"HGslice1")) == size
    assert footer_size(make(b"HGslice2")) is None
