"""What goes wrong around the program while it serves: a full log disk, a cache that can only be
read, scrapes in a storm. Each is told, and serving goes on."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.program import REPOSITORY, Headgate
from tests.servers.process import free_ports

pytestmark = pytest.mark.servers


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "served"
    directory.mkdir()
    for number in range(8):
        file = directory / f"{number}.bin"
        file.write_bytes(os.urandom(100_000))
        os.utime(file, (1e9, 1e9))  # old enough for a strong entity tag, and so for the cache
    return directory


def configuration(root: Path, more: str = "") -> str:
    return f"""
        [server]
        bind = ["127.0.0.1:0"]
        workers = 2
        [admin]
        bind = "127.0.0.1:0"
        [origins.files]
        type = "directory"
        root = "{root}"
        cache = true
        {more}
    """


def metric(admin: str, name: str) -> float:
    lines = httpx.get(f"{admin}/metrics", timeout=30).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def until(there: bool, since: float) -> bool:
    assert time.monotonic() - since < 60
    if not there:
        time.sleep(0.1)
    return there


# --- a full log disk ----------------------------------------------------------------------------


def test_a_full_log_disk_costs_lines_which_are_counted(root: Path, tmp_path: Path) -> None:
    clear, admin = (f"127.0.0.1:{port}" for port in free_ports(2))
    text = configuration(root).replace("127.0.0.1:0", clear, 1).replace("127.0.0.1:0", admin)
    (tmp_path / "headgate.toml").write_text(text)
    command = [sys.executable, "-m", "proxy", "serve", "--config", str(tmp_path / "headgate.toml")]
    with (
        Path("/dev/full").open("wb") as full,
        subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=full) as process,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline()  # it is ready
            for number in range(40):
                answer = httpx.get(f"http://{clear}/{number % 8}.bin", timeout=30)
                assert answer.content == (root / f"{number % 8}.bin").read_bytes()
            begun = time.monotonic()
            name = "headgate_log_lines_dropped_total{"
            while not until(metric(f"http://{admin}", name) >= 40, begun):
                pass
            process.terminate()
            assert process.wait(30) == 0
        finally:
            process.kill()


# --- a cache that can only be read --------------------------------------------------------------


@contextlib.contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """What is opened from now on, for as long as the block runs; root is told no otherwise."""
    subprocess.run(["mount", "--bind", directory, directory], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", directory], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


def test_a_cache_that_can_only_be_read_is_told_and_served_past(root: Path, tmp_path: Path) -> None:
    assert os.geteuid() == 0, "mounting needs root"
    cache = tmp_path / "cache"
    text = configuration(root, f'[cache]\ndirectory = "{cache}"\nfree = "0B"')
    bodies = [(root / f"{number}.bin").read_bytes() for number in range(8)]
    with Headgate(text) as program:
        assert httpx.get(f"{program.url}/0.bin").content == bodies[0]
        with read_only(cache):
            for number in range(6):
                assert httpx.get(f"{program.url}/{number}.bin").content == bodies[number]
            name, begun = 'headgate_cache_resting{reason="failing"}', time.monotonic()
            while not until(metric(program.admin_url, name) == 1, begun):
                pass
            program.wait_for("Read-only file system")
    with read_only(cache), Headgate(text) as program:
        for number in range(8):
            assert httpx.get(f"{program.url}/{number}.bin").content == bodies[number]
        program.wait_for("Read-only file system")


# --- a storm ------------------------------------------------------------------------------------


def test_scrapes_in_a_storm_are_answered_and_so_is_the_storm(root: Path) -> None:
    over, failed = threading.Event(), []

    def ask(program: Headgate) -> int:
        asked = 0
        with httpx.Client(timeout=60) as client:
            while not over.is_set():
                answer = client.get(f"{program.url}/{asked % 8}.bin")
                if answer.status_code != 200 or len(answer.content) != 100_000:
                    failed.append(answer.status_code)
                asked += 1
        return asked

    def scrape(program: Headgate) -> int:
        return httpx.get(f"{program.admin_url}/metrics", timeout=60).status_code

    with Headgate(configuration(root)) as program, ThreadPoolExecutor(48) as pool:
        storm = [pool.submit(ask, program) for _ in range(16)]
        for _ in range(5):
            assert set(pool.map(scrape, [program] * 24)) == {200}
        over.set()
        asked = sum(one.result() for one in storm)
        assert not failed
        assert metric(program.admin_url, "headgate_downloads_total") >= asked
        assert metric(program.admin_url, "headgate_workers_silent") == 0
