"""Entity tags: reading, writing and comparing them (RFC 9110 §8.8.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass

# etagc = %x21 / %x23-7E / obs-text; a comma may stand inside the quotes.
_OPAQUE = r'"([\x21\x23-\x7e\x80-\xff]*)"'
_TAG = re.compile(rf"(W/)?{_OPAQUE}")
_SEPARATOR = re.compile(r"[ \t]*(?:,[ \t]*)*")


@dataclass(frozen=True, slots=True)
class EntityTag:
    """A validator. `opaque` is the text between the quotes; two tags are alike by their rule."""

    opaque: str
    weak: bool = False

    def __str__(self) -> str:
        """The field value: `"abc"` or `W/"abc"`."""
        return f'W/"{self.opaque}"' if self.weak else f'"{self.opaque}"'

    def matches_strongly(self, other: EntityTag) -> bool:
        """Strong comparison (§8.8.3.2): same text, and neither is weak."""
        return not self.weak and not other.weak and self.opaque == other.opaque

    def matches_weakly(self, other: EntityTag) -> bool:
        """Weak comparison (§8.8.3.2): same text, whether weak or not."""
        return self.opaque == other.opaque


def parse_etag(value: str) -> EntityTag | None:
    """Reads one entity tag; None if the text is anything else."""
    found = _TAG.fullmatch(value.strip(" \t"))
    return EntityTag(found[2], weak=found[1] is not None) if found else None


def parse_etag_list(value: str) -> tuple[EntityTag, ...] | None:
    """Reads `#entity-tag` (§5.6.1: empty elements are allowed); None if the list is malformed."""
    tags: list[EntityTag] = []
    position = _end_of_separator(value, 0)
    while position < len(value):
        found = _TAG.match(value, position)
        if found is None:
            return None
        tags.append(EntityTag(found[2], weak=found[1] is not None))
        position = _end_of_separator(value, found.end())
        if position < len(value) and "," not in value[found.end() : position]:
            return None
    return tuple(tags)


def _end_of_separator(value: str, position: int) -> int:
    found = _SEPARATOR.match(value, position)
    return found.end() if found else position
