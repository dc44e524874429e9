"""The fault origin does what it is told: seen by a plain client that signs for itself."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import closing

import pytest

from tests.faults.acts import Act, Canned
from tests.faults.control import Faults
from tests.servers import Uploads

pytestmark = pytest.mark.servers

BODY = bytes(range(256)) * 400


@pytest.fixture(scope="module", autouse=True)
def stored(faults: Faults) -> None:
    store = faults.store
    store.uploads.put(store.bucket, "faults/a", BODY, checksum="crc32")


def get(
    faults: Faults, *acts: Act, field: str = "", key: str = "faults/a"
) -> tuple[int, dict[str, str], bytes]:
    """One signed GET; raises what `http.client` raises."""
    faults.plan(key, *acts)
    connection, target = asking(faults, key, field)
    with closing(connection):
        connection.request("GET", target, headers={"Range": field} if field else {})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()


def asking(faults: Faults, key: str, field: str = "") -> tuple[http.client.HTTPConnection, str]:
    """A connection, and the signed target to ask for there."""
    with signing(faults) as uploads:
        parameters = {"Bucket": faults.store.bucket, "Key": key}
        if field:
            parameters["Range"] = field
        url: str = uploads.client.generate_presigned_url("get_object", Params=parameters)
    connection = http.client.HTTPConnection("127.0.0.1", faults.port, timeout=10)
    return connection, url.removeprefix(faults.endpoint)


def signing(faults: Faults) -> Uploads:
    """A client of the store, by way of the fault origin."""
    store = faults.store
    return Uploads(faults.endpoint, store.access_key_id, store.secret_access_key, patience=0)


def test_the_plain_act_passes_all_on(faults: Faults) -> None:
    faults.take("faults/a")
    status, headers, body = get(faults)
    assert (status, body) == (200, BODY)
    assert headers["content-length"] == str(len(BODY))
    status, headers, body = get(faults, field="bytes=5-9")
    assert (status, body) == (206, BODY[5:10])
    counted = faults.take("faults/a")
    expected = {"requests": 2, "bytes": len(BODY) + 5, "ranges": ["", "bytes=5-9"]}
    expected |= {"gets": 2, "get_bytes": len(BODY) + 5, "heads": 0, "head_bytes": 0}
    assert counted == expected


def test_counts_are_by_method_and_in_all_and_stay(faults: Faults) -> None:
    store, key = faults.store, "faults/counted"
    store.uploads.put(store.bucket, key, BODY)
    before = faults.counts()["total"]
    get(faults, key=key)
    with signing(faults) as uploads:
        uploads.client.head_object(Bucket=store.bucket, Key=key)
    expected = {"requests": 2, "bytes": len(BODY), "gets": 1, "get_bytes": len(BODY), "heads": 1}
    expected |= {"head_bytes": 0}
    for _ in range(2):
        counts = faults.counts()
        assert counts["paths"][faults.path_of(key)] == {**expected, "ranges": ["", ""]}
        assert {name: counts["total"][name] - before[name] for name in expected} == expected
    faults.take(key)
    assert faults.path_of(key) not in faults.counts()["paths"]


def test_no_more_is_counted_than_the_kernel_holds_for_a_client(faults: Faults) -> None:
    store, key = faults.store, "faults/left"
    store.uploads.put(store.bucket, key, bytes(32 * 1024 * 1024))
    connection, target = asking(faults, key)
    with closing(connection):
        connection.connect()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        connection.request("GET", target)
        assert len(connection.getresponse().read(100_000)) == 100_000
        counted = [-1, 0]
        while counted[-1] != counted[-2] or not counted[-1]:
            time.sleep(0.5)
            counted.append(faults.counts()["paths"][faults.path_of(key)]["bytes"])
    assert 100_000 <= counted[-1] < 2 * 1024 * 1024


def test_pace(faults: Faults) -> None:
    """How slow it is, is the pacer's to say; here, that all comes right, and not before time."""
    faults.pace(delay=0.1, rate=len(BODY) / 0.2)
    try:
        connection, target = asking(faults, "faults/a")
        with closing(connection):
            began = time.monotonic()
            connection.request("GET", target)
            answer = connection.getresponse()
            assert time.monotonic() - began >= 0.1
            assert answer.read() == BODY
        # The last piece is sent at once, and only waited for before the next.
        assert get(faults, Act(canned=Canned(200, [], "x")))[2] == b"x"
    finally:
        faults.pace()
    assert get(faults)[2] == BODY


def test_plans_are_for_one_request_each(faults: Faults) -> None:
    assert get(faults, Act(status=418))[0] == 418
    faults.plan("faults/a", rest=Act(status=418))
    assert get(faults, key="faults/a")[0] == 200  # a new plan takes the place of the old one


@pytest.mark.parametrize("at", [0, 1, 70_000, len(BODY) - 1])
def test_cut(faults: Faults, at: int) -> None:
    with pytest.raises(http.client.IncompleteRead) as raised:
        get(faults, Act(end="cut", at=at))
    assert raised.value.partial == BODY[:at]


def test_reset(faults: Faults) -> None:
    with pytest.raises(ConnectionResetError):
        get(faults, Act(end="reset", at=70_000))
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        get(faults, Act(head="reset"))


@pytest.mark.parametrize("act", [Act(end="stall", at=100), Act(head="silent")])
def test_silence(faults: Faults, act: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = http.client.HTTPConnection

    def impatient(host: str, port: int, timeout: float) -> http.client.HTTPConnection:
        return plain(host, port, timeout=0.3)

    monkeypatch.setattr(http.client, "HTTPConnection", impatient)
    with pytest.raises(TimeoutError):
        get(faults, act)


def test_one_bit(faults: Faults) -> None:
    body = get(faults, Act(flip=70_001))[2]
    assert [i for i in range(len(BODY)) if body[i] != BODY[i]] == [70_001]
    assert body[70_001] == BODY[70_001] ^ 1


def test_lengths(faults: Faults) -> None:
    with pytest.raises(http.client.IncompleteRead):
        get(faults, Act(longer=3))
    assert get(faults, Act(longer=-3))[2] == BODY[:-3]
    assert get(faults, Act(longer=-3, extra=True))[2] == BODY[:-3]


def test_fields(faults: Faults) -> None:
    act = Act(put={"ETag": '"lie"', "Last-Modified": None}, add=[("Set-Cookie", "a=b")])
    headers = get(faults, act)[1]
    assert (headers["etag"], headers["set-cookie"]) == ('"lie"', "a=b")
    assert "last-modified" not in headers


def test_canned(faults: Faults) -> None:
    status, headers, body = get(faults, Act(canned=Canned(503, [("Retry-After", "7")], "busy")))
    assert (status, headers["retry-after"], body) == (503, "7", b"busy")


def test_a_head_that_never_ends(faults: Faults) -> None:
    with pytest.raises(http.client.HTTPException, match="more than 100 headers"):
        get(faults, Act(head="endless"))


def test_slow(faults: Faults) -> None:
    assert get(faults, Act(slow=0.3))[2] == BODY


def test_a_change_before_the_answer(faults: Faults) -> None:
    store = faults.store
    store.uploads.put(store.bucket, "faults/changing", b"old")
    url = store.uploads.client.generate_presigned_url(
        "put_object", Params={"Bucket": store.bucket, "Key": "faults/changing"}
    )
    target = url.removeprefix(store.endpoint)
    raw = f"PUT {target} HTTP/1.1\r\nHost: 127.0.0.1:{store.port}\r\nContent-Length: 3\r\n\r\nnew"
    assert get(faults, key="faults/changing")[2] == b"old"
    assert get(faults, Act(before=raw), key="faults/changing")[2] == b"new"


def test_the_canary_counts(faults: Faults) -> None:
    before = faults.asked_the_canary()
    connection = http.client.HTTPConnection("127.0.0.1", faults.canary_port, timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"canary"
    connection.close()
    assert faults.asked_the_canary() == before + 1
