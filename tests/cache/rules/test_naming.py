"""Names lead nowhere else and do not collide."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cache.rules.naming import HEAD, OPENING, object_name, path_of, slice_name, version_name
from proxy.cache.upkeep.holdings import SHARDS, is_head, is_ours
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Representation

# Whatever a key can hold, and what would lead elsewhere if it were part of a path.
TEXTS = st.text(max_size=20) | st.sampled_from(
    ["", "..", "../../etc/passwd", "/", "a/b", "\0", "\udcff", "\ud83d", "x" * 2000, "é", "e\u0301"]
)
REPRESENTATIONS = st.builds(
    Representation,
    st.integers(0, 2**63),
    etag=st.none() | st.builds(EntityTag, st.text(max_size=5), st.booleans()),
    version=st.none() | st.text(max_size=5),
)


@given(TEXTS, TEXTS)
def test_an_objects_name_is_32_digits(origin: str, key: str) -> None:
    name = object_name(origin, key)
    assert re.fullmatch("[0-9a-f]{32}", name)
    assert name == object_name(origin, key)
    assert is_ours(name + HEAD)
    assert is_head(name + HEAD)


@given(st.tuples(TEXTS, TEXTS), st.tuples(TEXTS, TEXTS))
def test_other_objects_have_other_names(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (object_name(*one) == object_name(*other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "bc"), ("ab", "c")),
        (("", "a"), ("a", "")),
        (("1:a", ""), ("", "1:a")),
        (("a", "1:b"), ("a1:b", "")),
        (("a", "é"), ("a", "e\u0301")),
        (("a", "\udcc3\udca9"), ("a", "é")),
    ],
)
def test_parts_do_not_run_together(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert object_name(*one) != object_name(*other)


@given(REPRESENTATIONS, REPRESENTATIONS, st.integers(1, 9), st.integers(1, 9))
def test_a_version_is_its_validators_its_size_and_the_width(
    one: Representation, other: Representation, width: int, other_width: int
) -> None:
    def told(made: Representation, width: int) -> tuple[object, ...]:
        return (str(made.etag or ""), made.version or "", made.size, width)

    name = version_name(one, width)
    assert re.fullmatch("[0-9a-f]{16}", name)
    same = told(one, width) == told(other, other_width)
    assert (name == version_name(other, other_width)) == same


def test_a_weak_tag_is_another_version() -> None:
    strong = Representation(1, etag=EntityTag("a"))
    weak = Representation(1, etag=EntityTag("a", weak=True))
    assert version_name(strong, 1) != version_name(weak, 1)


def test_metadata_makes_no_other_version() -> None:
    one = Representation(1, etag=EntityTag("a"))
    other = Representation(1, etag=EntityTag("a"), last_modified=5, media_type="a/b", tags=("x",))
    assert version_name(one, 1) == version_name(other, 1)


@given(TEXTS, TEXTS, st.integers(0, 10**6))
def test_a_slice_lies_in_a_shard_and_is_ours(origin: str, key: str, index: int) -> None:
    object_ = object_name(origin, key)
    name = slice_name(object_, version_name(Representation(1), 1), index)
    assert is_ours(name)
    assert not is_head(name)
    shard, slash, rest = path_of(name).partition("/")
    assert (slash, rest) == ("/", name)
    assert shard in SHARDS


def test_what_is_in_tmp_is_told_apart() -> None:
    assert not is_ours(object_name("a", "b") + OPENING)
