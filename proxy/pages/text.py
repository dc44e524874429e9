"""Text as a page shows it, and as a link holds it: names may contain anything.

A name is shown so that a reader sees what is there: control characters, line ends, invisible
characters and those that turn the reading direction around are written out as escapes, in a
colour of their own. A link is a relative reference (RFC 3986 §4.2) that means exactly the name.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import escape
from urllib.parse import quote

# Controls (C0, DEL, C1), soft hyphen, direction marks and overrides, zero-width and invisible
# characters, separators of lines and paragraphs, noncharacters of layout, lone surrogates; and
# white space at either end. Joiners (U+200C, U+200D) stay: scripts and emoji are written with them.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff]"
    r"|\A\s|\s\Z"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_NEVER_IN_A_PATH = re.compile("[\x00\ud800-\udfff]")
_DOT_SEGMENT = re.compile(r"(?:\A|[/\\])\.\.?(?:[/\\]|\Z)")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def shown(text: str) -> str:
    """Markup that shows a text as it is, and keeps its direction from its surroundings."""
    safe = escape(text)
    return f"<bdi>{_HIDDEN.sub(_marked, safe) if _HIDDEN.search(safe) else safe}</bdi>"


def plain(text: str) -> str:
    """The same without elements, for the title of a page."""
    return _HIDDEN.sub(_written_out, escape(text))


def well_formed(text: str) -> str:
    """The text with lone surrogates replaced, so that it can be encoded and every JSON reads it."""
    return _SURROGATE.sub("\ufffd", text)


def attribute(text: str) -> str:
    """The text as the value of an attribute, otherwise untouched: for links made by others."""
    return escape(well_formed(text))


def link_to(name: str) -> str | None:
    """The relative reference of a name in the folder a page stands for; None if there is none.

    It begins with "./", so that no name is taken for a scheme, a host, a query or a root. A name
    that is or holds a dot segment, a NUL or anything but Unicode has no address that a browser
    could ask for. A trailing slash is kept; any other is a character of the name.
    """
    stem, slash = (name[:-1], "/") if name.endswith("/") else (name, "")
    if not name or _NEVER_IN_A_PATH.search(stem) or _DOT_SEGMENT.search(stem):
        return None
    return f"./{quote(stem, safe='')}{slash}"


def size_for_people(size: int) -> str:
    """Bytes in binary units, with one decimal below ten: `812 B`, `9.5 KiB`, `100 MiB`."""
    if size < 1024:
        return f"{size} B"
    power = min((size.bit_length() - 1) // 10, len(_UNITS))
    if _rounded(size, 1024**power) == 1024 and power < len(_UNITS):
        power += 1
    tenths = _rounded(size * 10, 1024**power)
    number = f"{tenths // 10}.{tenths % 10}" if tenths < 100 else _rounded(size, 1024**power)
    return f"{number} {_UNITS[power - 1]}"


def utc(seconds: int | None) -> str | None:
    """Seconds since the epoch as `2025-03-01T12:34:56Z`; None for none and beyond the years."""
    try:
        moment = _EPOCH + timedelta(seconds=seconds) if seconds is not None else None
    except OverflowError:
        return None
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def _rounded(number: int, unit: int) -> int:
    return (2 * number + unit) // (2 * unit)


def _marked(found: re.Match[str]) -> str:
    return f"<i>{_written_out(found)}</i>"


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
