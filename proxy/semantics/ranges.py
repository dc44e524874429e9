"""Byte ranges: reading the Range field, and meeting a size (RFC 9110 §14).

A range is a value that knows no size; meeting a representation's size is a separate step.
The parser is linear in the length of the field, and gives up before it looks at a field longer
than `MAX_FIELD_LENGTH`: CVE-2025-62727 was a quadratic one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from proxy.semantics.representation import Span

# 16 ranges of 2 × 19 digits fit four times over. Longer than that, a field is not a player's.
MAX_FIELD_LENGTH = 4096

# ASCII digits only: `\d` would take other scripts' digits, `int()` would take "1_0" and "+1".
# No white space in it: `[ \t]*` on both sides of something optional is quadratic.
_RANGE = re.compile(r"(?:([0-9]+)-([0-9]*)|-([0-9]+))?")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """One range as asked. `first` None means a suffix: the last `last` bytes.

    `last` is the position of the last byte wanted, inclusive as on the wire, or None: to the end.
    """

    first: int | None
    last: int | None

    def __str__(self) -> str:
        """As it stands in a Range field: `0-99`, `100-`, `-500`."""
        first = "" if self.first is None else self.first
        last = "" if self.last is None else self.last
        return f"{first}-{last}"

    def meet(self, size: int) -> Span | None:
        """The span this range means in `size` bytes; None if it is not satisfiable (§14.1.2)."""
        if self.first is None:
            length = self.last or 0
            return Span(max(0, size - length), size) if length and size else None
        if self.first >= size:
            return None
        stop = size if self.last is None else min(self.last + 1, size)
        return Span(self.first, stop)


# Each request's is read twice: for what to open, and for what to send of it.
@lru_cache(64)
def parse_ranges(value: str | None) -> tuple[ByteRange, ...] | None:
    """Reads a Range field. None: there is none, its unit is unknown or it is malformed.

    All three mean the same to the caller, the field is ignored (§14.2).
    """
    if value is None or len(value) > MAX_FIELD_LENGTH:
        return None
    unit, equals, rest = value.strip(" \t").partition("=")
    if not equals or unit.lower() != "bytes":
        return None
    asked: list[ByteRange] = []
    for element in rest.split(","):
        found = _RANGE.fullmatch(element.strip(" \t"))
        if found is None:
            return None
        first, last, suffix = found.groups()
        if suffix is not None:
            asked.append(ByteRange(None, _number(suffix)))
        elif first is not None:
            asked.append(ByteRange(_number(first), _number(last) if last else None))
            if last and _number(last) < _number(first):
                return None
    return tuple(asked) or None


def _number(digits: str) -> int:
    """A position of any length. int() refuses more than 4300 digits; 4096 is the field's limit."""
    return int(digits)
