"""Each lie by itself: the right status before the first byte, a visible break after it.

And what the log says of it: what was expected, and what came.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import h2.errors
import pytest

from tests.e2e.program import Headgate
from tests.faults.acts import PLAIN, Act, Canned
from tests.faults.control import Faults
from tests.faults.drawing import slow_down
from tests.faults.objects import MIB, Thing, put_thing
from tests.faults.servers import raw_requests
from tests.server.talk import http1, http2

pytestmark = pytest.mark.servers

SMALL = Thing("breaks/small", 5, 1000, "crc64nvme")
LARGE = Thing("breaks/large", 77, 3 * MIB, "crc32c")
RANGE = "bytes=100-2000000"


def error(status: int, code: str) -> Act:
    return Act(canned=Canned(status, [], f"<Error><Code>{code}</Code></Error>"))


GONE = error(412, "PreconditionFailed")


@pytest.fixture(scope="module", autouse=True)
def things(faults: Faults) -> None:
    for thing in (SMALL, LARGE):
        put_thing(faults.store.uploads, faults.store.bucket, thing)


def port_of(program: Headgate) -> int:
    return int(program.url.rpartition(":")[2])


async def get(
    program: Headgate, thing: Thing, field: str = ""
) -> tuple[int, dict[str, str], bytes]:
    """Status, fields and body as they came over HTTP/1.1."""
    lines = [f"GET /{thing.key} HTTP/1.1", "Host: a", "Connection: close"]
    request = "\r\n".join([*lines, *([f"Range: {field}"] if field else []), "", ""])
    answer = await http1(port_of(program), request.encode(), 60)
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    fields = {
        name.lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)
    }
    return int(first.split(" ")[1]), fields, body


def logged(program: Headgate, fields: dict[str, str]) -> dict[str, Any]:
    """The access log's line for a request; a thread writes it, so it may take a while."""
    for _ in range(500):
        for line in program.output().splitlines():
            if fields["x-request-id"] in line and '"outcome"' in line:
                found: dict[str, Any] = json.loads(line)
                return found
        time.sleep(0.01)
    raise AssertionError(f"{fields['x-request-id']} is not in the log")


# Answers to all requests for an object, its range or not, the status, and words of the log.
REFUSALS = [
    ("", Act(canned=slow_down()), 503, "the store answered 503 SlowDown"),
    ("", Act(canned=slow_down("9")), 503, "the store answered 503 SlowDown"),
    ("", error(500, "InternalError"), 503, "500 InternalError"),
    ("", error(403, "AccessDenied"), 502, "403 AccessDenied"),
    ("", error(404, "NoSuchKey"), 404, ""),
    ("", Act(canned=Canned(204)), 502, "204"),
    ("", Act(status=206), 502, "asked for bytes=0-, the store answered 206"),
    ("", Act(head="reset"), 502, ""),
    ("", Act(head="silent"), 504, "did not answer in"),
    ("", Act(head="endless"), 502, "sent no HTTP"),
    ("", Act(put={"Content-Length": None}), 502, "no usable Content-Length"),
    ("", Act(put={"Content-Length": "12, 12"}), 502, ""),
    ("", Act(put={"Content-Length": None}, add=[("Transfer-Encoding", "chunked")]), 502, ""),
    ("", Act(end="cut"), 502, "1000 bytes too early|broke off"),
    ("", Act(end="stall", at=3), 504, "sent nothing for 1 s"),
    ("", Act(flip=999), 502, "promised|crc64nvme"),
    ("", Act(longer=-1), 502, "promised|crc64nvme"),
    ("", Act(put={"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}), 502, "promised|crc64nvme"),
    ("bytes=5-9", Act(put={"Content-Range": "bytes 6-10/1000"}), 502,
     "bytes=5-9, the store answered 206 with Content-Range 'bytes 6-10/1000'"),
    ("bytes=5-9", Act(put={"Content-Range": "bytes 5-9/*"}), 502, "asked for bytes=5-9"),
    ("bytes=5-9", Act(put={"Content-Range": None}), 502, "asked for bytes=5-9"),
    ("bytes=5-9", Act(longer=-1), 502, "Content-Length 4"),
    ("bytes=5-9", Act(longer=1), 502, "Content-Length 6"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "act", "status", "words"), REFUSALS)
async def test_the_right_status_before_the_first_byte(
    program: Headgate, faults: Faults, field: str, act: Act, status: int, words: str
) -> None:
    faults.plan(SMALL.key, rest=act)
    found, fields, body = await get(program, SMALL, field)
    assert found == status
    assert len(body) == int(fields["content-length"])
    assert ("retry-after" in fields) is (status == 503)
    detail = logged(program, fields).get("detail", "")
    assert any(one in detail for one in words.split("|")), detail
    faults.plan(SMALL.key)
    assert (await get(program, SMALL))[2] == bytes(SMALL.body)  # and the next one starts clean


async def test_a_redirect_is_never_followed(program: Headgate, faults: Faults) -> None:
    canary = f"http://127.0.0.1:{faults.canary_port}/canary"
    faults.plan(SMALL.key, rest=Act(canned=Canned(307, [("Location", canary)])))
    status, fields, body = await get(program, SMALL)
    assert status == 502
    assert b"canary" not in body
    assert "location" not in fields
    assert "a redirect" in logged(program, fields)["detail"]
    assert faults.asked_the_canary() == 0


async def test_cookies_of_the_store_are_not_passed_on(program: Headgate, faults: Faults) -> None:
    faults.plan(SMALL.key, Act(add=[("Set-Cookie", f"a{i}=b") for i in range(20)]))
    status, fields, body = await get(program, SMALL)
    assert (status, body) == (200, bytes(SMALL.body))
    assert "set-cookie" not in fields


# --- after the first byte -------------------------------------------------------------------------

AT = 2 * MIB
BREAKS = [
    ("", (Act(flip=MIB),), PLAIN, "promised|crc32c"),
    ("", (Act(longer=5),), PLAIN, ""),
    ("", (Act(longer=-5),), PLAIN, "promised|crc32c"),
    ("", (Act(end="cut", at=AT),), GONE, "412"),
    ("", (Act(end="cut", at=AT),), Act(put={"ETag": '"other"'}), "another version"),
    ("", (Act(end="reset", at=AT),), Act(canned=slow_down()), "503 SlowDown"),
    ("", (Act(end="stall", at=AT),), Act(head="silent"), "did not answer"),
    ("", (Act(put={"ETag": 'W/"weak"'}, end="cut", at=AT),), PLAIN, "broke off"),
    ("", (Act(put={"ETag": None}, end="cut", at=AT),), PLAIN, "broke off"),
    ("", (Act(end="cut", at=AT),), Act(put={"Content-Range": "bytes 0-1/2"}),
     "with Content-Range 'bytes 0-1/2'"),
    (RANGE, (Act(end="cut", at=MIB),), GONE, "412"),
    (RANGE, (Act(end="cut", at=MIB),), Act(end="cut"), "broke off"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "acts", "rest", "words"), BREAKS)
async def test_a_break_is_seen_over_http1(
    program: Headgate, faults: Faults, field: str, acts: tuple[Act, ...], rest: Act, words: str
) -> None:
    faults.plan(LARGE.key, *acts, rest=rest)
    status, fields, body = await get(program, LARGE, field)
    assert status == (206 if field else 200)
    assert 0 < len(body) < int(fields["content-length"])
    record = logged(program, fields)
    assert record["outcome"] == "fault"
    assert any(one in record["detail"] for one in words.split("|")), record
    faults.plan(LARGE.key)
    assert (await get(program, LARGE))[2] == bytes(LARGE.body)


@pytest.mark.parametrize(("field", "acts", "rest", "words"), [*BREAKS[:6:2], BREAKS[-2]])
async def test_a_break_is_seen_over_http2_and_siblings_go_on(
    program: Headgate, faults: Faults, field: str, acts: tuple[Act, ...], rest: Act, words: str
) -> None:
    """The sibling takes seconds: the break has to come long before it ends."""
    slow = replace(LARGE, key="breaks/slow")
    put_thing(faults.store.uploads, faults.store.bucket, slow)
    faults.plan(slow.key, Act(slow=3.0))
    faults.plan(LARGE.key, *acts, rest=rest)
    fields = [(b"range", field.encode())] if field else []
    async with http2(port_of(program)) as client:
        sibling = client.request("/" + slow.key)
        broken = client.request("/" + LARGE.key, headers=fields)
        await client.over(broken, seconds=30)
        answer = client.answers[broken]
        assert answer.status == (206 if field else 200)
        assert answer.reset == h2.errors.ErrorCodes.INTERNAL_ERROR
        assert not answer.ended
        assert not client.answers[sibling].over
        await client.over(sibling, seconds=60)
        assert client.answers[sibling].body == slow.body
        assert client.answers[sibling].ended


async def test_replaced_between_two_reads(program: Headgate, faults: Faults) -> None:
    thing = Thing("breaks/replaced", 3, MIB // 2, "crc32")
    put_thing(faults.store.uploads, faults.store.bucket, thing)
    faults.plan(
        thing.key, Act(end="cut", at=MIB // 3), Act(before=raw_requests(faults).put_other(thing))
    )
    status, fields, body = await get(program, thing)
    assert status == 200
    assert len(body) < int(fields["content-length"])
    assert "412" in logged(program, fields)["detail"]
    assert (await get(program, thing))[2] == thing.other


async def test_recovered_is_not_seen_at_all(program: Headgate, faults: Faults) -> None:
    faults.take(LARGE.key)
    faults.plan(
        LARGE.key,
        Act(canned=slow_down()),
        Act(end="cut", at=MIB),
        Act(end="reset", at=MIB // 2),
        Act(end="stall", at=MIB // 4),
    )
    status, fields, body = await get(program, LARGE)
    assert status == 200
    assert body == LARGE.body
    assert logged(program, fields)["outcome"] == "complete"
    counted = faults.take(LARGE.key)
    assert counted["requests"] == 5
    assert counted["bytes"] <= LARGE.size + MIB  # what lay in sockets when it was reset
    log = program.output()
    assert "resume in" in log
    assert "at byte " in log


async def test_an_endless_head_takes_no_memory(program: Headgate, faults: Faults) -> None:
    before = _memory(program.pid)
    faults.plan(SMALL.key, rest=Act(head="endless"))
    answers = await asyncio.gather(*(get(program, SMALL) for _ in range(8)))
    assert {answer[0] for answer in answers} == {502}
    assert _memory(program.pid) - before < 16 * MIB


def _memory(pid: int) -> int:
    """Bytes in memory of a process and its children."""
    directory = Path(f"/proc/{pid}")
    children = (directory / "task" / str(pid) / "children").read_text().split()
    own = int((directory / "statm").read_text().split()[1]) * 4096
    return own + sum(_memory(int(child)) for child in children)
