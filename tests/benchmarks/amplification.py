"""Bytes that the store sends for each byte that clients take, by habit and by who stands between.

    .venv/bin/python -m tests.benchmarks.amplification [--slice 8MiB] [--no-cache]

Every server begins cold and does each habit in turn, one request after the other. What the store
sent is counted by the fault origin before it, with what lay in the kernel's buffers when an
answer was broken off: up to some MiB, as with a real store. A byte of the client is one it read.
"""

from __future__ import annotations

import argparse
import http.client
import random
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from proxy.config.units import parse_size
from tests.benchmarks.cached import KIB, MIB, Cache, counted_store, headgate, put
from tests.benchmarks.contestants import Ground, sliced_nginx
from tests.benchmarks.processes import started_on
from tests.benchmarks.tools import Failed
from tests.faults.control import Faults
from tests.load import machine
from tests.load.target import make_certificate

_FILE, _FILM = 88 * MIB, 256 * MIB
_TAILS, _TAIL = 20, 100_000
# Who fills on after its client left has so long to begin; counts have to stand still as long.
_SETTLED, _LONGEST_TO_SETTLE = 0.5, 60.0


@dataclass(frozen=True, slots=True)
class Visit:
    """One request. `range` is the field's value, or ""; `read` is after how many bytes the client
    leaves, None if it takes all."""

    key: str
    range: str = ""
    read: int | None = None


@dataclass(frozen=True, slots=True)
class Habit:
    """Visits, one after the other, to objects of these sizes."""

    title: str
    sizes: dict[str, int]
    visits: list[Visit]


@dataclass
class Row:
    """What one server did: by habit, bytes of the store and of the client, and GETs."""

    name: str
    cells: dict[str, tuple[int, int, int]] = field(default_factory=dict)


def habits(seed: int = 1) -> list[Habit]:
    """All of them, the same ones for the same seed."""
    chance = random.Random(seed)
    whole, film, tails = {"amp/whole": _FILE}, {"amp/film": _FILM}, _tails()
    bytes_of, blocks = {"amp/bytes": _FILM}, {"amp/blocks": _FILM}
    return [
        Habit("whole, once", whole, [Visit("amp/whole")]),
        Habit("whole, four times more", {}, [Visit("amp/whole")] * 4),
        Habit("video, 10 seeks", film, _seeks(chance, "amp/film", 10)),
        Habit("tails of 20 files", tails, [_tail(key) for key in tails]),
        Habit("1 byte, 50 places", bytes_of, list(_places(chance, "amp/bytes", 1, 50))),
        Habit("64 KiB, 50 places", blocks, list(_places(chance, "amp/blocks", 64 * KIB, 50))),
        Habit("64 KiB, 500 places more", {}, list(_places(chance, "amp/blocks", 64 * KIB, 500))),
    ]


def _tails() -> dict[str, int]:
    return {f"amp/tail-{number}": _FILE for number in range(_TAILS)}


def _tail(key: str) -> Visit:
    return Visit(key, f"bytes=-{_TAIL}")


def _seeks(chance: random.Random, key: str, count: int) -> list[Visit]:
    """A player: from a place to the end, and away after 1 to 3 MiB."""
    starts = (chance.randrange(_FILM - 3 * MIB) for _ in range(count))
    return [Visit(key, f"bytes={start}-", chance.randint(MIB, 3 * MIB)) for start in starts]


def _places(chance: random.Random, key: str, size: int, count: int) -> Iterator[Visit]:
    for _ in range(count):
        start = chance.randrange(_FILM - size)
        yield Visit(key, f"bytes={start}-{start + size - 1}")


def go(base: str, visit: Visit) -> int:
    """One visit on a connection of its own; bytes that were read. Raises Failed."""
    url = urlsplit(base + visit.key)
    assert url.hostname is not None
    with closing(http.client.HTTPConnection(url.hostname, url.port, timeout=60)) as connection:
        connection.request("GET", url.path, headers={"Range": visit.range} if visit.range else {})
        answer = connection.getresponse()
        if answer.status != (206 if visit.range else 200):
            raise Failed(f"{base}, {visit}: {answer.status}")
        read, left = 0, visit.read if visit.read is not None else sys.maxsize
        while left and (piece := answer.read(min(left, 256 * KIB))):
            read, left = read + len(piece), left - len(piece)
        if visit.read is not None and left:
            raise Failed(f"{base}, {visit}: only {read} bytes")
        return read


def measure(faults: Faults, name: str, base: str, listed: list[Habit]) -> Row:
    """All habits through one server, which has not been asked for anything."""
    row = Row(name)
    for habit in listed:
        before = settled(faults)
        read = sum(go(base, visit) for visit in habit.visits)
        after = settled(faults)
        gets = after["gets"] - before["gets"]
        row.cells[habit.title] = (after["bytes"] - before["bytes"], read, gets)
    return row


def settled(faults: Faults) -> dict[str, int]:
    """The store's counts, once nothing moves any more. Raises Failed if something always does."""
    deadline = time.monotonic() + _LONGEST_TO_SETTLE
    seen: dict[str, int] = faults.counts()["total"]
    while time.monotonic() < deadline:
        time.sleep(_SETTLED)
        now: dict[str, int] = faults.counts()["total"]
        if now == seen:
            return now
        seen = now
    raise Failed("the store is asked all the time")


def table(rows: list[Row]) -> str:
    """Markdown: the store's bytes by the client's, and how often the store was asked."""
    lines = ["| habit | client's MB |" + "".join(f" {row.name} |" for row in rows)]
    lines.append("| --- | --- |" + " --- |" * len(rows))
    for title in rows[0].cells:
        read = rows[0].cells[title][1]
        cells = (row.cells[title] for row in rows)
        said = (f" {sent / read:,.2f} ({gets} GETs) |" for sent, read, gets in cells)
        lines.append(f"| {title} | {read / 1e6:.1f} |" + "".join(said))
    return "\n".join(lines)


def main() -> int:
    """Reads the arguments, measures, and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.amplification")
    parser.add_argument("--slice", default="8MiB", help="of Headgate and of nginx")
    parser.add_argument("--no-cache", action="store_true", help="Headgate only without one")
    parser.add_argument("--no-nginx", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    share, rows, listed = machine.share(), [], habits(given.seed)
    with ExitStack() as stack:
        work = Path(stack.enter_context(TemporaryDirectory(prefix="headgate-bench-")))
        faults = stack.enter_context(counted_store(share))
        for key, size in {key: size for one in listed for key, size in one.sizes.items()}.items():
            put(faults.store, key, size)
        caches: dict[str, Cache | None] = {"Headgate": None}
        if not given.no_cache:
            caches["Headgate, cache"] = Cache(work / "cache", slice=given.slice)
            caches["Headgate, cache in memory"] = Cache(slice=given.slice, memory="1GiB")
        for name, cache in caches.items():
            with headgate(faults, share, cache) as program:
                rows.append(measure(faults, name, f"{program.url}/", listed))
            print(f"{name} is done", file=sys.stderr, flush=True)
        if not given.no_nginx:
            rows.append(_through_nginx(stack, faults, share, work, given.slice, listed))
    print(table(rows))
    return 0


def _through_nginx(
    stack: ExitStack,
    faults: Faults,
    share: machine.Share,
    work: Path,
    size: str,
    listed: list[Habit],
) -> Row:
    make_certificate(work)
    ground = Ground(work, faults.store, work, faults.endpoint)
    with started_on(share.server):
        nginx = sliced_nginx(stack, ground, str(parse_size(size)))
    assert nginx.store is not None
    return measure(faults, nginx.name, nginx.store, listed)


if __name__ == "__main__":
    sys.exit(main())
