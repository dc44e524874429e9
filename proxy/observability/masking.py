"""Takes secrets out of text that goes into a log: what foreign libraries put into their messages.

Our own code has none to log: targets are logged without their query, and configured secrets are
never formatted. This is the net below. Pure.
"""

from __future__ import annotations

import re

MASK = "********"

# Names of parameters, headers and settings whose value is a secret, a signature or a session.
_NAMES = (
    r"(?:x-amz-)?(?:signature|security-token)|sig|(?:access_|id_|refresh_|session_)?token"
    r"|aws_?secret_?access_?key|secret_access_key|secret|password|passwd|hmac"
)
_RULES = (
    # name=value in a query or a header, name: value and "name": "value" in what is printed
    (re.compile(rf"(?i)(?<![a-z0-9_])({_NAMES})(\"|')?(\s*[=:]\s*)(\"|')?[^\s&,;\"'<>]+"), 1),
    (re.compile(r"(?i)(?<![a-z])(authorization|cookie|set-cookie)(\"|')?(\s*[=:]\s*)[^\r\n]+"), 2),
    (re.compile(r"(?i)\b(bearer|basic)( +)[a-z0-9+/._~=-]{8,}"), 3),
    (re.compile(r"(?<=://)[^/\s@]+@"), 4),
)


def masked(text: str) -> str:
    """The text without secrets. What stays says that there was one."""
    for pattern, kind in _RULES:
        text = pattern.sub(_REPLACEMENTS[kind], text)
    return text


_REPLACEMENTS = {
    1: rf"\1\2\3\4{MASK}",
    2: rf"\1\2\3{MASK}",
    3: rf"\1\2{MASK}",
    4: f"{MASK}@",
}
