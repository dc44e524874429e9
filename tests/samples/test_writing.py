from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.errors import StartError
from proxy.samples import binary, make, writing

NAMES = {"readme.txt", "player.html", "picture.png", "clip.mp4", "random-100MiB.bin"}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two quick kinds in place of the real ones."""
    monkeypatch.setattr(
        writing,
        "KINDS",
        tuple(
            writing._Kind(name, lambda: [b"whole", b" file"], lambda p: p.stat().st_size == 10)
            for name in ("one", "two")
        ),
    )


def test_all_samples_are_made(samples: Path) -> None:
    assert {path.name for path in samples.iterdir()} == NAMES


def test_the_large_one_is_always_the_same(samples: Path) -> None:
    with (samples / binary.NAME).open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == binary.SHA256
    assert binary.SHA256 in (samples / "readme.txt").read_text()


def test_the_page_names_only_files_that_are_there(samples: Path) -> None:
    page = (samples / "player.html").read_text()
    assert set(re.findall(r'(?:src|href)="([^":]+)"', page)) == NAMES - {"player.html"}


def test_anyone_may_read_them(samples: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in samples.iterdir()} == {0o644}


def test_what_is_there_is_left_alone(samples: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in samples.iterdir()}
    said: list[str] = []
    assert set(make(samples, say=said.append)) == set(before)
    assert said == []
    assert {path: path.stat().st_mtime_ns for path in samples.iterdir()} == before


@pytest.mark.parametrize("name", ["picture.png", "clip.mp4", "random-100MiB.bin", "readme.txt"])
def test_a_cut_file_is_known(samples: Path, tmp_path: Path, name: str) -> None:
    (kind,) = (kind for kind in writing.KINDS if kind.name == name)
    assert kind.whole(samples / name)
    cut = tmp_path / name
    cut.write_bytes(b"" if name == "readme.txt" else (samples / name).read_bytes()[:-1])
    assert not kind.whole(cut)
    cut.write_bytes(b"")
    assert not kind.whole(cut)


@pytest.mark.usefixtures("small")
def test_only_what_is_missing_or_cut_is_made_and_said(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"whole fi")
    (tmp_path / "two").write_bytes(b"0123456789")
    said: list[str] = []
    make(tmp_path, say=said.append)
    assert said == [f"Making {tmp_path / 'one'} …"]
    assert (tmp_path / "one").read_bytes() == b"whole file"
    assert (tmp_path / "two").read_bytes() == b"0123456789"


@pytest.mark.parametrize("before", [None, b"old"])
def test_an_interrupted_write_leaves_nothing_half(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "sample"
    if before is not None:
        path.write_bytes(before)

    def parts() -> Iterator[bytes]:
        yield b"x" * (1 << 20)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        writing._write(path, parts())
    assert (path.read_bytes() if path.exists() else None) == before
    assert [p.name for p in tmp_path.iterdir()] == (["sample"] if before else [])


@pytest.mark.usefixtures("small")
def test_part_files_of_a_killed_process_are_swept_and_fresh_ones_kept(tmp_path: Path) -> None:
    old, fresh = tmp_path / ".one.abc.part", tmp_path / ".one.def.part"
    mine = tmp_path / ".other.part"
    for path in (old, fresh, mine):
        path.write_bytes(b"half")
    for path in (old, mine):
        os.utime(path, (0, 0))
    make(tmp_path, say=lambda _: None)
    assert not old.exists()
    assert fresh.exists()
    assert mine.exists()


def test_a_place_that_cant_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StartError, match=r"can't write the sample files into .*file/in: Not a dir"):
        make(tmp_path / "file" / "in", say=lambda _: None)
