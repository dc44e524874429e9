"""Durations and sizes as people write them: "30s", "500ms", "8MiB", "10GB".

Pure. A duration is a float of seconds and a size an int of bytes as soon as it is read; both are
written back as text with a unit, and reading that text gives the very same number again. The
arithmetic is decimal, so "0.1s" is 0.1 and "1.5GiB" is exact.

A `ValueError` raised here completes the sentence "expected …".
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

_SECONDS: Final = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_BYTES: Final = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "KiB": 2**10,
    "MB": 10**6,
    "MiB": 2**20,
    "GB": 10**9,
    "GiB": 2**30,
    "TB": 10**12,
    "TiB": 2**40,
}
# What a size is written back in: the largest unit it is a whole number of.
_BYTES_TO_WRITE: Final = sorted(
    ((factor, unit) for unit, factor in _BYTES.items() if unit != "KB"), reverse=True
)

LONGEST: Final = 366 * 24 * 3600.0  # a year: beyond it a duration is a slip, and timers overflow
LARGEST: Final = 2**63 - 1  # what a file offset holds

_NUMBER = r"[0-9]{1,20}(?:\.[0-9]{1,20})?"
_DURATION_PATTERN: Final = rf"{_NUMBER} ?(?:ms|s|m|h)"
_SIZE_PATTERN: Final = rf"{_NUMBER} ?(?:{'|'.join(_BYTES)})"
_QUANTITY: Final = re.compile(rf"({_NUMBER}) ?([A-Za-z]+)")

_DURATION_WORDS: Final = 'a duration with its unit (ms, s, m, h), such as "30s" or "500ms"'
_SIZE_WORDS: Final = 'a size with its unit (B, kB, KiB, MB, MiB, GB, GiB …), such as "8MiB"'


def parse_duration(found: object) -> float:
    """Seconds of `found`, a text such as "1.5s"; raises ValueError for anything else."""
    if isinstance(found, str) and (match := _QUANTITY.fullmatch(found)):
        number, unit = match.groups()
        if unit in _SECONDS:
            seconds = float(Decimal(number) * _SECONDS[unit])
            if seconds <= LONGEST:
                return seconds
            raise ValueError("a duration of at most a year")
    raise ValueError(_DURATION_WORDS)


def format_duration(seconds: float) -> str:
    """The shortest usual text for `seconds` (not negative); `parse_duration` gives it back."""
    exact = Decimal(repr(float(seconds)))
    if not exact:
        return "0s"
    for unit in ("h", "m", "s", "ms"):
        count = exact / _SECONDS[unit]
        if count == count.to_integral_value() and count * _SECONDS[unit] == exact:
            return f"{int(count)}{unit}"
    return f"{exact:f}s"


def parse_size(found: object) -> int:
    """Bytes of `found`: a text such as "8MiB", or a whole number of bytes; ValueError otherwise."""
    size = _bytes_in(found)
    if size is None:
        raise ValueError(_SIZE_WORDS)
    if not 0 <= size <= LARGEST:
        raise ValueError("a size from 0 to 8388607TiB")
    return size


def _bytes_in(found: object) -> int | None:
    """Bytes of `found`, or None when it isn't a whole number of them."""
    if isinstance(found, bool):
        return None
    if isinstance(found, int):
        return found
    if not isinstance(found, str) or not (match := _QUANTITY.fullmatch(found)):
        return None
    number, unit = match.groups()
    if unit not in _BYTES:
        return None
    numerator, denominator = Decimal(number).as_integer_ratio()
    whole, rest = divmod(numerator * _BYTES[unit], denominator)
    return None if rest else whole


def format_size(size: int) -> str:
    """`size` bytes in the largest unit that divides it; `parse_size` gives it back."""
    if size == 0:
        return "0B"
    factor, unit = next(pair for pair in _BYTES_TO_WRITE if size % pair[0] == 0)
    return f"{size // factor}{unit}"


_DURATION_SCHEMA: Final = {
    "type": "string",
    "pattern": f"^{_DURATION_PATTERN}$",
    "examples": ["30s", "500ms", "2m", "1h"],
}
_SIZE_SCHEMA: Final = {
    "anyOf": [
        {"type": "string", "pattern": f"^{_SIZE_PATTERN}$"},
        {"type": "integer", "minimum": 0},
    ],
    "examples": ["8MiB", "10GB", "512B"],
}

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_DURATION_SCHEMA),
]
"""Seconds as a float, written with a unit; zero is allowed."""

Timeout = Annotated[Duration, Field(ge=0.001)]
"""A duration that can't be zero, since nothing would ever be in time."""

Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size, return_type=str),
    WithJsonSchema(_SIZE_SCHEMA),
]
"""Bytes as an int, written with a unit or as a bare number of bytes."""
