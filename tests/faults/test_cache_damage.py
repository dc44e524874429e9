"""Each kind of damage is done to the files it should be done to, and told as it was done."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.cache_damage import Damage, Share, damage, do, draw, files

SLICE = "ab/" + "ab" * 16 + "." + "c0" * 8 + ".{}"
HEAD = "ab/" + "{:032x}" + ".head"
OTHERS = ("ab/" + "ab" * 16 + ".tmp", "index", "ab/readme", "ab/x/" + "ab" * 16 + ".head")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    chance = random.Random(1)
    names = [SLICE.format(n) for n in range(400)] + [HEAD.format(n) for n in range(100)]
    for name in (*names, *OTHERS):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(chance.randint(1, 3000)))
    return tmp_path


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_only_files_of_the_layout_are_seen(root: Path) -> None:
    assert len(files(root)) == 500
    assert not set(files(root)) & set(OTHERS)


def test_what_is_told_is_what_was_done(root: Path) -> None:
    before = contents(root)
    done = damage(root, seed=7)
    after = contents(root)
    touched = [path for one in done for path in (one.path, one.other) if path]
    assert {name for name in before if before[name] != after[name]} == set(touched)
    assert len(touched) == len(set(touched))  # no two kinds in one file
    kinds = [one.kind for one in done]
    counted = {kind: kinds.count(kind) for kind in kinds}
    assert counted == {"flip": 4, "truncate": 4, "zero": 4, "swap": 4, "head": 1}
    for one in done:
        check(one, before, after)


def check(one: Damage, before: dict[str, bytes], after: dict[str, bytes]) -> None:
    old, new = before[one.path], after[one.path]
    if one.kind == "truncate":
        assert new == old[: one.at] != old
    elif one.kind == "zero":
        assert new == old[: one.at] + bytes(len(old) - one.at)
    elif one.kind == "swap":
        assert (new, after[one.other]) == (before[one.other], old)
    else:
        turned = {i: old[i] ^ new[i] for i in range(len(old)) if old[i] != new[i]}
        assert turned == dict(zip(one.places, one.masks, strict=True))
        assert one.path.endswith(".head") == (one.kind == "head")


def test_a_share_of_nothing_does_nothing(root: Path) -> None:
    assert damage(root, seed=1, share=Share(0, 0, 0, 0, 0)) == []
    assert [one.kind for one in damage(root, 1, Share(0, 0.5, 0, 0, 0))] == ["truncate"] * 200


@given(st.integers(), st.lists(st.integers(0, 5000), max_size=30), st.integers(0, 5))
def test_any_cache_can_be_damaged_and_the_seed_says_how(
    seed: int, slices: list[int], heads: int
) -> None:
    sizes = {SLICE.format(n): size for n, size in enumerate(slices)}
    sizes |= {HEAD.format(n): 50 for n in range(heads)}
    drawn = draw(sizes, random.Random(seed), Share())
    assert drawn == draw(sizes, random.Random(seed), Share())
    for one in drawn:
        assert all(0 <= place < sizes[one.path] for place in (*one.places, one.at))
        assert all(one.masks)
        assert len(one.masks) == len(one.places)


def test_a_file_that_is_gone_or_alike_is_left_out(tmp_path: Path) -> None:
    assert not do(tmp_path, Damage("flip", "ab/gone", places=(0,), masks=(1,)))
    assert not do(tmp_path, Damage("swap", "ab/gone", "ab/too"))
    for name in ("one", "other"):
        (tmp_path / name).write_bytes(b"alike\0")
    assert not do(tmp_path, Damage("swap", "one", "other"))
    assert not do(tmp_path, Damage("zero", "one", at=5))
    for shorter in (Damage("zero", "one", at=99), Damage("truncate", "one", at=99)):
        assert not do(tmp_path, shorter)
    assert not do(tmp_path, Damage("flip", "one", places=(99,), masks=(1,)))
    assert contents(tmp_path) == {"one": b"alike\0", "other": b"alike\0"}
