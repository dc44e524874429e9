"""Which objects are read as a whole to check a range of them."""

from __future__ import annotations

import pytest

from proxy.integrity.checking import Checking, Policy, keeps
from proxy.integrity.rolling import make_pool
from proxy.origins.memory import BUFFER_SIZE, MemoryObject, MemoryOrigin, StoredObject

POOL = make_pool()


class Kept(MemoryObject):
    """As of a layer that keeps what is read."""

    def confirm(self, algorithm: str) -> None: ...


def opened(size: int, kind: type[MemoryObject] = MemoryObject) -> MemoryObject:
    return kind(MemoryOrigin(), "a", StoredObject(bytes(size)), BUFFER_SIZE)


@pytest.mark.parametrize(
    ("policy", "alone", "kept", "kept_and_large"),
    [
        ("require", True, True, True),
        ("when-available", False, True, False),
        ("off", False, False, False),
    ],
)
def test_looking_into_an_object(
    policy: Policy, alone: bool, kept: bool, kept_and_large: bool
) -> None:
    checking = Checking(policy, POOL, kept_through=10)
    assert checking.looks_into(opened(10)) is alone
    assert checking.looks_into(opened(10, Kept)) is kept
    assert checking.looks_into(opened(11, Kept)) is kept_and_large


def test_what_keeps() -> None:
    assert (keeps(opened(1)), keeps(opened(1, Kept))) == (False, True)
