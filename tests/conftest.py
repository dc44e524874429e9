"""Fixtures for all tests: real servers, started when the first test asks, once per process.

Their one bucket is shared by every test of the process: give keys a prefix of your own, or make
a bucket by `uploads.create_bucket`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import RcloneS3, SeaweedFS


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
