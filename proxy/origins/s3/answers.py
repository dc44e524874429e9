"""From the head of an answer to a representation, and the check that it answers the question.

Pure. Headers come as a mapping of lower-case names to values in ISO 8859-1 (each octet one
character, so that no octet a store sends can fail to decode); a repeated field is joined by
commas, which no length, range or validator survives.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final, Literal, get_args

from proxy.errors import OriginFault
from proxy.origins.media_types import media_type_of
from proxy.semantics.dates import parse_http_date
from proxy.semantics.etags import EntityTag, parse_etag
from proxy.semantics.ranges import ByteRange
from proxy.semantics.representation import Checksum, Representation, Span

Algorithm = Literal["crc64nvme", "crc32c", "crc32", "sha256", "sha1"]
_DIGEST_LENGTHS: Final[dict[Algorithm, int]] = {
    "crc64nvme": 8,
    "crc32c": 4,
    "crc32": 4,
    "sha256": 32,
    "sha1": 20,
}
_ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)

# Positions beyond 63 bits mean nothing to a store, and some read them as malformed.
_MAX_POSITION = 2**63 - 1

_LENGTH = re.compile(r"[0-9]{1,19}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")
_MULTIPART_ETAG = re.compile(r"([0-9a-fA-F]{32})-([1-9][0-9]{0,4})")
_MD5_ETAG = re.compile(r"[0-9a-fA-F]{32}")
_PARTS = re.compile(r"([^-]+)-([0-9]{1,5})")

# What S3 stores when the uploader named no type: it tells nothing.
_NO_TYPE = "binary/octet-stream"
_DIRECTORY_TYPES = ("application/x-directory", "httpd/unix-directory")

# S3 keeps no field of its own for caches: who uploads says it in metadata, of 2 KiB in all.
_METADATA = "x-amz-meta-"
MAX_TAGS = 64
MAX_TAG_LENGTH = 256
# Octets above 0x7f may be UTF-8, of which each is one character here: they are no controls.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def range_to_send(first: ByteRange | None) -> str | None:
    """The Range field that asks for `first`, or None to ask for the whole."""
    if first is None:
        return None
    if first.first is None:
        return f"bytes=-{first.last}" if (first.last or 0) <= _MAX_POSITION else None
    last = first.last if first.last is not None and first.last <= _MAX_POSITION else None
    return f"bytes={ByteRange(first.first, last)}"


def is_out_of_reach(first: ByteRange | None) -> bool:
    """Whether no object is large enough for `first`, so that there is no use in asking for it."""
    return first is not None and (first.first or 0) > _MAX_POSITION


def span_of(status: int, headers: Mapping[str, str], asked: ByteRange | None) -> tuple[Span, int]:
    """Which bytes the body of a 200 or 206 holds, and the object's size.

    `asked` None means no Range was sent. The whole is always a valid answer, since a server may
    ignore a range (RFC 9110 §14.2). Some stores send a range under status 200, with Content-Range:
    what counts is whether it is the one asked for. Raises OriginFault if anything is not sure.
    """
    length = body_length(headers)
    value = headers.get("content-range")
    if value is None and status == 200:
        return Span(0, length), length
    found = _CONTENT_RANGE.fullmatch((value or "").strip(" \t"))
    if found is not None:
        first, last, size = map(int, found.groups())
        span = Span(first, last + 1)
        whole = status == 200 and span == Span(0, size)
        if span.length == length and (whole or (asked and span == asked.meet(size))):
            return span, size
    raise OriginFault(
        f"asked for bytes={asked or '0-'}, the store answered {status} with "
        f"Content-Range {(value or '')[:100]!r} and Content-Length {length}"
    )


def body_length(headers: Mapping[str, str]) -> int:
    """Content-Length; raises OriginFault without a plain one, for then an end can't be trusted."""
    value = headers.get("content-length", "")
    if "transfer-encoding" in headers or not _LENGTH.fullmatch(value):
        raise OriginFault(f"the store's answer has no usable Content-Length ({value[:40]!r})")
    return int(value)


def representation_of(key: str, size: int, headers: Mapping[str, str]) -> Representation:
    """What the head of a 200, a 206 or an answer to HEAD says of the object."""
    etag = parse_etag(headers.get("etag", ""))
    return Representation(
        size=size,
        etag=etag,
        last_modified=parse_http_date(headers.get("last-modified", "")),
        media_type=_media_type(key, headers),
        content_encoding=_content_encoding(headers.get("content-encoding")),
        content_language=headers.get("content-language"),
        content_disposition=headers.get("content-disposition"),
        cache_control=headers.get("cache-control"),
        expires=headers.get("expires"),
        checksums=checksums_of(headers, etag),
        version=version_of(headers),
        cdn_cache_control=_stored(headers, "cdn-cache-control"),
        tags=tags_of(headers),
    )


def is_directory(key: str, size: int, headers: Mapping[str, str]) -> bool:
    """Whether the store shows a folder of its own as if it were an object.

    SeaweedFS does for every prefix below which something lies; AWS answers 404 there.
    """
    if size or not (key == "" or key.endswith("/")):
        return False
    return headers.get("content-type", "") in _DIRECTORY_TYPES


def version_of(headers: Mapping[str, str]) -> str | None:
    """The store's version id; "null" is what an unversioned object is called."""
    version = headers.get("x-amz-version-id")
    return version if version not in (None, "", "null") else None


def tags_of(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The purge tags in Cache-Tag, a list with commas: each once, in order.

    Dropped are empty ones, those with control characters or more than `MAX_TAG_LENGTH`
    characters, and those beyond the first `MAX_TAGS`.
    """
    elements = (text.strip(" \t") for text in (_stored(headers, "cache-tag") or "").split(","))
    tags = (tag for tag in elements if 0 < len(tag) <= MAX_TAG_LENGTH and not _CONTROL.search(tag))
    return tuple(dict.fromkeys(tags))[:MAX_TAGS]


def is_same_version(representation: Representation, size: int, headers: Mapping[str, str]) -> bool:
    """Whether a later answer tells of the version that was opened (its size, its validators)."""
    etag = parse_etag(headers.get("etag", ""))
    if size != representation.size or etag != representation.etag:
        return False
    if etag is not None and not etag.weak:
        return True
    # Nothing strong to go by: all that is left must agree (RFC 9110 §8.8.1).
    return representation.version == version_of(headers) and (
        representation.last_modified == parse_http_date(headers.get("last-modified", ""))
    )


def checksums_of(headers: Mapping[str, str], etag: EntityTag | None) -> tuple[Checksum, ...]:
    """The promises of the whole object that can be read for certain, on a 206, too.

    S3 tells a part's own checksum to a range that is just that part, of the same type as the
    whole's, and that of the whole with its count of parts or to a range of all of it.
    """
    found = [
        checksum
        for algorithm in _ALGORITHMS
        if (value := headers.get(f"x-amz-checksum-{algorithm}"))
        and (checksum := _checksum(algorithm, value, headers, etag))
    ]
    if etag and not etag.weak and not _is_encrypted(headers):
        found += _md5_of(etag)
    return tuple(found)


def parts_of(etag: EntityTag | None) -> int | None:
    """How many parts an object was uploaded in by its tag; None if it doesn't tell."""
    found = etag and _MULTIPART_ETAG.fullmatch(etag.opaque)
    return int(found[2]) if found else None


def part_size_of(headers: Mapping[str, str], parts: int) -> int | None:
    """The size of the one part that was asked for, by the answer's head.

    None from a store that answers for the whole instead, or counts other parts.
    """
    if headers.get("x-amz-mp-parts-count", "").strip(" \t") != str(parts):
        return None
    length = headers.get("content-length", "")
    return int(length) if _LENGTH.fullmatch(length) else None


def _md5_of(etag: EntityTag) -> list[Checksum]:
    if _MD5_ETAG.fullmatch(etag.opaque):
        return [Checksum("md5", bytes.fromhex(etag.opaque))]
    if found := _MULTIPART_ETAG.fullmatch(etag.opaque):
        return [Checksum("md5", bytes.fromhex(found[1]), composite=True, parts=int(found[2]))]
    return []


def _checksum(
    algorithm: Algorithm, value: str, headers: Mapping[str, str], etag: EntityTag | None
) -> Checksum | None:
    parts = None
    composite = _is_composite(algorithm, headers, etag)
    if found := _PARTS.fullmatch(value):
        value, parts, composite = found[1], int(found[2]), True
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(digest) != _DIGEST_LENGTHS[algorithm]:
        return None
    if composite and parts is None and _may_be_a_parts(headers, etag):
        return None
    return Checksum(algorithm, digest, composite, parts)


def _may_be_a_parts(headers: Mapping[str, str], etag: EntityTag | None) -> bool:
    """Whether a checksum without a count of parts may be that of the range it came with."""
    found = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip(" \t"))
    if found is None:
        return False
    first, last, size = map(int, found.groups())
    return last - first + 1 != size or parts_of(etag) == 1


def _is_composite(algorithm: Algorithm, headers: Mapping[str, str], etag: EntityTag | None) -> bool:
    kind = headers.get("x-amz-checksum-type", "").strip().upper()
    if kind:
        return kind != "FULL_OBJECT"
    # Without a type and a part count, an object in parts may have either kind (to some ranges
    # AWS leaves the count out). Only CRC64NVME is always of the whole.
    in_parts = etag is not None and _MULTIPART_ETAG.fullmatch(etag.opaque) is not None
    return in_parts and algorithm != "crc64nvme"


def _is_encrypted(headers: Mapping[str, str]) -> bool:
    """Whether the ETag is of the encrypted bytes: with KMS keys and with the customer's own."""
    return (
        headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")
        or "x-amz-server-side-encryption-customer-algorithm" in headers
    )


def _stored(headers: Mapping[str, str], name: str) -> str | None:
    """A field that stores send as it is or, mostly, as metadata; None where it is empty, too."""
    return headers.get(name) or headers.get(_METADATA + name) or None


def _media_type(key: str, headers: Mapping[str, str]) -> str | None:
    stored = headers.get("content-type", "").strip(" \t")
    return media_type_of(key) if stored.lower() in ("", _NO_TYPE) else stored


def _content_encoding(value: str | None) -> str | None:
    """Without "aws-chunked", which some stores keep although it was the upload's framing."""
    if value is None or "aws-chunked" not in value.lower():
        return value
    codings = [coding.strip(" \t") for coding in value.split(",")]
    return ", ".join(c for c in codings if c and c.lower() != "aws-chunked") or None
