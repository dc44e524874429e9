"""Path patterns: a table, and a slow second matcher."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.semantics.globs import compile_glob
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
    assert (compile_glob(pattern).fullmatch(path) is not None) is expected


def matches(pattern: str, path: str) -> bool:
    """By trying everything."""

    @cache
    def rest(p: int, t: int) -> bool:
        if p == len(pattern):
            return t == len(path)
        if pattern.startswith("**/", p):
            ends = [t, *(i for i in range(t + 1, len(path) + 1) if path[i - 1] == "/")]
            return any(rest(p + 3, i) for i in ends)
        if pattern.startswith("**", p):
            return any(rest(p + 2, i) for i in range(t, len(path) + 1))
        if pattern[p] == "*":
            stops = [i for i in range(t, len(path) + 1) if "/" not in path[t:i]]
            return any(rest(p + 1, i) for i in stops)
        return t < len(path) and pattern[p] == path[t] and rest(p + 1, t + 1)

    return rest(0, 0)


@given(st.text("/ab*", max_size=10), st.text("/ab\n", max_size=12))
def test_agrees_with_trying_everything(pattern: str, path: str) -> None:
    assert (compile_glob(pattern).fullmatch(path) is not None) == matches(pattern, path)


@pytest.mark.parametrize("pattern", ["/**/*.js", "/a/**", "/*.m3u8", "/**", "/**/b", "/a/*/c"])
def test_patterns_with_one_of_a_kind_are_linear(pattern: str) -> None:
    for unit in ("/", "a", "a/", "/a", ".", ".j", "/b/", "/c"):
        short, long = (StepCounter(compile_glob(pattern)) for _ in range(2))
        short.fullmatch("/a/" + (unit * 60)[:60] + "x")
        long.fullmatch("/a/" + (unit * 120)[:120] + "x")
        assert long.steps <= 2.2 * short.steps + 60
