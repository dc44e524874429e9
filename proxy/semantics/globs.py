"""Path patterns of the configuration: `*` within a part, `**` for any number of whole parts.

A pattern is the operator's, a path is anybody's: whatever the two are, matching takes at most the
product of their numbers of parts, and each part time linear in its length. (One regular expression
for the whole would try every way of sharing a path among its wildcards: 0.1 s for a path of 1 KiB.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_STARS = re.compile(r"\*+")
_ANY = re.compile("[^/]*")


@dataclass(frozen=True, slots=True)
class Glob:
    """A compiled pattern. None among the parts is `**`."""

    parts: tuple[re.Pattern[str] | None, ...]

    def matches(self, path: str) -> bool:
        """Whether the whole of a decoded public path matches.

        The usual way with wildcards: each part is matched where it first can, and only the last
        `**` before it is ever made longer.
        """
        segments = path.split("/")
        here, star, resume = 0, -1, 0
        position = 0
        while position < len(segments):
            part = self.parts[here] if here < len(self.parts) else _NOTHING
            if part is None:
                star, resume = here, position
                here += 1
            elif part.fullmatch(segments[position]):
                here, position = here + 1, position + 1
            elif star >= 0:
                resume += 1
                here, position = star + 1, resume
            else:
                return False
        return all(part is None for part in self.parts[here:])


_NOTHING = re.compile(r"(?!)")


def compile_glob(pattern: str) -> Glob:
    """Reads a pattern. All characters but `*` stand for themselves.

    `/a/*.js` matches in one folder, `/a/**` everything below `/a/` but not `/a`, and `/a/**/b`
    also `/a/b`. Only a whole part can be `**`; within one, `**` is the same as `*`.
    """
    parts = [None if part == "**" else _compile_part(part) for part in pattern.split("/")]
    if parts[-1] is None:  # at the end it is everything below: at least one part
        parts.append(_ANY)
    return Glob(tuple(parts))


def _compile_part(part: str) -> re.Pattern[str]:
    """The first place where a text between two stars fits is as good as any later one, so each
    is found once and never looked for again: that is what the atomic groups say."""
    first, *rest = map(re.escape, _STARS.split(part))
    if not rest:
        return re.compile(first)
    return re.compile(first + _found_once(rest[:-1]) + ".*" + rest[-1], re.DOTALL)


def _found_once(texts: Sequence[str]) -> str:
    return "".join(f"(?>.*?{text})" for text in texts)
