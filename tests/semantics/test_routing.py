"""Mounts and rules."""

from __future__ import annotations

import pytest

from proxy.semantics.globs import compile_glob
from proxy.semantics.routing import PLAIN, Mount, Rule, Treatment, find_mount, treatment_of

ROOT, A, AB, C = (Mount(path, "store") for path in ("/", "/a/", "/a/b/", "/c/"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", ROOT),
        ("/x", ROOT),
        ("/a", A),
        ("/a/", A),
        ("/a/x", A),
        ("/ab", ROOT),
        ("/a/b", AB),
        ("/a/b/", AB),
        ("/a/b/c", AB),
        ("/a/bc", A),
        ("/a//b/", A),
        ("//a/", ROOT),
        ("/A/", ROOT),
        ("/c/d", C),
    ],
)
def test_longest_mount(path: str, expected: Mount) -> None:
    mounts = [ROOT, A, AB, C]
    assert find_mount(path, mounts) is expected
    assert find_mount(path, mounts[::-1]) is expected


def test_no_mount() -> None:
    assert find_mount("/", []) is None
    assert find_mount("/x", [A, C]) is None
    assert find_mount("/", [A]) is None


def rule(
    pattern: str,
    cache: str | None = None,
    csp: str | None = None,
    fallback: str | None = None,
    download: bool | None = None,
) -> Rule:
    return Rule(compile_glob(pattern), cache, csp, fallback, download)


RULES = [
    rule("/a/*.js", cache="immutable"),
    rule("/a/**", cache="short", csp="sandbox", download=True),
    rule("/a/kept/**", csp="", download=False),
    rule("/**", cache="long", csp="none", fallback="/index.html", download=False),
]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/x.js", Treatment("immutable", "sandbox", "/index.html", download=True)),
        ("/a/x", Treatment("short", "sandbox", "/index.html", download=True)),
        ("/x", Treatment("long", "none", "/index.html", download=False)),
    ],
)
def test_first_rule_wins_for_each_matter(path: str, expected: Treatment) -> None:
    assert treatment_of(path, RULES) == expected


def test_an_empty_value_and_a_no_are_said() -> None:
    assert treatment_of("/a/kept/x", RULES[2:]) == Treatment(
        "long", "", "/index.html", download=False
    )
    assert treatment_of("/a/kept/x", [RULES[2], RULES[1]]).download is False
    assert treatment_of("/a/kept/x", [RULES[1], RULES[2]]).download is True


def test_no_rule() -> None:
    assert treatment_of("/x", []) is PLAIN
    assert treatment_of("/x", RULES[:3]) is PLAIN
    assert treatment_of("/x", [rule("/x")]) == PLAIN
