"""How commands ask the operator's door: what is sent, what is refused, and what breaks off."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from proxy.admin.asking import LONGEST_LINE, Refused, asked, lines
from proxy.errors import StartError
from tests.admin.test_client import serve_once
from tests.servers.process import free_ports

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


def refusal(head: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


def test_a_look_is_a_get_with_the_token() -> None:
    address, seen, thread = serve_once(OK + b"told")
    with asked(f"http://{address}/", "word", "/cache?a=b", accept="text/x") as answer:
        assert answer.read() == b"told"
    thread.join(10)
    head = seen[0].lower()
    assert seen[0].startswith(b"GET /cache?a=b HTTP/1.1\r\n")
    assert b"\r\nauthorization: bearer word\r\n" in head
    assert b"\r\naccept: text/x\r\n" in head
    assert b"content-type" not in head


def test_a_deed_is_a_post_of_json() -> None:
    address, seen, thread = serve_once(OK)
    with asked(f"http://{address}", None, "/cache/purge", {"kind": "key", "value": "é"}):
        pass
    thread.join(10)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /cache/purge HTTP/1.1\r\n")
    assert b"\r\ncontent-type: application/json" in head.lower()
    assert b"authorization" not in head.lower()
    assert json.loads(body) == {"kind": "key", "value": "é"}


@pytest.mark.parametrize(
    ("body", "why"),
    [(b'{"detail": "Not so."}', "Not so."), (b"no JSON", ""), (b"[1]", ""), (b"", "")],
)
def test_a_refusal_has_its_status_and_why(body: bytes, why: str) -> None:
    address, _, thread = serve_once(refusal(b"403 Forbidden", body))
    with pytest.raises(Refused) as refused, asked(f"http://{address}", None, "/cache"):
        pass
    thread.join(10)
    assert refused.value.status == 403
    assert why in refused.value.why
    assert len(str(refused.value).splitlines()) == 1
    assert str(refused.value).startswith(f"http://{address} refuses: ")


@pytest.mark.parametrize(
    "admin", ["ftp://127.0.0.1", "127.0.0.1:9090", "http://", "http://a:b", ""]
)
def test_what_is_no_address_is_one_line(admin: str) -> None:
    with pytest.raises(StartError) as error, asked(admin, None, "/"):
        pass
    assert len(str(error.value).splitlines()) == 1


def test_nobody_there_is_one_line() -> None:
    [port] = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    with pytest.raises(StartError, match=r"^Can't look at") as error, asked(address, None, "/"):
        pass
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 two\r\n\r\n", b"no HTTP\r\n\r\n"])
def test_an_answer_that_is_none_is_one_line(answer: bytes) -> None:
    address, _, thread = serve_once(answer)
    with pytest.raises(StartError, match=r"^Can't look at"), asked(f"http://{address}", None, "/"):
        pass
    thread.join(10)


def test_silence_has_an_end() -> None:
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def say_nothing() -> None:
            with server.accept()[0]:
                done.wait(30)

        thread = threading.Thread(target=say_nothing)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(StartError), asked(address, None, "/", silence=0.05):
            pass
        done.set()
        thread.join(10)


def test_lines_come_without_their_ends_and_have_a_bound() -> None:
    body = b"a\r\nb\n\n\xff\n" + b"x" * (LONGEST_LINE + 1) + b"\n"
    address, _, thread = serve_once(OK + body)
    with asked(f"http://{address}", None, "/") as answer:
        got = list(lines(answer))
    thread.join(10)
    assert got[:4] == ["a", "b", "", "\ufffd"]
    assert [len(one) for one in got[4:]] == [LONGEST_LINE, 1]
