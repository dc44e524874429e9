"""Downloads of a store's object that are cut at random points and resumed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.e2e.program import Headgate
from tests.e2e.resuming import MIB, configuration, put_object, resume_once
from tests.servers.s3 import SeaweedFS

pytestmark = pytest.mark.servers


def test_resumed_downloads_are_whole(seaweedfs: SeaweedFS, tmp_path: Path) -> None:
    size, chance = 48 * MIB, random.Random(20)
    etag, wanted = put_object(seaweedfs, "resumed.bin", size)
    with Headgate(configuration(seaweedfs)) as program:
        for _ in range(12):
            cut = chance.randrange(1, size)
            got = resume_once(f"{program.url}/resumed.bin", etag, cut, tmp_path / "got")
            assert got == wanted, f"cut at {cut}"
