"""What the limit of descriptors allows, and the one in reserve."""

from __future__ import annotations

import os
import resource

import pytest

from proxy.server import descriptors


def test_connections_leave_room_for_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert descriptors.most_connections(0) == (1024 - 64) // 3
    assert descriptors.most_connections(100) == 100
    assert descriptors.most_connections(5000) == (1024 - 64) // 3
    monkeypatch.setattr(resource, "getrlimit", lambda _: (16, 16))
    assert descriptors.most_connections(0) == 8


def test_the_soft_limit_becomes_the_hard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: asked.append(both))
    descriptors.raise_limit()
    assert asked == [(4096, 4096)]


def test_the_spare_one_can_be_given_up_and_taken_again() -> None:
    before = len(os.listdir("/dev/fd"))
    spare = descriptors.Spare()
    assert len(os.listdir("/dev/fd")) == before + 1
    assert (spare.give(), spare.give()) == (True, False)
    spare.take()
    spare.take()
    assert len(os.listdir("/dev/fd")) == before + 1
    spare.close()
    assert len(os.listdir("/dev/fd")) == before
