"""Path patterns: a table, and a slow second matcher."""

from __future__ import annotations

import re
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.semantics.globs import Glob, compile_glob
from tests.semantics.backtracking import StepCounter


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/a", "/a", True),
        ("/a", "/a/", False),
        ("/a", "/A", False),
        ("/a", "/ab", False),
        ("/a", "x/a", False),
        ("/a/*.js", "/a/b.js", True),
        ("/a/*.js", "/a/.js", True),
        ("/a/*.js", "/a/b/c.js", False),
        ("/a/*.js", "/a/bxjs", False),
        ("/a/*.js", "/a/b.js\n", False),
        ("/a/*", "/a/", True),
        ("/a/*", "/a/\n", True),
        ("/a/*", "/a", False),
        ("/a/*/c", "/a//c", True),
        ("/a/*/c", "/a/b/c", True),
        ("/a/*/c", "/a/c", False),
        ("/a/**", "/a/", True),
        ("/a/**", "/a/b/c", True),
        ("/a/**", "/a/b\nc/d", True),
        ("/a/**", "/a", False),
        ("/a/**", "/ab", False),
        ("/a/**/b", "/a/b", True),
        ("/a/**/b", "/a/x/b", True),
        ("/a/**/b", "/a/x/y/b", True),
        ("/a/**/b", "/a/xb", False),
        ("/a/**/b", "/ab", False),
        ("/**/*.ts", "/a.ts", True),
        ("/**/*.ts", "/x/y/a.ts", True),
        ("/**/*.ts", "/x/y/a.tsx", False),
        ("/**", "/", True),
        ("**", "", True),
        ("**", "/any/thing", True),
        ("/a.b", "/axb", False),
        ("/[ab]", "/a", False),
        ("/[ab]", "/[ab]", True),
        ("/a?", "/a", False),
        ("/a?", "/a?", True),
        ("/(a|b)+$^{1}\\d", "/(a|b)+$^{1}\\d", True),
        ("/é 😀", "/é 😀", True),
        ("", "", True),
        ("", "/", False),
    ],
)
def test_table(pattern: str, path: str, expected: bool) -> None:
    assert compile_glob(pattern).matches(path) is expected


def matches(pattern: str, path: str) -> bool:
    """By trying everything."""
    whole = tuple(pattern.split("/"))
    parts = (*whole, "*") if whole[-1] == "**" else whole
    segments = path.split("/")

    @cache
    def rest(p: int, s: int) -> bool:
        if p == len(parts):
            return s == len(segments)
        if parts[p] == "**":
            return any(rest(p + 1, later) for later in range(s, len(segments) + 1))
        return s < len(segments) and part_matches(parts[p], segments[s]) and rest(p + 1, s + 1)

    return rest(0, 0)


def part_matches(part: str, segment: str) -> bool:
    """Likewise, for one part."""
    if not part:
        return not segment
    if part[0] == "*":
        return any(part_matches(part[1:], segment[i:]) for i in range(len(segment) + 1))
    return segment[:1] == part[0] and part_matches(part[1:], segment[1:])


@given(st.text("/ab*", max_size=12), st.text("/ab\n", max_size=14))
def test_agrees_with_trying_everything(pattern: str, path: str) -> None:
    assert compile_glob(pattern).matches(path) == matches(pattern, path)


@given(
    st.lists(st.sampled_from(["**", "*", "a", "b", "a*", "*b*", ""]), max_size=7).map("/".join),
    st.lists(st.sampled_from(["a", "b", "ab", "ba", ""]), max_size=9).map("/".join),
)
def test_agrees_with_trying_everything_by_parts(pattern: str, path: str) -> None:
    assert compile_glob(pattern).matches(path) == matches(pattern, path)


class Counting:
    """A part of a pattern that counts how often it is asked."""

    def __init__(self, part: re.Pattern[str]) -> None:
        self.part, self.asked = part, 0

    def fullmatch(self, text: str) -> re.Match[str] | None:
        self.asked += 1
        return self.part.fullmatch(text)


@pytest.mark.parametrize("pattern", ["/**/a/**/b/**/c", "/**/*/**/*/**/x", "/**/a/b/a/b/x"])
def test_parts_are_tried_no_more_than_their_product(pattern: str) -> None:
    for unit in ("/a", "/b", "/a/b", "/", "/a/b/a"):
        path = unit * 300
        glob = compile_glob(pattern)
        counted = [part if part is None else Counting(part) for part in glob.parts]
        assert not Glob(tuple(counted)).matches(path)  # type: ignore[arg-type]  # asked alike
        asked = sum(part.asked for part in counted if part is not None)
        assert asked <= len(glob.parts) * (path.count("/") + 1)


@pytest.mark.parametrize("pattern", ["*a*a*b", "*a*b*c.js", "*", "a*", "*aa*aa*aa*x"])
def test_one_part_is_linear(pattern: str) -> None:
    [part] = compile_glob(pattern).parts
    assert part is not None
    for unit in ("a", "ab", "b", ".j", "c"):
        short, long = (StepCounter(part) for _ in range(2))
        short.fullmatch((unit * 100)[:100])
        long.fullmatch((unit * 200)[:200])
        assert long.steps <= 2.5 * short.steps + 60
