"""Path patterns of the configuration: `*` within a segment, `**` across segments."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\*\*/|\*\*|\*|[^*]+")


def compile_glob(pattern: str) -> re.Pattern[str]:
    """A pattern for `fullmatch` on a decoded public path.

    `/a/*.js` matches in one folder, `/a/**` everything below `/a/`, and `/a/**/b` also `/a/b`.
    All other characters stand for themselves.
    """
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    found = _TOKEN.findall(pattern)
    return re.compile("".join(parts.get(t) or re.escape(t) for t in found), re.DOTALL)
