"""A cache in memory only, in the whole program: several workers share it, and leave nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.benchmarks.cached import Cache
from tests.benchmarks.stampede import Stampede, stampede
from tests.e2e.program import REPOSITORY, Headgate
from tests.faults.control import Faults
from tests.load import data, machine
from tests.servers import SeaweedFS

pytestmark = pytest.mark.servers

KIB, MIB = 1024, 1024 * 1024
SHARED = Path("/dev/shm")
CONFIGURATION = """
[server]
bind = ["127.0.0.1:0"]
workers = {workers}
graceful_timeout = "1s"
[admin]
bind = "127.0.0.1:0"
{cache}
[origins.files]
type = "directory"
root = "{root}"
cache = true
"""
CACHE = '[cache]\nmemory = "64MiB"\nslice = "256KiB"\ndefault_ttl = "1h"\ntell = true'


@pytest.fixture(scope="module")
def faults(seaweedfs: SeaweedFS) -> Iterator[Faults]:
    with Faults(seaweedfs) as running:
        yield running


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    made.mkdir()
    (made / "a.bin").write_bytes(bytes(700 * KIB))
    old = time.time() - 60
    os.utime(made / "a.bin", (old, old))  # else its tag is weak, and it is not kept
    return made


def text_of(root: Path, workers: int = 2, cache: str = CACHE) -> str:
    return CONFIGURATION.format(root=root, workers=workers, cache=cache)


def directories_of(pid: int) -> list[Path]:
    return list(SHARED.glob(f"headgate-{pid}-*"))


def eventually(happened: Callable[[], object]) -> None:
    until = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def get(program: Headgate) -> httpx.Response:
    answer = httpx.get(f"{program.url}/a.bin")
    assert answer.content == bytes(700 * KIB)
    return answer


@pytest.mark.timeout(300)
def test_a_stampede_on_two_workers_costs_each_slice_once(faults: Faults) -> None:
    key, size = "together/stampede", 16 * MIB
    store = faults.store
    parts = (b"".join(data.body(key, size))[at : at + 8 * MIB] for at in range(0, size, 8 * MIB))
    store.uploads.put_multipart(
        store.bucket, key, parts, checksum="crc64nvme", checksum_type="FULL_OBJECT"
    )
    faults.take(key)
    plan = Stampede(key, size, 50, Cache(None, slice="2MiB"), workers=2, join=1, limit=200)
    outcome = stampede(faults, machine.share(), plan)
    assert outcome.is_right, outcome
    assert outcome.gets == 8
    assert outcome.amplification < 1.25


def test_it_stays_within_the_memory(root: Path) -> None:
    """Four times as much as may be kept, by two workers."""
    old = time.time() - 60
    for number in range(24):
        path = root / f"many-{number}"
        path.write_bytes(os.urandom(MIB))
        os.utime(path, (old, old))
    cache = CACHE.replace("64MiB", "14MiB")
    with Headgate(text_of(root, cache=cache)) as program:
        [directory] = directories_of(program.pid)
        most = 0
        for number in range(24):
            answer = httpx.get(f"{program.url}/many-{number}")
            assert answer.content == (root / f"many-{number}").read_bytes()
            most = max(most, taken(directory))
            # The janitor goes down to the limit twenty times a second, if it gets a processor.
            eventually(lambda: taken(directory) <= 8 * MIB)
        assert 5 * MIB < most < 12 * MIB
        total = httpx.get(f"{program.admin_url}/cache").json()["total"]
        assert total["memory_evicted"] > 60
        assert total["shared_used"] <= total["shared_limit"] == 6 * MIB


def taken(directory: Path) -> int:
    """Bytes of memory that all files in it take."""
    blocks = 0
    for path in directory.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            blocks += path.lstat().st_blocks
    return 512 * blocks


def test_what_one_worker_fetched_the_other_gives_and_is_told_as_memory(root: Path) -> None:
    with Headgate(text_of(root)) as program:
        told = {get(program).headers["cache-status"] for _ in range(30)}
        assert sum("fwd=" in one for one in told) == 1, told
        assert all("detail=memory" in one for one in told if "hit" in one)
        stats = httpx.get(f"{program.admin_url}/cache").json()
        total = stats["total"]
        assert total["fills_started"] == 3, "three slices, each once"
        assert total["bytes_disk"] == total["disk_limit"] == total["disk_bytes"] == 0
        assert total["shared_limit"] + total["memory_limit"] + 2 * MIB == 64 * MIB
        eventually(
            lambda: (
                httpx.get(f"{program.admin_url}/cache").json()["total"]["shared_used"] > 700 * KIB
            )
        )
        metrics = httpx.get(f"{program.admin_url}/metrics").text
        assert value_of(metrics, "shared_memory_limit_bytes") == 31 * MIB
        assert value_of(metrics, "memory_limit_bytes") == 31 * MIB
        assert value_of(metrics, "disk_limit_bytes") == 0
        shown = cache_command(program, "stats")
        assert shown.startswith("shared   ")
        assert "disk" not in shown
        [one] = (json.loads(cache_command(program, "ls", "--json")).values().__iter__().__next__(),)
        assert one


def value_of(metrics: str, name: str) -> float:
    found = re.search(rf"^headgate_cache_{name} (\S+)$", metrics, re.MULTILINE)
    assert found is not None
    return float(found[1])


def cache_command(program: Headgate, *arguments: str) -> str:
    command = [sys.executable, "-m", "proxy", "cache", *arguments, "--admin", program.admin_url]
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def test_the_directory_is_private_and_goes_with_the_program(root: Path) -> None:
    with Headgate(text_of(root)) as program:
        [directory] = directories_of(program.pid)
        assert directory.stat().st_mode & 0o777 == 0o700
        get(program)
        assert program.stop() == 0
        assert directories_of(program.pid) == []
        said = [one for one in program.output().splitlines() if "share" in one]
        assert len(said) == 1
        assert f"2 workers share 31 MiB of slices in {directory}" in said[0]


def test_what_a_killed_supervisor_left_is_swept_at_the_next_start(root: Path) -> None:
    with Headgate(text_of(root)) as other, Headgate(text_of(root)) as program:
        pid = program.pid
        [directory] = directories_of(pid)
        get(program)
        os.kill(pid, signal.SIGKILL)
        with Headgate(text_of(root)) as again:
            assert directories_of(pid) == []
            assert len(directories_of(other.pid)) == len(directories_of(again.pid)) == 1
            get(other), get(again)
        assert not directory.exists()


def test_killed_workers_are_replaced_and_find_what_was_kept(root: Path) -> None:
    with Headgate(text_of(root)) as program:
        get(program)
        before = httpx.get(f"{program.admin_url}/readyz").json()["workers"]
        for worker in before:
            os.kill(worker["pid"], signal.SIGKILL)
        pids = {one["pid"] for one in before}

        def replaced() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                now = httpx.get(f"{program.admin_url}/readyz")
                workers = {one["pid"] for one in now.json()["workers"]}
                return now.status_code == 200 and len(workers) == 2 and not workers & pids
            return False

        eventually(replaced)
        assert get(program).headers["cache-status"].startswith("headgate; hit")


def test_a_reload_keeps_it_and_one_that_needs_it_no_more_gives_it_back(root: Path) -> None:
    with Headgate(text_of(root)) as program:
        get(program)
        [directory] = directories_of(program.pid)

        def reload(text: str) -> None:
            accepted = program.output().count("is in effect")
            program.rewrite(text)
            os.kill(program.pid, signal.SIGHUP)
            eventually(lambda: program.output().count("is in effect") > accepted)

        reload(text_of(root))
        assert directories_of(program.pid) == [directory]
        eventually(lambda: get(program).headers["cache-status"].startswith("headgate; hit"))
        reload(text_of(root, cache=""))
        eventually(lambda: directories_of(program.pid) == [])
        reload(text_of(root))
        [again] = directories_of(program.pid)
        assert again != directory
        # One that is refused leaves all as it is.
        program.rewrite(text_of(root / "none"))
        os.kill(program.pid, signal.SIGHUP)
        eventually(lambda: "is refused" in program.output())
        assert directories_of(program.pid) == [again]
        assert "fwd" in get(program).headers["cache-status"]


@pytest.mark.parametrize(
    ("workers", "memory", "why"),
    [
        (1, "64MiB", ""),
        (2, "1024TiB", "/dev/shm has room for"),
        (2, "1MiB", "cache.memory would have to be 4 MiB for that"),
    ],
)
def test_where_nothing_can_be_shared_each_keeps_its_own(
    root: Path, workers: int, memory: str, why: str
) -> None:
    cache = CACHE.replace("64MiB", memory)
    with Headgate(text_of(root, workers, cache)) as program:
        assert directories_of(program.pid) == []
        get(program)
        program.stop()
        said = [one for one in program.output().splitlines() if "fetches and keeps" in one]
        assert len(said) == (1 if why else 0)
        assert why in "".join(said)
