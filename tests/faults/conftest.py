"""One fault origin, and the whole program over it, for all tests of this directory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.program import Headgate
from tests.faults.control import Faults
from tests.faults.servers import headgate
from tests.servers import SeaweedFS


@pytest.fixture(scope="module")
def faults(seaweedfs: SeaweedFS) -> Iterator[Faults]:
    with Faults(seaweedfs) as running:
        yield running


@pytest.fixture(scope="module")
def program(faults: Faults) -> Iterator[Headgate]:
    """With the default budget of retries, and every request logged."""
    with headgate(faults, level="info", access=True) as running:
        yield running
