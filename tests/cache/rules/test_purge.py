"""Which objects a purge means."""

from __future__ import annotations

from typing import Literal

import pytest

from proxy.cache.rules.purge import Purge

TAGS = ("red", "a b")


@pytest.mark.parametrize(
    ("purge", "meant"),
    [
        (Purge("key", "a/b"), True),
        (Purge("key", "a/b", "store"), True),
        (Purge("key", "a/b", "other"), False),
        (Purge("key", "a/b", "stor"), False),
        (Purge("key", "a"), False),
        (Purge("key", "a/b/"), False),
        (Purge("key", "A/B"), False),
        (Purge("key", ""), False),
        (Purge("prefix", "a/"), True),
        (Purge("prefix", "a/b"), True),
        (Purge("prefix", "a/b/"), False),
        (Purge("prefix", "/a"), False),
        (Purge("prefix", ""), True),
        (Purge("prefix", "", "store"), True),
        (Purge("prefix", "", "other"), False),
        (Purge("tag", "red"), True),
        (Purge("tag", "red", "store"), True),
        (Purge("tag", "red", "other"), False),
        (Purge("tag", "re"), False),
        (Purge("tag", "Red"), False),
        (Purge("tag", "a b"), True),
        (Purge("tag", ""), False),
        (Purge("tag", "a/b"), False),
        (Purge("key", "red"), False),
    ],
)
def test_what_is_meant(purge: Purge, meant: bool) -> None:
    assert purge.matches("store", "a/b", TAGS) is meant
    soft = Purge(purge.kind, purge.value, purge.origin, soft=True)
    assert soft.matches("store", "a/b", TAGS) is meant


@pytest.mark.parametrize("kind", ["key", "prefix", "tag"])
def test_nothing_is_a_pattern(kind: Literal["key", "prefix", "tag"]) -> None:
    for value in ("*", "a/*", ".*", "a/?", "%"):
        assert not Purge(kind, value).matches("store", "a/b", TAGS)


def test_an_object_without_tags_has_none() -> None:
    assert not Purge("tag", "").matches("store", "a/b", ())
