"""What an operator does with the cache of the whole program: two workers, a real store.

Nothing old after a purge's answer: a writer replaces an object and purges it while others read,
and then asks both workers by many fresh connections.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.e2e.program import REPOSITORY, Headgate
from tests.servers import SeaweedFS

pytestmark = pytest.mark.servers

KIB = 1024
LONG = "max-age=86400"
# Fresh connections, which the kernel deals out: that a worker of two gets none is 1 in 2**39.
ASKED = 40


def configuration(
    store: SeaweedFS,
    directory: Path | None,
    prefix: str = "",
    more: str = "",
    purge_timeout: str = "30s",
) -> str:
    kept = f'directory = "{directory}"' if directory is not None else ""
    text = f"""
        [server]
        bind = ["127.0.0.1:0"]
        workers = 2
        graceful_timeout = "1s"
        [admin]
        bind = "127.0.0.1:0"
        purge_timeout = "{purge_timeout}"
        [cache]
        {kept}
        {more}
        slice = "256KiB"
        default_ttl = "24h"
        missing_ttl = "1h"
        free = "1MiB"
        tell = true
        [origins.store]
        type = "s3"
        bucket = "{store.bucket}"
        prefix = "{prefix}"
        endpoint = "{store.endpoint}"
    """
    return re.sub(r"(?m)^ +", "", text)


@contextlib.contextmanager
def running(
    store: SeaweedFS, directory: Path | None, *told: str, **more: str
) -> Iterator[Headgate]:
    environment = {
        "AWS_ACCESS_KEY_ID": store.access_key_id,
        "AWS_SECRET_ACCESS_KEY": store.secret_access_key,
    }
    text = configuration(store, directory, *told, **more)
    with Headgate(text, environment=environment) as program:
        yield program


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "slices"


@pytest.fixture(scope="module")
def program(seaweedfs: SeaweedFS, directory: Path) -> Iterator[Headgate]:
    with running(seaweedfs, directory) as program:
        yield program


def put(store: SeaweedFS, key: str, body: bytes, tags: str = "") -> None:
    metadata = {"cache-tag": tags} if tags else None
    store.uploads.put(store.bucket, key, body, cache_control=LONG, metadata=metadata)


def post(program: Headgate, path: str, body: object, **fields: str) -> httpx.Response:
    return httpx.post(f"{program.admin_url}{path}", json=body, headers=fields, timeout=150)


def purge(program: Headgate, **body: object) -> dict[str, Any]:
    answer = post(program, "/cache/purge", body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def get(program: Headgate, key: str) -> tuple[int, bytes]:
    """A request over a connection of its own, which any worker may have: status and body."""
    host, _, port = program.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        connection.request("GET", f"/{quote(key)}")
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def asked(program: Headgate, key: str) -> set[bytes]:
    """The bodies of many such requests."""
    return {get(program, key)[1] for _ in range(ASKED)}


def cli(
    program: Headgate, *arguments: str, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "proxy", "cache", *arguments, "--admin", program.admin_url]
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        input=stdin,
    )


@contextlib.contextmanager
def readers(program: Headgate, keys: list[str], count: int = 3) -> Iterator[list[int]]:
    """Clients that read and read."""
    stop, statuses = threading.Event(), list[int]()

    def read() -> None:
        while not stop.is_set():
            for key in keys:
                # What is replaced and purged while it is sent can't be completed, and is cut.
                with contextlib.suppress(http.client.IncompleteRead, ConnectionResetError):
                    statuses.append(get(program, key)[0])

    threads = [threading.Thread(target=read) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


KINDS: dict[str, Callable[[str], dict[str, object]]] = {
    "key": lambda key: {"kind": "key", "value": key},
    "path": lambda key: {"kind": "path", "value": f"/{key}"},
    "prefix": lambda key: {"kind": "prefix", "value": key[:-4]},
    "tag": lambda _: {"kind": "tag", "value": "season 1"},
    "all": lambda _: {"kind": "all"},
}


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_old_is_given_after_a_purge(
    kind: str, soft: bool, program: Headgate, seaweedfs: SeaweedFS
) -> None:
    key = f"purged/{kind}-{soft}.bin"
    body = secrets.token_bytes(600 * KIB)
    put(seaweedfs, key, body, "film, season 1")
    assert asked(program, key) == {body}
    with readers(program, [key]) as statuses:
        for _ in range(3):
            body = secrets.token_bytes(600 * KIB)
            put(seaweedfs, key, body, "film, season 1")
            told = purge(program, **KINDS[kind](key), soft=soft)
            assert told["complete"]
            assert len(told["workers"]) == 2
            assert asked(program, key) == {body}
    assert set(statuses) == {200}


def test_without_a_purge_the_old_one_would_be_given(
    program: Headgate, seaweedfs: SeaweedFS
) -> None:
    """The test above can fail."""
    put(seaweedfs, "purged/not.bin", b"old")
    assert asked(program, "purged/not.bin") == {b"old"}
    put(seaweedfs, "purged/not.bin", b"new")
    purge(program, kind="key", value="purged/other.bin")
    purge(program, kind="tag", value="none")
    assert asked(program, "purged/not.bin") == {b"old"}


def test_an_object_that_was_missing_is_found(program: Headgate, seaweedfs: SeaweedFS) -> None:
    key = "purged/late.bin"
    with readers(program, [key]) as statuses:
        asked(program, key)
        put(seaweedfs, key, b"here")
        purge(program, kind="key", value=key)
        assert asked(program, key) == {b"here"}
    assert set(statuses) == {200, 404}


def test_each_worker_that_comes_or_goes_meanwhile_keeps_nothing_old(tmp_path: Path) -> None:
    """Workers are killed, told to leave and all replaced by a reload, again and again, while a
    writer replaces an object and purges it. From a directory, with which workers are there soon."""
    key, root = "coming/a.bin", tmp_path / "root"
    (root / "coming").mkdir(parents=True)
    body = replaced(root / key, 0)
    with Headgate(of_a_directory(root, tmp_path / "slices")) as program:
        stop, disturbed = threading.Event(), list[signal.Signals | None]()

        def disturb() -> None:
            deeds = [signal.SIGKILL, signal.SIGTERM, None]
            while not stop.wait(0.7):
                deeds.append(deed := deeds.pop(0))
                disturbed.append(deed)
                if deed is None:
                    os.kill(program.pid, signal.SIGHUP)
                    continue
                workers = httpx.get(f"{program.admin_url}/readyz").json()["workers"]
                with contextlib.suppress(ProcessLookupError, IndexError):
                    os.kill(workers[0]["pid"], deed)

        thread = threading.Thread(target=disturb)
        thread.start()
        complete = rounds = 0
        try:
            deadline = time.monotonic() + 120
            while complete < 6 or len(disturbed) < 9:
                assert time.monotonic() < deadline
                body = replaced(root / key, rounds := rounds + 1)
                answer = post(program, "/cache/purge", {"kind": "prefix", "value": "coming/"})
                if answer.status_code != 200:
                    assert answer.status_code in {503, 504}, answer.text
                    continue
                complete += 1
                for _ in range(20):
                    with contextlib.suppress(OSError, http.client.HTTPException):
                        assert get(program, key) == (200, body)
        finally:
            stop.set()
            thread.join(30)


def of_a_directory(root: Path, directory: Path) -> str:
    text = f"""
        [server]
        bind = ["127.0.0.1:0"]
        workers = 2
        graceful_timeout = "1s"
        [admin]
        bind = "127.0.0.1:0"
        [cache]
        directory = "{directory}"
        slice = "256KiB"
        default_ttl = "24h"
        [origins.files]
        type = "directory"
        root = "{root}"
        cache = true
    """
    return re.sub(r"(?m)^ +", "", text)


def replaced(path: Path, number: int) -> bytes:
    """Puts another file in place of the one there is, at once; what it holds."""
    body, aside = secrets.token_bytes(300 * KIB), path.with_name("aside")
    aside.write_bytes(body)
    long_ago = time.time() - 10_000 + number  # a young one's tag is weak, and it is not kept
    os.utime(aside, (long_ago, long_ago))
    aside.rename(path)
    return body


def test_a_worker_that_hangs_makes_a_purge_no_success(seaweedfs: SeaweedFS, tmp_path: Path) -> None:
    put(seaweedfs, "hang.bin", b"x")
    with running(seaweedfs, tmp_path / "slices", purge_timeout="2s") as program:
        workers = httpx.get(f"{program.admin_url}/readyz").json()["workers"]
        hung = workers[0]["pid"]
        os.kill(hung, signal.SIGSTOP)
        try:
            answer = post(program, "/cache/purge", {"kind": "key", "value": "hang.bin"})
            assert answer.status_code == 504
            assert f"({hung}): no answer" in answer.json()["detail"]
            assert answer.json()["complete"] is False
            assert cli(program, "stats").returncode == 0, "the others still tell"
        finally:
            os.kill(hung, signal.SIGCONT)
        assert purge(program, kind="key", value="hang.bin")["complete"]


def test_a_directory_that_is_named_again_gives_nothing_old(
    seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    """It was not in use when its object was purged."""
    put(seaweedfs, "former.bin", b"old")
    with running(seaweedfs, tmp_path / "first") as program:

        def reload(directory: Path) -> None:
            accepted = program.output().count("is in effect")
            program.rewrite(configuration(seaweedfs, directory))
            os.kill(program.pid, signal.SIGHUP)
            until = time.monotonic() + 60
            while program.output().count("is in effect") == accepted or program_is_leaving(program):
                assert time.monotonic() < until
                time.sleep(0.05)

        assert asked(program, "former.bin") == {b"old"}
        reload(tmp_path / "second")
        put(seaweedfs, "former.bin", b"new")
        assert purge(program, kind="key", value="former.bin")["slices"] == 1
        reload(tmp_path / "first")
        assert asked(program, "former.bin") == {b"new"}


def program_is_leaving(program: Headgate) -> bool:
    """Whether workers of an earlier configuration are still there."""
    workers = httpx.get(f"{program.admin_url}/readyz").json()["workers"]
    return len(workers) > 2


def test_what_is_kept_is_listed_and_counted(program: Headgate, seaweedfs: SeaweedFS) -> None:
    body = secrets.token_bytes(700 * KIB)
    put(seaweedfs, "listed/é a.bin", body, "one,two")
    assert asked(program, "listed/é a.bin") == {body}
    deadline = time.monotonic() + 30
    while True:
        answer = httpx.get(f"{program.admin_url}/cache/objects?prefix=listed/").json()
        [one] = answer["objects"]
        if one["slices"] == 3:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (one["key"], one["origin"], one["tags"]) == ("listed/é a.bin", "store", ["one", "two"])
    assert one["size"] == 700 * KIB <= one["kept"]
    assert answer["truncated"] is False
    shown = cli(program, "ls", "listed/")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.endswith("store:listed/é a.bin\n")
    assert "700.0 KiB" in shown.stdout
    assert json.loads(cli(program, "ls", "listed/", "--json").stdout) == one
    stats = httpx.get(f"{program.admin_url}/cache").json()
    assert stats["total"]["memory_limit"] == 2 * 256 * KIB * KIB
    assert stats["total"]["bytes_memory"] + stats["total"]["bytes_disk"] > 0
    assert len(stats["workers"]) == 2
    told = cli(program, "stats").stdout
    assert "in 2 workers" in told
    assert "disk " in told


def test_one_limit_holds_for_a_list(program: Headgate, seaweedfs: SeaweedFS) -> None:
    for number in range(3):
        put(seaweedfs, f"many/{number}", b"x")
        httpx.get(f"{program.url}/many/{number}")
    shown = cli(program, "ls", "many/", "--limit", "2")
    assert len(shown.stdout.splitlines()) == 2
    assert "There are more" in shown.stderr


def test_warming_fills_and_clients_then_ask_the_origin_nothing(
    program: Headgate, seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    for number in range(5):
        put(seaweedfs, f"warm/deep/{number}.bin", bytes([number]) * 300 * KIB)
    put(seaweedfs, "warm/alone.bin", b"alone")
    warmed = cli(program, "warm", "warm/deep/")
    assert (warmed.returncode, warmed.stderr) == (0, "")
    assert warmed.stdout == "5 objects read, 1.5 MiB; 0 failed\n"
    for number in range(5):
        answer = httpx.get(f"{program.url}/warm/deep/{number}.bin")
        assert answer.headers["cache-status"].startswith("headgate; hit")
    file = tmp_path / "keys"
    file.write_text("warm/alone.bin\n/warm/deep/1.bin\n\nwarm/none.bin\n")
    warmed = cli(program, "warm", str(file), "--json")
    assert warmed.returncode == 1
    assert json.loads(warmed.stdout) == {"done": 3, "failed": 1, "bytes": 300 * KIB + 5}
    assert "failed store: warm/none.bin: " in warmed.stderr
    assert cli(program, "warm", "-", stdin="warm/alone.bin").returncode == 0


def test_scrub_finds_a_flipped_byte(seaweedfs: SeaweedFS, tmp_path: Path) -> None:
    body = secrets.token_bytes(900 * KIB)
    put(seaweedfs, "scrub/a.bin", body)
    slices = tmp_path / "slices"
    with running(seaweedfs, slices) as program:
        assert cli(program, "warm", "scrub/").returncode == 0
        good = cli(program, "scrub")
        assert (good.returncode, good.stderr) == (0, "")
        assert good.stdout.startswith("4 slices, 900.0 KiB checked; 0 damaged")
        [file] = [one for one in slices.glob("*/*.2") if one.parent.name != "tmp"]
        with file.open("r+b") as damaged:
            damaged.seek(1000)
            byte = damaged.read(1)
            damaged.seek(1000)
            damaged.write(bytes([byte[0] ^ 1]))
        found = cli(program, "scrub", "--json")
        assert found.returncode == 1
        assert json.loads(found.stdout)["damaged"] == 1
        assert not file.exists()
        assert asked(program, "scrub/a.bin") == {body}
        metrics = httpx.get(f"{program.admin_url}/metrics").text
        assert "headgate_cache_damaged_slices_total 1.0" in metrics


def test_purges_and_how_far_they_are(program: Headgate, seaweedfs: SeaweedFS) -> None:
    put(seaweedfs, "far/a.bin", b"x" * 1000, "far")
    httpx.get(f"{program.url}/far/a.bin")
    with httpx.stream(
        "POST",
        f"{program.admin_url}/cache/purge",
        json={"kind": "prefix", "value": "far/"},
        headers={"accept": "text/event-stream"},
        timeout=60,
    ) as answer:
        text = answer.read().decode()
    assert answer.headers["content-type"].startswith("text/event-stream")
    last = json.loads(text.rpartition("event: done\ndata: ")[2])
    assert (last["status"], last["complete"], last["objects"]) == (200, True, 1)
    httpx.get(f"{program.url}/far/a.bin")
    shown = cli(program, "purge", "far", "--tag", "--soft")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == "purged far: 1 objects are to be validated\n"
    assert "; fwd=" in httpx.get(f"{program.url}/far/a.bin").headers["cache-status"]
    shown = cli(program, "purge", "/far/", "far/none.bin")
    assert shown.stdout.splitlines() == [
        "purged /far/: 1 objects, 1 slices removed",
        "purged far/none.bin: 0 objects, 0 slices removed",
    ]
    assert (
        httpx.get(f"{program.url}/far/a.bin")
        .headers["cache-status"]
        .startswith("headgate; fwd=uri-miss")
    )


def test_a_page_of_another_site_changes_nothing(program: Headgate) -> None:
    target = f"{program.admin_url}/cache/purge"
    body = b'{"kind": "all"}'
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = httpx.post(target, content=body, headers={"content-type": media_type})
        assert answer.status_code == 415
    assert httpx.post(target, content=body).status_code == 415
    fields = {"content-type": "application/json"}
    for more in ({"sec-fetch-site": "cross-site"}, {"host": "rebound.example"}):
        answer = httpx.post(target, content=body, headers={**fields, **more})
        assert answer.status_code == 403
    assert httpx.options(target, headers={"origin": "https://a.example"}).status_code == 405


def test_mistakes_are_one_line(program: Headgate, tmp_path: Path) -> None:
    for arguments, code, said in (
        (["purge", "a", "--origin", "nobody"], 2, "There is no origin 'nobody'"),
        (["warm", str(tmp_path / "none")], 2, "can't be read"),
        (["warm", "/%zz/"], 2, "is no address"),
        (["ls", "--limit", "0"], 2, "expected a whole number"),
    ):
        shown = cli(program, *arguments)
        assert (shown.returncode, shown.stdout) == (code, ""), arguments
        assert said in shown.stderr
        assert len(shown.stderr.splitlines()) == 1


def test_in_memory_only(seaweedfs: SeaweedFS) -> None:
    put(seaweedfs, "memory/a.bin", b"old" * 1000, "m")
    with running(seaweedfs, None) as program:
        assert cli(program, "warm", "memory/").stdout.startswith("1 objects read"), "for both"
        [one] = httpx.get(f"{program.admin_url}/cache/objects?prefix=memory/").json()["objects"]
        assert (one["size"], one["slices"]) == (3000, 1)
        assert asked(program, "memory/a.bin") == {b"old" * 1000}
        put(seaweedfs, "memory/a.bin", b"new" * 1000, "m")
        told = purge(program, kind="tag", value="m")
        assert (told["objects"], told["slices"], len(told["workers"])) == (1, 1, 2)
        assert asked(program, "memory/a.bin") == {b"new" * 1000}
        assert json.loads(cli(program, "scrub", "--json").stdout)["slices"] == 1


def test_in_memory_that_can_not_be_shared(seaweedfs: SeaweedFS) -> None:
    put(seaweedfs, "alone/a.bin", b"old" * 1000, "m")
    with running(seaweedfs, None, more='memory = "1MiB"') as program:
        assert cli(program, "warm", "alone/").stdout.startswith("2 objects read"), "each worker's"
        [one] = httpx.get(f"{program.admin_url}/cache/objects?prefix=alone/").json()["objects"]
        assert (one["kept"], one["slices"]) == (3000, 1)
        assert asked(program, "alone/a.bin") == {b"old" * 1000}
        put(seaweedfs, "alone/a.bin", b"new" * 1000, "m")
        assert purge(program, kind="tag", value="m")["objects"] == 2
        assert asked(program, "alone/a.bin") == {b"new" * 1000}
        assert json.loads(cli(program, "scrub", "--json").stdout)["of"] == 0


def test_without_a_cache_there_is_nothing_to_do(tmp_path: Path) -> None:
    text = f"""
        [server]
        bind = ["127.0.0.1:0"]
        [admin]
        bind = "127.0.0.1:0"
        [origins.files]
        type = "directory"
        root = "{tmp_path}"
    """
    with Headgate(re.sub(r"(?m)^ +", "", text)) as program:
        for arguments in (["stats"], ["ls"], ["purge", "a"], ["scrub"]):
            shown = cli(program, *arguments)
            assert shown.returncode in {1, 2}
            assert "Nothing is kept: the configuration has no [cache]." in shown.stderr
