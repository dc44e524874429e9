"""What is remembered of which version, and that it stays within bounds."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.integrity.digest_memory import MOST_REMEMBERED, DigestMemory, name_of
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Representation

HERE = Representation(5, EntityTag("a"), version="1")
ONE, TWO = hashlib.sha256(b"1").digest(), hashlib.sha256(b"2").digest()


def name(number: int) -> bytes:
    found = name_of("o", str(number), HERE)
    assert found is not None
    return found


def test_a_name_is_of_one_version_of_one_object() -> None:
    others = [
        name_of("o", "k", HERE),
        name_of("p", "k", HERE),
        name_of("o", "k.br", HERE),
        name_of("o", "k", replace(HERE, etag=EntityTag("b"))),
        name_of("o", "k", replace(HERE, size=6)),
        name_of("o", "k", replace(HERE, version=None)),
        name_of("o2:k", "", HERE),
        name_of("", "o1:k", HERE),
    ]
    assert len(set(others)) == len(others)
    assert name_of("o", "k", HERE) == name_of("o", "k", replace(HERE, media_type="a/b"))


@pytest.mark.parametrize("etag", [None, EntityTag("a", weak=True)])
def test_what_has_no_strong_validator_has_no_name(etag: EntityTag | None) -> None:
    assert name_of("o", "k", replace(HERE, etag=etag)) is None


@given(st.text(), st.text())
def test_any_key_has_a_name(key: str, other: str) -> None:
    assert (name_of("o", key, HERE) == name_of("o", other, HERE)) == (key == other)


def test_a_key_that_is_no_unicode_has_a_name() -> None:
    assert name_of("o", "\udcff", HERE)


def test_algorithms_are_remembered_together() -> None:
    memory = DigestMemory()
    assert memory.remember(name(1), "sha-256", ONE)
    assert memory.remember(name(1), "sha-512", TWO)
    assert memory.known(name(1)) == {"sha-256": ONE, "sha-512": TWO}
    assert memory.known(name(2)) == {}
    assert len(memory) == 1


def test_two_digests_of_one_version_are_none() -> None:
    memory = DigestMemory()
    memory.remember(name(1), "sha-256", ONE)
    assert not memory.remember(name(1), "sha-256", TWO)
    assert memory.known(name(1)) == {}
    assert memory.remember(name(1), "sha-256", TWO)


def test_what_was_used_last_stays_longest() -> None:
    memory = DigestMemory(most=3)
    for number in (1, 2, 3):
        memory.remember(name(number), "sha-256", ONE)
    memory.known(name(1))
    memory.remember(name(2), "sha-256", ONE)
    memory.remember(name(4), "sha-256", ONE)
    assert [number for number in (1, 2, 3, 4) if memory.known(name(number))] == [1, 2, 4]
    assert len(memory) == 3


def test_a_full_memory_is_as_large_as_said() -> None:
    memory = DigestMemory()
    tracemalloc.start()
    try:
        for _ in range(2 * MOST_REMEMBERED):
            memory.remember(os.urandom(32), "sha-256", os.urandom(32))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(memory) == MOST_REMEMBERED
    assert size / MOST_REMEMBERED < 600
