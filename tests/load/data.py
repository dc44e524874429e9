"""The data of the load tests: always the same bytes, and a manifest that says what they are.

    .venv/bin/python -m tests.load.data DIRECTORY

Every object's bytes follow from its key, so that two machines have the same ones. The manifest
(`manifest.json` beside the objects) has size and SHA-256 of each; the SHA-256 of its blocks of
64 KiB, by which a range that covers one can be checked; and of a few short pieces that readers of
real formats ask for (the first 1 KiB, the tail). Blocks and pieces keep 64 bits of their digest:
we look for mistakes, not for forgery.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.servers.s3 import S3Server

KIB, MIB = 1024, 1024 * 1024
BLOCK = 64 * KIB
_SHORT = 16  # hexadecimal digits that are kept of a block's digest
# An object's bytes are made in parts of this size, each from its key and number.
_PART = 4 * MIB
# Parts of an upload; S3 wants at least 5 MiB, and one part is held in memory at a time.
_UPLOAD_PART = 16 * MIB
_LADDER = (1, 4, 16, 64, 256, 1024, 4096, 10240)  # KiB, the sizes of `files`
_CROWD = 2000  # objects of `mixed`; most are small, as on a real site


@dataclass(frozen=True, slots=True)
class Entry:
    """What the manifest says of one object. `pieces` has keys like "0-1023", both ends included."""

    group: str
    key: str
    size: int
    sha256: str
    blocks: str
    pieces: dict[str, str]


def sizes() -> dict[str, dict[str, int]]:
    """All objects by group: key and size in bytes."""
    crowd = {f"crowd/{n:04}.bin": _crowd_size(n) for n in range(_CROWD)}
    return {
        "edge": {"edge/empty.bin": 0, "edge/one.bin": 1, "edge/ein Käse & mehr.txt": 70_000},
        "ladder": {f"ladder/{k}KiB-{n}.bin": k * KIB for k in _LADDER for n in range(3)},
        "video": {f"video/film-{n}.mp4": 48 * MIB + n for n in range(2)},
        "paper": {f"paper/paper-{n}.pdf": 3 * MIB + 17 * n for n in range(4)},
        "table": {f"table/rows-{n}.parquet": 12 * MIB + 8 * n for n in range(4)},
        "bulk": {f"bulk/piece-{n}.bin": 4 * MIB for n in range(8)},
        "cold": {"cold/new.bin": 2 * MIB},
        "crowd": crowd,
    }


def _crowd_size(number: int) -> int:
    """From 200 B to 1 MiB, evenly spread on a logarithmic scale; no two neighbours alike."""
    place = (number * 0.6180339887498949) % 1
    return int(200 * (MIB / 200) ** place)


def body(key: str, size: int) -> Iterator[bytes]:
    """The bytes of an object, part by part (about 400 MB/s)."""
    for number, start in enumerate(range(0, size, _PART)):
        seed = f"{key}\n{number}".encode()
        yield hashlib.shake_128(seed).digest(min(_PART, size - start))


def describe(group: str, key: str, content: bytes) -> Entry:
    """The manifest's line for an object with this content."""
    view = memoryview(content)
    blocks = (view[at : at + BLOCK] for at in range(0, len(content) - BLOCK + 1, BLOCK))
    return Entry(
        group=group,
        key=key,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        blocks="".join(_short(one) for one in blocks),
        pieces={
            f"{first}-{last}": _short(view[first : last + 1])
            for first, last in _pieces(len(content))
        },
    )


def _pieces(size: int) -> list[tuple[int, int]]:
    """Head, middle, tail: what ranged readers begin with, where the object is long enough."""
    tails = [(size - length, size - 1) for length in (8, KIB, BLOCK)]
    wanted = [(0, 0), (0, KIB - 1), (size // 2, size // 2 + 999), *tails]
    return [(first, last) for first, last in wanted if first >= 0 and last < size]


def _short(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()[:_SHORT]


def make(directory: Path) -> Path:
    """Writes all objects below `directory`/objects, and the manifest; gives the manifest's path.

    What a complete run left there before is taken as it is: the manifest is written last.
    """
    manifest = directory / "manifest.json"
    plan = {"block": BLOCK, "version": 1, "sizes": sizes()}
    if manifest.exists() and json.loads(manifest.read_text())["plan"] == plan:
        return manifest
    shutil.rmtree(directory / "objects", ignore_errors=True)
    entries = []
    for group, members in sizes().items():
        for key, size in members.items():
            content = b"".join(body(key, size))
            path = directory / "objects" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            entries.append(asdict(describe(group, key, content)))
    unfinished = manifest.with_suffix(".new")
    unfinished.write_text(json.dumps({"plan": plan, "objects": entries}, indent=0))
    unfinished.replace(manifest)
    return manifest


def upload(directory: Path, store: S3Server, groups: frozenset[str]) -> None:
    """Puts the objects of these groups into the store's bucket, eight at a time."""
    wanted = [key for group in groups for key in sizes()[group]]
    store.uploads.takes_objects(store.bucket)  # makes the client before threads share it
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: _upload(store, key, directory / "objects" / key), wanted))


def _upload(store: S3Server, key: str, path: Path) -> None:
    if path.stat().st_size <= _UPLOAD_PART:
        store.uploads.put(store.bucket, key, path.read_bytes())
        return
    with path.open("rb") as file:
        store.uploads.put_multipart(store.bucket, key, iter(lambda: file.read(_UPLOAD_PART), b""))


if __name__ == "__main__":
    sys.stdout.write(f"{make(Path(sys.argv[1]))}\n")
