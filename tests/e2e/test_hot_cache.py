"""Answers made of what the cache keeps, given from memory: beside those made anew, and as they end.

Two whole programs over one real store get the same requests. Then what they keep expires, is
replaced and is purged.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e import odd_requests as hot
from tests.e2e import test_cache_operations as operating
from tests.e2e.program import Headgate
from tests.servers import SeaweedFS

pytestmark = pytest.mark.servers

REQUESTS = 1500
_BEGUN = time.monotonic()  # no answer is older
_COUNTED = re.compile(
    r"headgate_cache_(answers|bytes)_total|headgate_(requests|downloads|verifications)_total"
)
_SAID = ("method", "target", "status", "sent", "outcome", "verification", "cache", "length")


def configuration(
    store: SeaweedFS, directory: Path, prefix: str, *, prepared: str = "16MiB", **cache: object
) -> str:
    told = {"default_ttl": "1h", "missing_ttl": "1h", "free": "0B", **cache}
    lines = [f"{name} = {json.dumps(value)}" for name, value in told.items()]
    return (
        hot.configuration("store", prepared)
        + f"""
[cache]
directory = "{directory}"
slice = "256KiB"
{chr(10).join(lines)}
[origins.store]
type = "s3"
bucket = "{store.bucket}"
prefix = "{prefix}"
endpoint = "{store.endpoint}"
access_key_id = "{store.access_key_id}"
secret_access_key = "{store.secret_access_key}"
"""
    )


def put(store: SeaweedFS, prefix: str, key: str, body: bytes) -> None:
    store.uploads.put(store.bucket, prefix + key, body, checksum="crc64nvme")


@pytest.fixture(scope="module")
def objects(seaweedfs: SeaweedFS) -> SeaweedFS:
    for key, body in hot.CONTENTS.items():
        put(seaweedfs, "hot/", key, body)
    return seaweedfs


@pytest.fixture
def programs(objects: SeaweedFS, tmp_path: Path) -> Iterator[tuple[Headgate, Headgate]]:
    """One that answers from memory, and one that never does."""
    with (
        Headgate(configuration(objects, tmp_path / "one", "hot/")) as prepares,
        Headgate(configuration(objects, tmp_path / "other", "hot/", prepared="0B")) as never,
    ):
        yield prepares, never


def the_same(answer: bytes, longest: float) -> bytes:
    """An answer without what differs; its age, if it tells one, is at most so many seconds."""
    told = re.search(rb"(?m)^age: (\d+)\r$", answer)
    assert told is None or int(told[1]) <= longest
    return re.sub(rb"(?m)^age: \d+\r$", b"age: (age)\r", hot.without_what_differs(answer))


async def test_answers_log_and_metrics_are_the_same(programs: tuple[Headgate, Headgate]) -> None:
    etag, same = map(hot.etag_of_plain, programs)
    assert etag == same
    requests = hot.some_requests(etag, REQUESTS, http1=True, seed=1)
    answers = [await hot.ask_http1(one, requests, seed=2) for one in programs]
    longest = time.monotonic() - _BEGUN
    for number, (ours, theirs) in enumerate(zip(*answers, strict=True)):
        assert the_same(ours, longest) == the_same(theirs, longest), requests[number]
    aged = Counter(b"\r\nage: " in one for one in answers[0])
    assert aged[True] > REQUESTS / 3
    assert hot.hot_answers(programs[0]) > REQUESTS / 6
    counted = [
        {name: value for name, value in hot.metrics(one).items() if _COUNTED.match(name)}
        for one in programs
    ]
    assert counted[0] == counted[1]
    for one in programs:
        one.stop()
    lines = [hot.lines_of(one, _SAID) for one in programs]
    assert lines[0] == lines[1]
    assert sum("hit (memory)" in line for line in lines[0]) > REQUESTS / 6


async def test_http2_answers_are_the_same(programs: tuple[Headgate, Headgate]) -> None:
    etag, _ = map(hot.etag_of_plain, programs)
    requests = hot.some_requests(etag, REQUESTS, http1=False, seed=3)
    # Nothing is left to be found out: of what is asked for at the same time, one thing or the other
    # comes first.
    requests = [
        (method, path, [field for field in fields if not field[0].startswith("Want")])
        for method, path, fields in requests
    ]
    for one in programs:
        for path in {path for _, path, _ in requests}:
            await hot.ask_http2(one, [("GET", path, [("Host", "h")])] * 2)
            await hot.ask_http2(
                one, [("GET", path, [("Host", "h"), ("Accept-Encoding", "gzip, br")])]
            )
    answers = [await hot.ask_http2(one, requests) for one in programs]
    for number, (ours, theirs) in enumerate(zip(*answers, strict=True)):
        shown = []
        for headers, body, reset in (ours, theirs):
            aged = [(name, b"(age)" if name == b"age" else value) for name, value in headers]
            shown.append(hot.without_what_differs_2((aged, body, reset)))
        assert shown[0] == shown[1], requests[number]
    assert hot.hot_answers(programs[0]) > REQUESTS / 6


# --- how they end -------------------------------------------------------------------------------


def test_they_age_and_expire(objects: SeaweedFS, tmp_path: Path) -> None:
    put(objects, "ending/", "a", b"old")
    table = configuration(objects, tmp_path / "cache", "ending/", default_ttl="2s")
    with (
        Headgate(table) as program,
        httpx.Client(base_url=program.url, trust_env=False) as client,
    ):
        begun = time.monotonic()
        first = client.get("/a")
        validated = time.monotonic()
        assert "age" not in first.headers
        assert client.get("/a").headers["age"] in {"0", "1"}
        put(objects, "ending/", "a", b"new")
        ages = set[int]()
        while True:
            before = time.monotonic()
            answer = client.get("/a")
            if answer.content == b"new":
                break
            assert answer.content == b"old"
            age = int(answer.headers["age"])
            # Dated by a clock that has milliseconds.
            assert before - validated - 1.1 <= age <= time.monotonic() - begun + 0.1
            assert before - validated < 2.1
            ages.add(age)
        assert time.monotonic() - begun >= 1.9
        assert ages <= {0, 1}
        assert "age" not in answer.headers
        assert hot.hot_answers(program) > 10
        assert client.get("/a").content == b"new"


@pytest.mark.parametrize("soft", [False, True])
def test_a_purge_is_seen_at_once(soft: bool, objects: SeaweedFS, tmp_path: Path) -> None:
    table = configuration(objects, tmp_path / "cache", "purged/")
    table = table.replace("workers = 1", "workers = 2")
    put(objects, "purged/", "a", b"0")
    with Headgate(table) as program:
        assert operating.asked(program, "a") == {b"0"}
        for number in range(1, 9):
            put(objects, "purged/", "a", b"%d" % number)
            before = hot.hot_answers(program)
            assert operating.asked(program, "a") == {b"%d" % (number - 1)}
            assert hot.hot_answers(program) - before > operating.ASKED / 2
            operating.purge(program, kind="key", value="a", soft=soft)
            assert operating.asked(program, "a") == {b"%d" % number}


def test_a_missing_sibling_that_comes_is_seen_after_its_time(
    objects: SeaweedFS, tmp_path: Path
) -> None:
    put(objects, "sibling/", "a.js", b"identity")
    table = configuration(objects, tmp_path / "cache", "sibling/", missing_ttl="1s")
    with (
        Headgate(table) as program,
        httpx.Client(base_url=program.url, trust_env=False) as client,
    ):
        fields = {"accept-encoding": "gzip"}
        assert [client.get("/a.js", headers=fields).content for _ in range(3)] == [b"identity"] * 3
        assert hot.hot_answers(program) > 0
        put(objects, "sibling/", "a.js.gz", b"as gzip")
        time.sleep(1.1)
        with client.stream("GET", "/a.js", headers=fields) as answer:
            assert b"".join(answer.iter_raw()) == b"as gzip"


@pytest.mark.parametrize("option", ["tell", "follow_requests"])
def test_what_each_client_is_told_or_demands_is_made_anew(
    option: str, objects: SeaweedFS, tmp_path: Path
) -> None:
    table = configuration(objects, tmp_path / "cache", "hot/").replace(
        "[cache]", f"[cache]\n{option} = true"
    )
    with (
        Headgate(table) as program,
        httpx.Client(base_url=program.url, trust_env=False) as client,
    ):
        for _ in range(3):
            assert client.get("/plain.txt").content == hot.CONTENTS["plain.txt"]
        assert hot.hot_answers(program) == 0
