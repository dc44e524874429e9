"""What a store knows of one version of one object: the values that the HTTP rules work on.

Nothing here reads bytes. A `Representation` is immutable: another version is another value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from proxy.semantics.etags import EntityTag


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive bytes of a representation, from `start` up to and without `stop` (in bytes)."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """How many bytes the span holds."""
        return self.stop - self.start


Algorithm = Literal["crc64nvme", "crc32c", "crc32", "sha256", "sha1", "md5"]


@dataclass(frozen=True, slots=True)
class Checksum:
    """A checksum the store keeps of an object.

    Attributes:
        algorithm: by its usual name.
        value: the raw digest, not its base64 or hexadecimal form.
        composite: true where it is a checksum of the parts' checksums (S3's COMPOSITE).
        parts: how many parts a composite one was made of, if the store says.
    """

    algorithm: Algorithm
    value: bytes
    composite: bool = False
    parts: int | None = None


@dataclass(frozen=True, slots=True)
class PartSums:
    """The checksum of each part that an object was uploaded in, in order.

    Attributes:
        algorithm: by its usual name.
        sizes: of the parts, in bytes; none is empty, and together they are the object's.
        digests: the raw digests of the parts.
    """

    algorithm: Algorithm
    sizes: tuple[int, ...]
    digests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Representation:
    """One version of one object, as RFC 9110 §3.2 uses the word.

    Attributes:
        size: its length in bytes.
        etag: its validator, or None where the store gives none.
        last_modified: seconds since the epoch (UTC), or None.
        media_type: the Content-Type to answer with, or None if neither store nor name tells.
        content_encoding, content_language, content_disposition, cache_control, expires: the
            store's own field values, untouched, or None. They are not yet safe to send:
            `proxy.semantics.fields` decides that.
        checksums: what the store promises of the bytes.
        version: the store's version id, where it has one.
        cdn_cache_control: the value of the field for caches like this one (RFC 9213), untouched,
            or None.
        tags: the names under which it can be purged with others, each once, in the stored order.
    """

    size: int
    etag: EntityTag | None = None
    last_modified: int | None = None
    media_type: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    content_disposition: str | None = None
    cache_control: str | None = None
    expires: str | None = None
    checksums: tuple[Checksum, ...] = ()
    version: str | None = None
    cdn_cache_control: str | None = None
    tags: tuple[str, ...] = ()
