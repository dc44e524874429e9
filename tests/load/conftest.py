"""Data of two objects in place of hundreds of megabytes."""

from __future__ import annotations

import pytest

from tests.load import data

SMALL = {"ladder": {"ladder/a.bin": 70_000, "ladder/b.bin": 300_000}}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator makes two objects of the group `ladder`, and no others."""
    monkeypatch.setattr(data, "sizes", lambda: SMALL)
