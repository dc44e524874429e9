"""Cache directives as they stand in Cache-Control (RFC 9111 §5.2), a request's or a response's.

Nothing here raises. Where a directive stands twice, the first one counts (§4.2.1 leaves that or
"stale"). One that is malformed behind its name is told as `MALFORMED`, and the caller decides: who
asks for something malformed asks for nothing, but a store that says "no-store" with a slip behind
it must not be overheard. Everything is linear in the length of the field, and a field longer than
`MAX_FIELD_LENGTH` is not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

# The longest value that may be sent is no longer, and real ones have 200 bytes at most.
MAX_FIELD_LENGTH = 4096

# Seconds beyond this are this many: 68 years (§1.2.2).
MAX_SECONDS = 2**31

# The text of an argument; None: the directive has none.
Argument = str | None
Directives = Mapping[str, Argument]
# What no argument can be, since none holds a NUL.
MALFORMED: Final = "\0"

_TCHARS = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = r'"(?>(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*)"'
_NAME = re.compile(_TCHARS)
_VALUE = re.compile(rf"=(?:({_TCHARS})|{_QUOTED})")
_QUOTED_PAIR = re.compile(r"\\(.)")
_SECONDS = re.compile(r"[0-9]++")
# What stands between two commas; a quoted string may hold one. The alternatives begin with
# different characters, and what is atomic isn't given back: there is nothing to look at twice.
_CLOSED_QUOTE = r'"(?>(?:[^"\\]|\\.)*)"'
_BALANCED = re.compile(rf'(?>(?:[^"]|{_CLOSED_QUOTE})*)', re.DOTALL)
_ELEMENT = re.compile(rf'(?>(?:[^",]|{_CLOSED_QUOTE})*)', re.DOTALL)


def read_directives(value: str | None) -> Directives:
    """The directives by name (in lower case), with what their arguments mean (without quotes).

    Both forms of an argument are read for every directive (§5.2). An element without a name is
    passed over.
    """
    found: dict[str, Argument] = {}
    if value is None or len(value) > MAX_FIELD_LENGTH:
        return found
    for element in _elements(value):
        text = element.strip(" \t")
        name = _NAME.match(text)
        if name is not None:
            found.setdefault(name[0].lower(), _argument(text[name.end() :]))
    return found


def seconds_of(argument: Argument) -> int | None:
    """Delta-seconds (§1.2.2), at most `MAX_SECONDS`; None if the argument is anything else."""
    if argument is None or not _SECONDS.fullmatch(argument):
        return None
    return min(int(argument), MAX_SECONDS)


def _elements(value: str) -> Sequence[str]:
    # A quote that is never closed would swallow every directive behind it, a "no-store" too.
    return _ELEMENT.findall(value) if _BALANCED.fullmatch(value) else value.split(",")


def _argument(rest: str) -> Argument:
    if not rest:
        return None
    found = _VALUE.fullmatch(rest)
    if found is None:
        return MALFORMED
    return found[1] or _QUOTED_PAIR.sub(r"\1", rest[2:-1])
