"""`headgate trace`: lines of a stream, and what it says when it can't look."""

from __future__ import annotations

import io
import json
import re
import socket
import threading

import pytest

from proxy.admin.client import as_text, lines_of, trace
from proxy.errors import StartError
from tests.servers.process import free_ports

RECORD = {
    "time": 0, "status": 503, "method": "GET", "target": "/a\x1b[2J\n", "sent": 12,
    "seconds": 1.25, "outcome": "fault", "client": "192.0.2.1", "request_id": "r",
    "detail": "d\x07",
}  # fmt: skip


def test_a_line_is_readable_and_harmless() -> None:
    line = as_text(RECORD)
    assert line.isprintable()
    assert '503 GET /a\\u001b[2J\\n 12 B 1250.0 ms fault 192.0.2.1 [r] "d\\u0007"' in line


def test_a_stream_becomes_lines() -> None:
    stream = [
        ": connected", "", f"data: {json.dumps(RECORD)}", "",
        "event: dropped", 'data: {"lines": 3}', "", ": nothing yet", "",
        'data: {"status": 200}', "",
    ]  # fmt: skip
    first, dropped, last = lines_of(stream, as_json=False)
    assert first == as_text(RECORD)
    assert "3 lines were dropped" in dropped
    assert " 200 " in last
    assert list(lines_of(stream, as_json=True))[-1] == '{"status": 200}'


def request_over(connection: socket.socket) -> bytes:
    """A request, which may come in pieces."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
        head, end, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if end and len(body) >= (int(length[1]) if length else 0):
            break
    return received


def serve_once(answer: bytes) -> tuple[str, list[bytes], threading.Thread]:
    """A server for one request: its address, what it was asked, and its thread."""
    server, asked = socket.create_server(("127.0.0.1", 0)), list[bytes]()

    def run() -> None:
        with server, server.accept()[0] as connection:
            asked.append(request_over(connection))
            connection.sendall(answer)

    thread = threading.Thread(target=run)
    thread.start()
    return f"127.0.0.1:{server.getsockname()[1]}", asked, thread


def test_it_asks_with_the_token_and_writes_until_the_end() -> None:
    body = b'data: {"status": 404}\n\n'
    address, asked, thread = serve_once(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
    out = io.StringIO()
    chosen = {"status": "4xx", "path": "/a b/**", "slower": ""}
    trace(f"http://{address}/", "word", chosen, out, as_json=True)
    thread.join(10)
    assert out.getvalue() == '{"status": 404}\n'
    assert asked[0].startswith(b"GET /trace?status=4xx&path=%2Fa+b%2F%2A%2A HTTP/1.1\r\n")
    assert b"authorization: Bearer word\r\n" in asked[0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b'HTTP/1.1 401 No\r\nContent-Length: 20\r\n\r\n{"detail": "a word"}', "refuses: a word"),
        (b"HTTP/1.1 404 None\r\nContent-Length: 2\r\n\r\n[]", "refuses: 404 None"),
        (b"gibberish\r\n\r\n", "Can't look at"),
        (b"", "Can't look at"),
    ],
)
def test_what_goes_wrong_is_one_line(answer: bytes, said: str) -> None:
    address, _, thread = serve_once(answer)
    with pytest.raises(StartError, match=said) as caught:
        trace(address, None, {}, io.StringIO(), as_json=False)
    thread.join(10)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["https://a", "http://", "http://a:x", "ftp://a", "http://[::1"]
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(StartError, match="no address"):
        trace(address, None, {}, io.StringIO(), as_json=False)


def test_nobody_there() -> None:
    [port] = free_ports(1)
    with pytest.raises(StartError, match="refused"):
        trace(f"127.0.0.1:{port}", None, {}, io.StringIO(), as_json=False)
