"""For all tests: real servers, started when the first test asks, patience, Hypothesis's profiles.

The servers' one bucket is shared by every test of the process: give keys a prefix of your own, or
make a bucket by `uploads.create_bucket`.

`HYPOTHESIS_PROFILE=long pytest tests/semantics` tries more than a hundred times as many
examples, which takes some minutes a file (more than pytest's own timeout: `-o timeout=600`).
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, settings

from tests.servers import RcloneS3, SeaweedFS

# Seconds. httpx waits for five where nothing else is said: a disk alone may be busy for as long.
_PATIENCE = 60.0
_waits = inspect.signature(httpx.get).parameters["timeout"].default  # of clients, too
_waits.connect = _waits.read = _waits.write = _waits.pool = _PATIENCE

# No deadline: on a shared machine a slow example says nothing about the code.
_SLOW_MACHINE = [HealthCheck.too_slow]

settings.register_profile(
    "quick",
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=_SLOW_MACHINE,
)
settings.register_profile(
    "long",
    max_examples=10_000,
    deadline=None,
    print_blob=True,
    database=None,
    suppress_health_check=_SLOW_MACHINE,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[SeaweedFS]:
    """The faithful S3 server."""
    with SeaweedFS() as server:
        yield server


@pytest.fixture(scope="session")
def rclone() -> Iterator[RcloneS3]:
    """The sloppy S3-compatible server."""
    with RcloneS3() as server:
        yield server
