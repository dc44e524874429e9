"""Dictionaries of structured fields (RFC 9651 §3.2), read for their integers and booleans.

A strict reading, as §4.2 asks: a field that is malformed anywhere counts as absent in its
entirety. Members of other types are checked and told as None, parameters are checked
and dropped. No inner list nests, so the grammar is regular, and what was matched once is
never matched again, which keeps the time linear in the length of the field. (Atomic groups say so
where a group is repeated: before Python 3.11.5 a possessive quantifier behind one matches wrongly.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

# What is longer than this is no list of preferences: it is not read at all.
MAX_FIELD_LENGTH = 4096

_KEY = r"[a-z*][a-z0-9_\-.*]*+"
_STRING = r'"(?>(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"'
_DISPLAY_STRING = r'%"(?>(?:[\x20\x21\x23\x24\x26-\x7e]|%[0-9a-f]{2})*)"'
# Decimals before integers, since an integer begins as a decimal does.
_BARE_ITEM = (
    r"(?:-?[0-9]{1,12}\.[0-9]{1,3}"
    r"|-?[0-9]{1,15}+"
    r"|[A-Za-z*][!#$%&'*+\-.^_`|~:/0-9A-Za-z]*+"
    r"|:[A-Za-z0-9+/=]*+:"
    r"|\?[01]"
    r"|@-?[0-9]{1,15}+"
    rf"|{_STRING}|{_DISPLAY_STRING})"
)
_PARAMETERS = rf"(?>(?:;\x20*+{_KEY}(?:={_BARE_ITEM})?)*)"
_ITEM = _BARE_ITEM + _PARAMETERS
_INNER_LIST = rf"\(\x20*+(?:{_ITEM}(?>(?:\x20++{_ITEM})*)\x20*+)?\){_PARAMETERS}"
_MEMBER = re.compile(rf"({_KEY})(?:=(?:({_BARE_ITEM}){_PARAMETERS}|{_INNER_LIST})|{_PARAMETERS})")
_SEPARATOR = re.compile(r"[ \t]*+(,?)[ \t]*+")
_INTEGER = re.compile(r"-?[0-9]+")
_BOOLEANS = {"?0": False, "?1": True}
# Strings too, since one may end in what looks like the beginning of a Display String.
_QUOTED = re.compile(f"{_STRING}|{_DISPLAY_STRING}")


Member = bool | int | None


def read_integers(value: str) -> Mapping[str, int | None] | None:
    """As `read_members`, but with None for the Booleans too."""
    members = read_members(value)
    if members is None:
        return None
    return {key: None if isinstance(item, bool) else item for key, item in members.items()}


def read_members(value: str) -> Mapping[str, Member] | None:
    """The members of a Dictionary; None for those that are neither Integers nor Booleans.

    A key that stands alone is true (§3.2). Of members with the same key the last one counts. None,
    if the field is malformed or longer than `MAX_FIELD_LENGTH`. Several lines of the field must
    have been joined by commas.
    """
    if len(value) > MAX_FIELD_LENGTH:
        return None
    value = value.strip(" ")
    members: dict[str, Member] = {}
    position = 0
    while position < len(value):
        member = _MEMBER.match(value, position)
        if member is None or not _decodes(member[0]):
            return None
        members[member[1]] = _value(member)
        separator = _SEPARATOR.match(value, member.end())
        position = separator.end() if separator else len(value)
        # Either a comma and another member behind it, or the end.
        if bool(separator and separator[1]) == (position == len(value)):
            return None
    return members


def _value(member: re.Match[str]) -> Member:
    item = member[2]
    if item is None:
        # Without an item it is an inner list, or the key alone.
        return None if member[0][len(member[1]) :].startswith("=") else True
    return int(item) if _INTEGER.fullmatch(item) else _BOOLEANS.get(item)


def _decodes(member: str) -> bool:
    """Whether the Display Strings in a member hold UTF-8 (§4.2.10)."""
    if '%"' not in member:
        return True
    try:
        for found in _QUOTED.findall(member):
            if found.startswith("%"):
                unquote_to_bytes(found).decode()
    except UnicodeDecodeError:
        return False
    return True
