"""The cache in the whole program, over a real store whose requests are counted in between."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.benchmarks.cached import Cache
from tests.benchmarks.stampede import Stampede, stampede
from tests.e2e.program import Headgate
from tests.faults import kills
from tests.faults.acts import Act, Canned
from tests.faults.cache_damage import damage
from tests.faults.control import Faults
from tests.faults.servers import headgate
from tests.load import data, machine
from tests.servers import SeaweedFS
from tests.servers.checksums import Algorithm

pytestmark = pytest.mark.servers

KIB, MIB = 1024, 1024 * 1024
SIZE = 5 * MIB + 77


@pytest.fixture(scope="module")
def faults(seaweedfs: SeaweedFS) -> Iterator[Faults]:
    with Faults(seaweedfs) as running:
        yield running


def body_of(key: str, size: int = SIZE) -> bytes:
    return random.Random(key).randbytes(size)


def put(faults: Faults, key: str, size: int = SIZE, checksum: Algorithm = "crc64nvme") -> bytes:
    store, body = faults.store, body_of(key, size)
    store.uploads.put(store.bucket, key, body, checksum=checksum)
    faults.take(key)
    return body


def cache_of(directory: Path | None = None, **options: str | bool) -> str:
    told = {"slice": "1MiB", "free": "0B", "tell": True, **options}
    if directory is not None:
        told["directory"] = str(directory)
    lines = [f"{n} = {str(v).lower() if isinstance(v, bool) else repr(v)}" for n, v in told.items()]
    return "\n".join(["[cache]", *lines])


def settle(faults: Faults, key: str, count: int, what: str) -> None:
    """Waits until so much was counted of the store: slices are filled behind what was asked for."""
    deadline = time.monotonic() + 30
    while faults.counts()["paths"].get(faults.path_of(key), {}).get(what, 0) < count:
        assert time.monotonic() < deadline, f"not so many {what}"
        time.sleep(0.01)


# --- filled once --------------------------------------------------------------------------------


@pytest.mark.timeout(300)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_stampede_costs_each_slice_once(faults: Faults, tmp_path: Path, workers: int) -> None:
    key, size = f"stampede/{workers}", 16 * MIB
    store = faults.store
    parts = (b"".join(data.body(key, size))[at : at + 8 * MIB] for at in range(0, size, 8 * MIB))
    store.uploads.put_multipart(
        store.bucket, key, parts, checksum="crc64nvme", checksum_type="FULL_OBJECT"
    )
    faults.take(key)
    plan = Stampede(
        key, size, 40, Cache(tmp_path / "cache", slice="2MiB"), workers=workers, join=1, limit=200
    )
    outcome = stampede(faults, machine.share(), plan)
    assert outcome.is_right, outcome
    assert outcome.gets == 8
    # The stream that opened it is left after a slice; what lay in socket buffers was sent in vain.
    assert outcome.amplification < 1.25
    assert outcome.waited == "nobody"


def test_a_short_range_costs_one_slice(faults: Faults, tmp_path: Path) -> None:
    body = put(faults, "short")
    with headgate(faults, more=cache_of(tmp_path / "cache")) as program:
        url = f"{program.url}/short"
        for _ in range(5):
            got = httpx.get(url, headers={"range": f"bytes={2 * MIB + 5}-{2 * MIB + 104}"})
            assert got.content == body[2 * MIB + 5 : 2 * MIB + 105]
        settle(faults, "short", MIB, "bytes")
        assert faults.take("short")["bytes"] == MIB
        got = httpx.get(url, headers={"range": "bytes=-50"})
        assert got.content == body[-50:]
        settle(faults, "short", 77, "bytes")
        taken = faults.take("short")
        assert (taken["gets"], taken["bytes"]) == (1, 77)


def test_fresh_stale_revalidated(faults: Faults, tmp_path: Path) -> None:
    body = put(faults, "fresh", 1000)
    table = cache_of(tmp_path / "cache", default_ttl="3s")
    with headgate(faults, more=table) as program:
        url = f"{program.url}/fresh"
        told = [httpx.get(url).headers for _ in range(2)]
        assert "fwd=uri-miss" in told[0]["cache-status"]
        assert "age" not in told[0]
        assert "headgate; hit; ttl=" in told[1]["cache-status"]
        assert 0 <= int(told[1]["age"]) < 3
        assert told[0]["server-timing"].startswith("origin;dur=")
        assert ", cache;dur=" in told[0]["server-timing"]
        assert ", verify;dur=" in told[0]["server-timing"]
        time.sleep(3.1)
        again = httpx.get(url)
        assert again.content == body
        assert "fwd=stale; fwd-status=304" in again.headers["cache-status"]
        assert faults.take("fresh")["requests"] == 2


def test_what_is_missing_is_told_of_too(faults: Faults, tmp_path: Path) -> None:
    with headgate(faults, more=cache_of(tmp_path / "cache")) as program:
        told = [httpx.get(f"{program.url}/missing").headers["cache-status"] for _ in range(2)]
    assert told == ["headgate; fwd=uri-miss", "headgate; hit; detail=missing"]


def test_clients_are_not_told_unless_that_is_configured(faults: Faults, tmp_path: Path) -> None:
    put(faults, "quiet", 1000)
    table = cache_of(tmp_path / "cache", tell=False)
    with headgate(faults, more=table, level="info", access=True) as program:
        told = [httpx.get(f"{program.url}/quiet").headers for _ in range(2)]
        assert not any({"cache-status", "server-timing"} & set(one) for one in told)
        assert int(told[1]["age"]) < 20
        program.stop()
        assert '"cache": "hit (memory)"' in program.output()


def test_a_store_that_fails_is_stood_in_for(faults: Faults, tmp_path: Path) -> None:
    body = put(faults, "failing", 1000)
    with headgate(faults, more=cache_of(tmp_path / "cache", default_ttl="0s")) as program:
        assert httpx.get(f"{program.url}/failing").content == body
        faults.plan("failing", rest=Act(canned=Canned(503)))
        answer = httpx.get(f"{program.url}/failing", timeout=30)
        assert answer.status_code == 200
        assert answer.content == body
        assert "headgate; hit; ttl=-" in answer.headers["cache-status"]
        faults.take("failing")


# --- versions and checks ------------------------------------------------------------------------


def test_a_replaced_object_under_many_readers(faults: Faults, tmp_path: Path) -> None:
    """Each body is of one version, or visibly broken, or refused."""
    versions = [body_of(f"version {n}", 2 * MIB + 5) for n in range(2)]
    store = faults.store
    store.uploads.put(store.bucket, "swapped", versions[0], checksum="crc64nvme")
    with (
        headgate(faults, more=cache_of(tmp_path / "cache", default_ttl="0s")) as program,
        httpx.Client(timeout=60) as client,
    ):

        def read(number: int) -> str:
            if number % 10 == 0:
                body = versions[number // 10 % 2]
                store.uploads.put(store.bucket, "swapped", body, checksum="crc64nvme")
            try:
                answer = client.get(f"{program.url}/swapped")
            except httpx.HTTPError:
                return "broken"
            if answer.status_code >= 500:
                return "refused"
            return "right" if answer.content in versions else "wrong"

        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(read, range(150)))
    assert "wrong" not in found
    assert found.count("right") > 75


def test_ranges_of_what_was_checked_as_a_whole_are_verified(faults: Faults, tmp_path: Path) -> None:
    put(faults, "sealed")
    with headgate(faults, more=cache_of(tmp_path / "cache"), level="info", access=True) as program:
        url = f"{program.url}/sealed"
        httpx.get(url, headers={"range": "bytes=0-9"})
        httpx.get(url)
        httpx.get(url, headers={"range": "bytes=0-9"})
        program.stop()
        told = [line for line in program.output().splitlines() if '"/sealed"' in line]
        verified = ["unverified: range" if "unverified" in line else "verified" for line in told]
        assert verified == ["unverified: range", "verified", "verified"]


def test_a_bit_that_flips_on_the_way_never_stays(faults: Faults, tmp_path: Path) -> None:
    body = put(faults, "flipped")
    with headgate(faults, more=cache_of(tmp_path / "cache")) as program:
        faults.plan("flipped", Act(flip=1000))
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{program.url}/flipped")
        for _ in range(3):
            try:
                got = httpx.get(f"{program.url}/flipped").content
            except httpx.HTTPError:
                continue
            assert got == body
        faults.take("flipped")
        assert httpx.get(f"{program.url}/flipped").content == body


# --- crashes, damage, a full disk ---------------------------------------------------------------


@pytest.mark.timeout(300)
def test_workers_that_are_killed_leave_nothing_wrong(faults: Faults, tmp_path: Path) -> None:
    kills.put(faults.store)
    result = asyncio.run(kills.kill_and_read(faults, tmp_path / "cache", 10, workers=2))
    assert result.is_right, result
    assert result.ended["right"] > 50, result
    assert not any(ended.startswith("refused 500") for ended in result.ended), result


def test_damage_on_disk_is_never_served(faults: Faults, tmp_path: Path) -> None:
    keys = [f"damaged/{n}" for n in range(6)]
    bodies = {key: put(faults, key) for key in keys}
    root = tmp_path / "cache"
    table = cache_of(root, slice="256KiB", memory="1MiB")
    with headgate(faults, more=table) as program:
        _keep_all(program, bodies, root, 6 * 21)
    done = damage(root, seed=4)
    hit = {one.path for one in done if one.kind != "head"} | {
        one.other for one in done if one.other
    }
    with headgate(faults, more=table) as program:
        for _ in range(2):
            for key in keys:
                assert httpx.get(f"{program.url}/{key}").content == bodies[key]
        program.stop()
        told = program.output().count("was damaged")
    assert 0 < told <= len(hit)


def _keep_all(program: Headgate, bodies: dict[str, bytes], root: Path, count: int) -> None:
    """Reads objects until all their slices are on disk: those it is too slow for are left out."""
    deadline = time.monotonic() + 60
    while sum(1 for one in root.glob("??/*.*.*")) < count:
        assert time.monotonic() < deadline, "not so many slices"
        for key, body in bodies.items():
            assert httpx.get(f"{program.url}/{key}").content == body
        time.sleep(0.2)


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    """A file system of its own, of a few MiB; the tests run as root where they run for certain."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def test_a_full_disk_turns_writing_off_and_serving_on(faults: Faults, tmp_path: Path) -> None:
    assert os.geteuid() == 0, "mounting a small disk needs root"
    keys = [f"full/{n}" for n in range(4)]
    bodies = {key: put(faults, key) for key in keys}
    with small_disk(tmp_path / "disk", "6m") as disk:
        table = cache_of(disk / "cache", size="1GiB", memory="4MiB")
        with headgate(faults, more=table) as program:
            for _ in range(2):
                for key in keys:
                    assert httpx.get(f"{program.url}/{key}").content == bodies[key]
            program.stop()
            assert "it is full" in program.output()


def test_a_directory_that_others_can_write_to_is_refused(faults: Faults, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    with pytest.raises(Exception, match="can be written to by others"):
        headgate(faults, more=cache_of(tmp_path / "cache"))


def test_a_restart_serves_from_disk(faults: Faults, tmp_path: Path) -> None:
    body = put(faults, "restarted")
    table = cache_of(tmp_path / "cache", default_ttl="1h", memory="2MiB")
    with headgate(faults, more=table) as program:
        _keep_all(program, {"restarted": body}, tmp_path / "cache", 6)
    faults.take("restarted")
    with headgate(faults, more=table) as program:
        assert httpx.get(f"{program.url}/restarted").content == body
    assert faults.take("restarted")["requests"] == 0
