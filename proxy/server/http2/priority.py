"""What a client says of a response's priority (RFC 9218 §4 and §5).

A client that says nothing wants its downloads side by side; the RFC's default would serve them one
after the other. So "incremental" is assumed unless a priority was given, which §10 leaves to us.
"""

from __future__ import annotations

import re
from typing import NamedTuple

URGENCIES = 8
_MOST = 64  # bytes; what is longer is no priority worth reading
# Only what we look for; another member, or a parameter, is passed over (§4, RFC 8941 §3.2).
_MEMBER = re.compile(rb"(?:^|,)[ \t]*(u|i)(?:=([^;,]*))?[^,]*")
_URGENCY = re.compile(rb"[0-7]")


class Priority(NamedTuple):
    """Urgency from 0 (first) to 7, and whether parts of the response are of use by themselves."""

    urgency: int = 3
    incremental: bool = True


UNSAID = Priority()


def read_priority(value: bytes) -> Priority:
    """The priority that a Priority field or a PRIORITY_UPDATE frame gives.

    Members that are no valid urgency or boolean count as absent (§4).
    """
    urgency, incremental = 3, False
    if len(value) > _MOST:
        return UNSAID
    for name, argument in _MEMBER.findall(value):
        said = argument.strip(b" \t")
        if name == b"u" and _URGENCY.fullmatch(said):
            urgency = int(said)
        elif name == b"i" and said in (b"", b"?0", b"?1"):
            incremental = said != b"?0"
    return Priority(urgency, incremental)
