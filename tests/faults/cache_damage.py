"""Damage to the directory of a cache: what a failing disk, a crash or a stray program leaves there.

    done = damage(Path("/var/cache/headgate"), seed=1)

Files are those of the layout, and no others: slices `<root>/<ss>/<32 hex>.<16 hex>.<index>` and
heads `<root>/<ss>/<32 hex>.head`. What is to be done is drawn first, from names and sizes alone, so
that a seed tells the very same again; then it is done in place, so that who has a file open, or
mapped, meets it too. No two kinds meet in one file.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

Kind = Literal["flip", "truncate", "swap", "zero", "head"]

_SLICE = re.compile(r"[^/]+/[0-9a-f]{32}\.[0-9a-f]{16}\.[0-9]+")
_HEAD = re.compile(r"[^/]+/[0-9a-f]{32}\.head")
_MOST_FLIPPED = 8  # bytes of one file
_LONGEST_TAIL = 64 * 1024


@dataclass(frozen=True, slots=True)
class Share:
    """The share of the slice files, or of the heads, that meets each kind; one file at least."""

    flip: float = 0.01
    truncate: float = 0.01
    swap: float = 0.01
    zero: float = 0.01
    head: float = 0.01


@dataclass(frozen=True, slots=True)
class Damage:
    """What happens to one file. Paths are relative to the root.

    Attributes:
        kind: "flip" turns bits of the bytes at `places`, "head" does so in a head; "truncate" cuts
            at `at`; "zero" writes zeros from `at` to the end; "swap" exchanges the contents of
            `path` and `other`.
        masks: for each place, the bits that are turned; never none.
    """

    kind: Kind
    path: str
    other: str = ""
    at: int = 0
    places: tuple[int, ...] = ()
    masks: tuple[int, ...] = ()


def damage(root: Path, seed: int, share: Share = Share()) -> list[Damage]:
    """Draws damage for what is below `root` now, and does it; what it did, in order.

    A file that is gone meanwhile is left out, and so is a change that changes nothing.
    """
    return [one for one in draw(files(root), random.Random(seed), share) if do(root, one)]


def files(root: Path) -> dict[str, int]:
    """Sizes of the cache's files by their paths, in order."""
    found = {}
    for path in sorted(root.glob("*/*")):
        name = f"{path.parent.name}/{path.name}"
        if _SLICE.fullmatch(name) or _HEAD.fullmatch(name):
            try:
                found[name] = path.stat().st_size
            except FileNotFoundError:
                continue
    return found


def draw(sizes: Mapping[str, int], chance: random.Random, share: Share) -> list[Damage]:
    """What to do to files of these sizes. Pure."""
    slices = sorted(name for name, size in sizes.items() if size and _SLICE.fullmatch(name))
    heads = sorted(name for name, size in sizes.items() if size and _HEAD.fullmatch(name))
    total = len(slices)
    chance.shuffle(slices)
    chance.shuffle(heads)
    drawn = [_flips("flip", one, sizes, chance) for one in _take(slices, total, share.flip)]
    drawn += [
        Damage("truncate", one, at=chance.randrange(sizes[one]))
        for one in _take(slices, total, share.truncate)
    ]
    for one in _take(slices, total, share.zero):
        tail = chance.randint(1, min(_LONGEST_TAIL, sizes[one]))
        drawn.append(Damage("zero", one, at=sizes[one] - tail))
    swapped = _take(slices, total, share.swap, each=2)
    drawn += [Damage("swap", *pair) for pair in zip(swapped[::2], swapped[1::2], strict=False)]
    drawn += [_flips("head", one, sizes, chance) for one in _take(heads, len(heads), share.head)]
    return drawn


def _take(names: list[str], total: int, share: float, each: int = 1) -> list[str]:
    """Removes so many from `names` and gives them."""
    count = each * max(1, round(total * share)) if share else 0
    taken, names[:count] = names[:count], []
    return taken


def _flips(kind: Kind, name: str, sizes: Mapping[str, int], chance: random.Random) -> Damage:
    size = sizes[name]
    count = chance.randint(1, min(_MOST_FLIPPED, size))
    places = tuple(sorted(chance.sample(range(size), count)))
    return Damage(kind, name, places=places, masks=tuple(chance.randint(1, 255) for _ in places))


def do(root: Path, one: Damage) -> bool:
    """Does it, in place; whether anything is other than before."""
    try:
        if one.kind == "swap":
            return _swap(root / one.path, root / one.other)
        with (root / one.path).open("r+b") as file:
            return _change(file, one)
    except (FileNotFoundError, IndexError):  # gone, or shorter than when it was drawn
        return False


def _change(file: BinaryIO, one: Damage) -> bool:
    before = file.read()
    if one.kind == "truncate":
        file.truncate(min(one.at, len(before)))
        return one.at < len(before)
    writes = {
        at: bytes([before[at] ^ mask]) for at, mask in zip(one.places, one.masks, strict=True)
    }
    if one.kind == "zero":
        writes = {one.at: bytes(max(0, len(before) - one.at))}
    for at, content in writes.items():
        file.seek(at)
        file.write(content)
    return any(before[at : at + len(content)] != content for at, content in writes.items())


def _swap(one: Path, other: Path) -> bool:
    first, second = one.read_bytes(), other.read_bytes()
    for path, content in ((one, second), (other, first)):
        with path.open("r+b") as file:
            file.write(content)
            file.truncate()
    return first != second
