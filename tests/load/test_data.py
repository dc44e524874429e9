from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests.load import data


def test_an_object_is_the_same_every_time_and_has_its_size() -> None:
    first = b"".join(data.body("a/key", 9 * data.MIB + 5))
    assert len(first) == 9 * data.MIB + 5
    assert first == b"".join(data.body("a/key", len(first)))
    assert first[:1000] != b"".join(data.body("another", 1000))
    # Parts are not repeats of each other, or an answer with one of them twice would go unseen.
    assert first[:1000] != first[4 * data.MIB : 4 * data.MIB + 1000]


def test_the_bytes_stay_what_they_were_in_earlier_runs() -> None:
    content = b"".join(data.body("ladder/1KiB-0.bin", 1024))
    assert hashlib.sha256(content).hexdigest()[:16] == "48af985acca0cbc0"


def test_the_manifest_describes_blocks_and_pieces() -> None:
    content = b"".join(data.body("k", 3 * data.BLOCK + 100))
    entry = data.describe("g", "k", content)
    assert entry.sha256 == hashlib.sha256(content).hexdigest()
    assert len(entry.blocks) == 3 * 16  # the rest of 100 bytes is no block
    second = hashlib.sha256(content[data.BLOCK : 2 * data.BLOCK]).hexdigest()[:16]
    assert entry.blocks[16:32] == second
    tail = hashlib.sha256(content[-8:]).hexdigest()[:16]
    assert entry.pieces[f"{len(content) - 8}-{len(content) - 1}"] == tail


def test_pieces_lie_within_the_object() -> None:
    assert data.describe("g", "k", b"").pieces == {}
    assert list(data.describe("g", "k", b"x").pieces) == ["0-0"]


def test_the_groups_are_what_the_scenarios_need() -> None:
    sizes = data.sizes()
    assert min(sizes["ladder"].values()) == 1024
    assert max(sizes["ladder"].values()) == 10 * data.MIB
    assert len(sizes["crowd"]) == 2000
    assert all(200 <= size <= data.MIB for size in sizes["crowd"].values())
    assert sum(sum(group.values()) for group in sizes.values()) < 600 * data.MIB


def test_what_a_complete_run_left_is_taken_as_it_is(tmp_path: Path, small: None) -> None:
    manifest = data.make(tmp_path)
    objects = json.loads(manifest.read_text())["objects"]
    assert [one["key"] for one in objects] == ["ladder/a.bin", "ladder/b.bin"]
    (tmp_path / "objects/ladder/a.bin").write_bytes(b"left as it is")
    assert data.make(tmp_path) == manifest
    assert (tmp_path / "objects/ladder/a.bin").read_bytes() == b"left as it is"


def test_an_unfinished_run_is_done_again(tmp_path: Path, small: None) -> None:
    manifest = data.make(tmp_path)
    manifest.unlink()
    (tmp_path / "objects/ladder/a.bin").write_bytes(b"half")
    data.make(tmp_path)
    assert len((tmp_path / "objects/ladder/a.bin").read_bytes()) == 70_000
