"""Headgate beside what else one could use, in one run: `just bench`.

    just bench                         three rounds of a second each, about ten minutes
    just bench --rounds 7 --seconds 3  for figures to keep, on a quiet machine
    just bench --only "S3, 1 KiB"      what begins so: rows, "slow readers", "cold", "stampede",
                                       "corrupt origin"
    just bench --full                  cold objects of 1 GiB, and 1,000 clients on one of 1 GiB
    just bench --write                 also puts the tables and plots into docs/

All servers are up for the whole run and are asked in turn, so that a drift of the machine meets
them alike. Each has one worker on one processor; what asks, and the store, are on another. The
first round warms caches and connections and is not counted; in it every server has to give the
very bytes. Whoever fails is asked again in the next round, and the table says how often it failed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.benchmarks import behaviour, relayed, tables
from tests.benchmarks.contestants import (
    Contestant,
    Ground,
    all_started,
    let_everybody_read,
)
from tests.benchmarks.processes import cpu_of_ended, started_on, usage
from tests.benchmarks.rows import MIB, RANGES_SCRIPT, ROWS, SIZES, Row
from tests.benchmarks.tools import Failed
from tests.faults.control import Faults
from tests.load import data, machine
from tests.load.target import make_certificate
from tests.servers.process import program
from tests.servers.s3 import SeaweedFS

RESULTS = Path(".local/bench")
_READERS = 1000
_SLOW = "slow readers"
# With a relay before the store.
_COLD, _STAMPEDE, _CORRUPT = "cold", "stampede", "corrupt origin"
QUESTIONS = (*(row.title for row in ROWS), _SLOW, _COLD, _STAMPEDE, _CORRUPT)


@dataclass
class Cell:
    """What one contestant did in one row.

    Attributes:
        values, costs, whole: of each round that counts: in the row's unit; processor time per unit
            of work, the server's, and with that of whoever asked.
        rounds: how often it was asked, to get warm too.
        faults: why it failed, one for each round in which it did.
        warm: whether it has answered once, with the very bytes.
    """

    values: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    rounds: int = 0
    faults: list[str] = field(default_factory=list)
    warm: bool = False


Measured = dict[str, dict[str, Cell]]


def main(given: list[str] | None = None) -> int:
    """Measures, prints the tables, and keeps all figures in .local/bench/."""
    arguments = _read(given)
    share = machine.share()
    result: dict[str, Any] = {"machine": machine.facts(), "arguments": vars(arguments)}
    result["versions"] = {name: _version(*command) for name, command in _versions().items()}
    with started_on(share.generator), _ground() as (ground, work):
        measured = _beside_each_other(ground, work, share, arguments, result)
        result |= _relayed(ground, share, arguments)
    result["load_average_after"] = os.getloadavg()
    RESULTS.mkdir(parents=True, exist_ok=True)
    kept = RESULTS / f"peers-{time.strftime('%Y%m%d-%H%M%S')}.json"
    kept.write_text(json.dumps(result, indent=1))
    print(tables.document(result))
    print(f"\nkept in {kept}", file=sys.stderr)
    if arguments.write:
        tables.write(result, Path("docs"))
    failed = [title for title, row in measured.items() if any(c.faults for c in row.values())]
    return 1 if failed else 0


def _beside_each_other(
    ground: Ground,
    work: Path,
    share: machine.Share,
    arguments: argparse.Namespace,
    result: dict[str, Any],
) -> Measured:
    """The rows and the slow readers, with all servers up."""
    rows = [row for row in ROWS if row.title.startswith(arguments.only)]
    slow = _SLOW.startswith(arguments.only)
    measured: Measured = {}
    if rows or slow:
        with all_started(ground, share.server) as contestants:
            measured = _rounds(rows, contestants, work, arguments)
            if slow:
                result["slow"] = _slow(contestants)
    result["rows"] = {
        title: {name: asdict(cell) for name, cell in cells.items()}
        for title, cells in measured.items()
    }
    return measured


def _versions() -> dict[str, tuple[str, ...]]:
    """What has each program say its version."""
    return {
        "nginx": ("sh", "-c", "nginx -v 2>&1"),
        "Varnish": ("sh", "-c", "varnishd -V 2>&1"),
        "Caddy": (program("caddy"), "version"),
        "rclone": (program("rclone"), "version"),
        "wrk": ("sh", "-c", "wrk -v 2>&1"),
        "h2load": ("h2load", "--version"),
    }


def _version(*command: str) -> str:
    """The first number in dots that a program says of itself."""
    found = re.search(r"\d+(\.\d+)+", machine.said(*command))
    return found[0] if found else "?"


def _read(given: list[str] | None) -> argparse.Namespace:
    """The arguments. Ends the program with 2 where they ask for nothing there is."""
    parser = argparse.ArgumentParser(prog="just bench", description="Headgate and its peers.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=1, help="of each measurement")
    parser.add_argument("--only", default="", help="how the titles of the rows begin")
    parser.add_argument("--full", action="store_true", help="cold objects and stampede of 1 GiB")
    parser.add_argument("--write", action="store_true", help="tables and plots into docs/")
    arguments = parser.parse_args(given)
    if not any(name.startswith(arguments.only) for name in QUESTIONS):
        there_are = "".join(f"\n  {name}" for name in QUESTIONS)
        parser.error(f"--only: nothing begins with {arguments.only!r}; there are:{there_are}")
    return arguments


@contextmanager
def _ground() -> Iterator[tuple[Ground, Path]]:
    """The files and objects, alike in both places, and a directory for scripts and keys."""
    with ExitStack() as stack:
        work = Path(stack.enter_context(TemporaryDirectory(prefix="headgate-bench-")))
        files = work / "files"
        store = stack.enter_context(SeaweedFS())
        let_everybody_read(store)
        for name, size in (SIZES | relayed.CORRUPT).items():
            _put(store, files / name, name, size)
        objects = data.make(Path(".local/load/data")).parent / "objects"
        for group in ("bulk", "ladder"):  # for slow readers; no links, not all would follow them
            shutil.copytree(objects / group, files / "load" / group)
        make_certificate(work)
        (work / "ranges.lua").write_text(RANGES_SCRIPT)
        yield Ground(files, store, work, store.endpoint), work


def _put(store: SeaweedFS, path: Path, name: str, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.writelines(data.body(name, size))
    # With a checksum of the whole, as today's clients upload: Headgate checks what it sends.
    if size <= 16 * MIB:
        store.uploads.put(store.bucket, name, path.read_bytes(), checksum="crc32")
        return
    with path.open("rb") as file:
        parts = iter(lambda: file.read(16 * MIB), b"")
        store.uploads.put_multipart(
            store.bucket, name, parts, checksum="crc32", checksum_type="FULL_OBJECT"
        )


def _rounds(
    rows: list[Row], contestants: list[Contestant], work: Path, arguments: argparse.Namespace
) -> Measured:
    measured: Measured = {
        row.title: {one.name: Cell() for one in contestants if row.url(one)} for row in rows
    }
    for number in range(arguments.rounds + 1):
        for row in rows:
            for contestant in contestants:
                cell = measured[row.title].get(contestant.name)
                if cell is not None:
                    measure(row, contestant, cell, work, arguments.seconds)
        print(f"round {number} of {arguments.rounds}", file=sys.stderr, flush=True)
    return measured


def measure(row: Row, contestant: Contestant, cell: Cell, work: Path, seconds: int) -> None:
    """Asks once. What comes of it is in the cell; only who was warm before has a value more."""
    url = row.url(contestant)
    assert url is not None
    cell.rounds += 1
    try:
        if not cell.warm and row.way != "directory_tls" and SIZES[row.name] <= 64 * MIB:
            _check(url, row.name)
        before, clients = usage(contestant.pid()).cpu, cpu_of_ended()
        asked = row.ask(url, seconds, work)
        if not asked.requests:
            raise Failed(f"{url}: no answer within {seconds} s")
        cost = (usage(contestant.pid()).cpu - before) / row.work(asked)
        clients = (cpu_of_ended() - clients) / row.work(asked)
    except (Failed, OSError) as fault:
        cell.faults.append(str(fault)[:500])
        print(f"{row.title}, {contestant.name}: {cell.faults[-1]}", file=sys.stderr, flush=True)
        return
    if cell.warm:
        cell.values.append(row.value(asked))
        cell.costs.append(cost)
        cell.whole.append(cost + clients)
    cell.warm = True


def _check(url: str, name: str) -> None:
    """The object as it is, or `Failed`: who serves other bytes need not be fast."""
    expected = hashlib.sha256(b"".join(data.body(name, SIZES[name]))).digest()
    with urllib.request.urlopen(url, timeout=60) as answer:
        if hashlib.sha256(answer.read()).digest() != expected:
            raise Failed(f"{url}: other bytes")


def _slow(contestants: list[Contestant]) -> dict[str, Any]:
    """Slow readers of the directory, once for each who serves one."""
    manifest = Path(".local/load/data/manifest.json")
    found: dict[str, Any] = {}
    for one in contestants:
        if one.directory is None or one.variant:
            continue
        base = one.directory + "load/"
        try:
            found[one.name] = asdict(
                behaviour.slow_readers(one, base, manifest, readers=_READERS, seconds=12)
            )
        except RuntimeError as fault:
            found[one.name] = {"failed": str(fault)[:500]}
        print(f"slow readers: {one.name}", file=sys.stderr, flush=True)
    return found


def _relayed(ground: Ground, share: machine.Share, arguments: argparse.Namespace) -> dict[str, Any]:
    """What is asked with a relay before the store, as far as it is wanted."""
    sizes = relayed.FULL if arguments.full else relayed.Sizes()
    with Faults(ground.store) as faults:
        before = replace(ground, endpoint=faults.endpoint)
        ways: dict[str, Callable[[], dict[str, Any]]] = {
            _COLD: lambda: relayed.cold_objects(faults, share, sizes, arguments.rounds),
            _STAMPEDE: lambda: relayed.stampedes(before, faults, share, sizes),
            _CORRUPT: lambda: relayed.corrupted(before, faults, share.server),
        }
        return {name: ask() for name, ask in ways.items() if name.startswith(arguments.only)}


if __name__ == "__main__":
    sys.exit(main())
