"""Purges, lists and checks of what is on disk, also where some of it is damaged."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.cache.disk.files import SHARDS, Files
from proxy.cache.disk.format import Head, Label
from proxy.cache.rules.checking import BLOCK
from proxy.cache.rules.naming import HEAD, object_name, slice_name, version_name
from proxy.cache.rules.purge import Purge
from proxy.cache.upkeep.sweeping import Swept, list_shard, purge_shard, scrub_shard
from proxy.semantics.etags import EntityTag
from proxy.semantics.representation import Representation
from tests.cache.disk.test_disk import full
from tests.cache.samples import bytes_of, descriptors, put_slice, slice_file

WIDTH = 2 * BLOCK
OBJECTS = {
    ("store", "a/1"): ("red",),
    ("store", "a/2"): ("red", "blue"),
    ("store", "b/1"): (),
    ("other", "a/1"): ("blue",),
}
SLICES = 3
LENGTHS = [WIDTH, WIDTH, 100]
SIZE = sum(LENGTHS)


@pytest.fixture(autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() == before


def head_of(origin: str, key: str, tags: tuple[str, ...] = ()) -> Head:
    known = Representation(SIZE, etag=EntityTag(f"{len(key)}"), tags=tags)
    return Head(origin, key, WIDTH, 1000.0, known, sealed_by="")


def store(files: Files, head: Head, *, with_head: bool = True) -> str:
    """Puts an object and all its slices into the directory; its name."""
    name = object_name(head.origin, head.key)
    version = version_name(head.representation, head.width)
    if with_head:
        files.write_head(name, head)
    for index, length in enumerate(LENGTHS):
        label = Label(head.origin, head.key, version, index, length)
        put_slice(files, slice_name(name, version, index), bytes_of(length, index), label)
    return name


@pytest.fixture
def files(tmp_path: Path) -> Files:
    made = Files(str(tmp_path / "cache"))
    made.prepare()
    for (origin, key), tags in OBJECTS.items():
        store(made, head_of(origin, key, tags))
    return made


def purge(files: Files, what: Purge) -> Swept:
    swept = Swept()
    for shard in SHARDS:
        swept.more(purge_shard(files, shard, what))
    return swept


def scrub(files: Files) -> Swept:
    swept = Swept()
    for shard in SHARDS:
        swept.more(scrub_shard(files, shard))
    return swept


def listed(files: Files, prefix: str = "") -> list[dict[str, object]]:
    return [one for shard in SHARDS for one in list_shard(files, shard, prefix)]


def left(files: Files) -> set[tuple[str, str]]:
    """The objects of which there is anything."""
    names = {object_name(*one): one for one in OBJECTS}
    return {names[name[:32]] for name in files.names()}


# --- purging ------------------------------------------------------------------------------------

WHICH = [
    (Purge("key", "a/1"), [("store", "a/1"), ("other", "a/1")]),
    (Purge("key", "a/1", "store"), [("store", "a/1")]),
    (Purge("key", "a/"), []),
    (Purge("prefix", "a/"), [("store", "a/1"), ("store", "a/2"), ("other", "a/1")]),
    (Purge("prefix", "a/", "other"), [("other", "a/1")]),
    (Purge("prefix", ""), list(OBJECTS)),
    (Purge("tag", "red"), [("store", "a/1"), ("store", "a/2")]),
    (Purge("tag", "blue", "store"), [("store", "a/2")]),
    (Purge("tag", "green"), []),
]


@pytest.mark.parametrize(("what", "meant"), WHICH)
def test_a_hard_purge_removes_what_is_meant(
    files: Files, what: Purge, meant: list[tuple[str, str]]
) -> None:
    assert purge(files, what) == Swept(objects=len(meant), slices=SLICES * len(meant))
    assert left(files) == set(OBJECTS) - set(meant)
    assert purge(files, what) == Swept()


@pytest.mark.parametrize(("what", "meant"), WHICH)
def test_a_soft_purge_has_what_is_meant_validated(
    files: Files, what: Purge, meant: list[tuple[str, str]]
) -> None:
    before = sorted(files.names())
    assert purge(files, replace(what, soft=True)) == Swept(objects=len(meant))
    assert sorted(files.names()) == before
    for (origin, key), tags in OBJECTS.items():
        head = head_of(origin, key, tags)
        purged = replace(head, validated=0.0) if (origin, key) in meant else head
        assert files.read_head(object_name(origin, key)) == purged


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("what", [Purge("key", "a/1", "store"), Purge("prefix", "a/1", "store")])
@pytest.mark.parametrize("head", ["gone", "damaged", "a link"])
def test_an_object_without_a_head_is_known_by_its_slices(
    files: Files, what: Purge, soft: bool, head: str
) -> None:
    path = Path(files.path(object_name("store", "a/1") + HEAD))
    path.unlink()
    if head == "damaged":
        path.write_bytes(b"HGhead1\n, not")
    elif head == "a link":
        path.symlink_to("/dev/null")
    assert purge(files, replace(what, soft=soft)).objects == 1
    assert left(files) == set(OBJECTS) - {("store", "a/1")}


def test_one_whose_first_slices_are_damaged_is_known_by_the_others(files: Files) -> None:
    name = object_name("store", "a/1")
    for each in files.names_of(name)[:-1]:
        Path(files.path(each)).write_bytes(b"damaged")
    assert purge(files, Purge("key", "a/1", "store")).objects == 1
    assert files.names_of(name) == []


def test_one_of_which_nothing_can_be_read_stays_for_a_scrub(files: Files) -> None:
    name = object_name("store", "a/1")
    for each in files.names_of(name):
        Path(files.path(each)).write_bytes(b"damaged")
    assert purge(files, Purge("key", "a/1", "store")).objects == 0
    assert scrub(files).damaged == SLICES
    assert files.names_of(name) == []


def test_a_soft_purge_on_a_full_disk_removes_the_heads(tmp_path: Path) -> None:
    """The head has to go, or else it would be as fresh as before."""
    root = tmp_path / "full"
    with full(root):
        files = Files(str(root))
        files.prepare()
        name = object_name("store", "a/1")
        files.write_head(name, head_of("store", "a/1"))
        fill_up(root)
        swept = purge_shard(files, name[:2], Purge("key", "a/1", soft=True))
        assert swept.objects == 1
        head = files.read_head(name)
        assert head is None or head.validated == 0
        assert os.listdir(root / "tmp") == []


def fill_up(root: Path) -> None:
    with (root / "large").open("wb", buffering=0) as file:
        try:
            for _ in range(2 << 10):
                file.write(bytes(4096))
        except OSError:
            pass


# --- listing ------------------------------------------------------------------------------------


def test_a_list_tells_what_is_kept(files: Files) -> None:
    every = listed(files)
    assert {(one["origin"], one["key"]) for one in every} == set(OBJECTS)
    [one] = listed(files, "b/")
    name = object_name("store", "b/1")
    sizes = [os.stat(files.path(each)).st_size for each in files.names_of(name)[1:]]
    assert one == {
        "origin": "store",
        "key": "b/1",
        "size": SIZE,
        "kept": sum(sizes),
        "slices": SLICES,
        "validated": 1000.0,
        "etag": '"3"',
        "verified": "",
        "tags": [],
    }
    assert listed(files, "c") == []


def test_a_list_counts_slices_of_the_version_that_is_known(files: Files) -> None:
    name = object_name("store", "b/1")
    version = version_name(head_of("store", "b/1").representation, WIDTH)
    newer = replace(head_of("store", "b/1"), sealed_by="sha256", seal=(b"12345678",))
    newer = replace(newer, representation=Representation(SIZE, tags=("x",)))
    files.write_head(name, newer)
    [one] = listed(files, "b/1")
    assert (one["slices"], one["kept"], one["etag"], one["tags"]) == (0, 0, "", ["x"])
    assert one["verified"] == "sha256"
    assert slice_name(name, version, 0) in files.names_of(name)


def test_a_list_leaves_out_what_has_no_head(files: Files) -> None:
    Path(files.path(object_name("store", "b/1") + HEAD)).unlink()
    Path(files.path(object_name("store", "a/1") + HEAD)).write_bytes(b"damaged")
    assert {(one["origin"], one["key"]) for one in listed(files)} == {
        ("store", "a/2"),
        ("other", "a/1"),
    }


# --- scrubbing ----------------------------------------------------------------------------------


def test_a_scrub_counts_what_is_right(files: Files) -> None:
    before = sorted(files.names())
    assert scrub(files) == Swept(
        objects=len(OBJECTS), slices=SLICES * len(OBJECTS), bytes=SIZE * len(OBJECTS)
    )
    assert sorted(files.names()) == before


def flip(at: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(content)

    return damage


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def cut_in_the_middle(path: Path) -> None:
    """What is left has a right footer."""
    content = path.read_bytes()
    path.write_bytes(content[:BLOCK] + content[WIDTH:])


@pytest.mark.parametrize(
    "damage",
    [flip(0), flip(BLOCK), flip(WIDTH - 1), flip(-1), flip(-30), cut, empty, cut_in_the_middle],
)
def test_a_scrub_drops_what_is_damaged_and_only_that(
    files: Files, damage: Callable[[Path], None]
) -> None:
    path = Path(files.path(files.names_of(object_name("store", "a/1"))[1]))
    version = version_name(head_of("store", "a/1").representation, WIDTH)
    label = Label("store", "a/1", version, int(path.name.rpartition(".")[2]), WIDTH)
    path.write_bytes(slice_file(bytes_of(WIDTH), label))
    right = scrub(files).bytes - WIDTH
    before = set(files.names())
    damage(path)
    assert scrub(files) == Swept(
        objects=len(OBJECTS),
        slices=SLICES * len(OBJECTS),
        bytes=right,
        damaged=1,
    )
    assert before - set(files.names()) == {path.name}
    assert scrub(files).damaged == 0


@pytest.mark.parametrize(
    "others",
    [(("store", "a/1"), 1), (("store", "a/2"), 0), (("other", "a/1"), 0)],
    ids=["index", "key", "origin"],
)
def test_a_scrub_finds_slices_that_were_swapped(
    files: Files, others: tuple[tuple[str, str], int]
) -> None:
    """Each is whole, and neither is what its name says."""

    def path_of(one: tuple[str, str], index: int) -> Path:
        version = version_name(head_of(*one).representation, WIDTH)
        return Path(files.path(slice_name(object_name(*one), version, index)))

    mine, other = path_of(("store", "a/1"), 0), path_of(*others)
    aside = mine.with_name("aside")
    for before, after in ((mine, aside), (other, mine), (aside, other)):
        before.rename(after)
    assert scrub(files).damaged == 2
    assert not mine.exists()
    assert not other.exists()
    assert scrub(files).damaged == 0


def misplace(files: Files) -> Path:
    """Puts the head of an object where another's belongs; where that is."""
    mine, other = (
        Path(files.path(object_name(*one) + HEAD)) for one in (("store", "a/1"), ("store", "b/1"))
    )
    mine.write_bytes(other.read_bytes())
    return mine


def test_a_scrub_drops_a_head_that_is_under_another_name_and_keeps_the_slices(
    files: Files,
) -> None:
    before = set(files.names())
    head = misplace(files)
    assert scrub(files) == Swept(
        objects=len(OBJECTS),
        slices=SLICES * len(OBJECTS),
        bytes=SIZE * len(OBJECTS),
        damaged=1,
    )
    assert before - set(files.names()) == {head.name}
    assert scrub(files).damaged == 0


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    ("what", "meant"),
    [
        (Purge("prefix", "b/"), [("store", "b/1")]),
        (Purge("prefix", "a/1", "store"), [("store", "a/1")]),
    ],
)
def test_an_object_under_a_head_of_another_is_known_by_its_slices(
    files: Files, what: Purge, soft: bool, meant: list[tuple[str, str]]
) -> None:
    misplace(files)
    assert [one["key"] for one in listed(files, "b/")] == ["b/1"]
    assert purge(files, replace(what, soft=soft)).objects == 1
    gone = set() if soft and meant == [("store", "b/1")] else set(meant)
    assert left(files) == set(OBJECTS) - gone


def test_a_scrub_goes_on_after_what_can_not_be_opened(files: Files) -> None:
    name = files.names_of(object_name("store", "a/1"))[1]
    Path(files.path(name)).unlink()
    Path(files.path(name)).symlink_to("/dev/null")
    swept = scrub(files)
    assert swept.objects == len(OBJECTS)
    assert swept.damaged == 1
    assert not os.path.lexists(files.path(name))


def test_a_scrub_of_a_large_slice_reads_all_of_it(tmp_path: Path) -> None:
    files = Files(str(tmp_path / "large"))
    files.prepare()
    name, length = slice_name(object_name("store", "large"), "cd" * 8, 0), 40 * BLOCK + 5
    label = Label("store", "large", "cd" * 8, 0, length)
    path = put_slice(files, name, bytes_of(length), label)
    assert scrub(files) == Swept(objects=1, slices=1, bytes=length)
    flip(length - 1)(path)
    assert scrub(files) == Swept(objects=1, slices=1, damaged=1)


def test_what_goes_meanwhile_is_no_damage(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    real = files.names

    def names(shards: tuple[str, ...] = SHARDS) -> Iterator[str]:
        yield from real(shards)
        yield f"{shards[0]}{'0' * 30}.{'1' * 16}.0"

    monkeypatch.setattr(files, "names", names)
    assert scrub(files).damaged == 0
    assert purge(files, Purge("prefix", "")).objects == len(OBJECTS)


def test_sums_add_up() -> None:
    swept = Swept(1, 2, 3, 4)
    swept.more(Swept(10, 20, 30, 40))
    assert swept == Swept(11, 22, 33, 44)
