"""Spans as messages, and the way to a collector that may misbehave."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trustme

from proxy.observability.exporting import NotTaken
from proxy.observability.otlp import Collector, write_spans
from proxy.observability.spans import Span, new_trace_id
from proxy.observability.trace_context import TraceContext
from tests.admin.test_client import request_over
from tests.servers.collector import Collector as StandIn
from tests.servers.process import free_ports

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def span() -> Span:
    made = Span(TRACE, PARENT, "GET /", "server")
    made.attributes = {"text": "a", "number": 3, "part": 0.5, "flag": True, "odd": "\udc80"}
    made.state, made.error, made.said = "a=1", True, "cut"
    made.link = TraceContext(new_trace_id(), PARENT, sampled=True)
    made.end()
    return made


def body(count: int = 1) -> bytes:
    return write_spans([span() for _ in range(count)], {"service.name": "edge"}, "1.2.3")


def test_a_span_arrives_as_it_was() -> None:
    with StandIn() as stand_in, closing(Collector(f"{stand_in.url}/", {"x-key": "k"}, 5)) as way:
        made = span()
        assert way.post(write_spans([made], {"service.name": "edge"}, "1.2.3")) == 0
        assert way.post(body(20)) == 0
        first, *others = stand_in.spans
    assert made.link is not None
    assert len(others) == 20
    assert (first.trace_id, first.id, first.parent_id) == (TRACE, made.id, PARENT)
    assert (first.name, first.kind, first.error, first.said) == ("GET /", 2, True, "cut")
    assert (first.begun, first.ended) == (made.begun, made.ended)
    assert first.attributes == {"text": "a", "number": 3, "part": 0.5, "flag": True, "odd": "?"}
    assert first.resource == {"service.name": "edge"}
    assert (first.state, first.links) == ("a=1", ((made.link.trace_id, PARENT),))
    assert stand_in.paths == ["/v1/traces"] * 2
    assert stand_in.headers[0]["content-type"] == "application/x-protobuf"
    assert stand_in.headers[0]["x-key"] == "k"


@pytest.mark.parametrize("path", ["", "/", "/v1/traces", "/v1/traces/"])
def test_the_path_is_added_where_it_is_missing(path: str) -> None:
    with StandIn() as stand_in, closing(Collector(stand_in.url + path, {}, 5)) as way:
        way.post(body())
        assert stand_in.paths == ["/v1/traces"]


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (401, False), (429, True), (500, False), (503, True), (302, False)],
)
def test_what_it_refuses_is_told(status: int, retryable: bool) -> None:
    with StandIn(status=[status]) as stand_in, closing(Collector(stand_in.url, {}, 5)) as way:
        with pytest.raises(NotTaken, match=str(status)) as caught:
            way.post(body())
        assert caught.value.retryable == retryable
        assert way.post(body()) == 0


def test_what_it_refuses_in_part_is_told() -> None:
    with StandIn(rejects=3) as stand_in, closing(Collector(stand_in.url, {}, 5)) as way:
        assert way.post(body(5)) == 3


def test_nobody_there() -> None:
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with closing(Collector(url, {}, 5)) as way, pytest.raises(NotTaken, match="refused") as caught:
        way.post(body())
    assert caught.value.retryable


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """A server that sends these bytes whatever it is asked, a connection each, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    request_over(connection)  # or what is left unread makes it a reset
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(30)


GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def test_one_that_closed_what_was_kept_is_asked_again() -> None:
    with answering(GOOD, GOOD) as url, closing(Collector(url, {}, 5)) as way:
        assert way.post(body()) == 0
        assert way.post(body()) == 0


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 two hundred\r\n\r\n", b"what?"])
def test_rubbish_is_no_answer(answer: bytes) -> None:
    with answering(answer) as url, closing(Collector(url, {}, 5)) as way:
        with pytest.raises(NotTaken) as caught:
            way.post(body())
        assert caught.value.retryable


def test_an_answer_of_another_form_has_taken_them() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n\xff\xff\xff\xff\xff\xff"
    with answering(answer) as url, closing(Collector(url, {}, 5)) as way:
        assert way.post(body()) == 0


def test_one_without_an_end_is_read_so_far_and_no_farther() -> None:
    endless = b"HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n" + b"x" * 70000
    with answering(endless) as url, closing(Collector(url, {}, 5)) as way:
        assert way.post(body()) == 0
        assert way._connection.sock is None


def test_one_that_hangs_is_given_up() -> None:
    with StandIn(hangs=True) as stand_in, closing(Collector(stand_in.url, {}, 0.1)) as way:
        with pytest.raises(NotTaken) as caught:
            way.post(body())
        assert caught.value.retryable


def test_tls_is_verified(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with StandIn() as stand_in:
        stand_in.speak_tls(authority)
        url = stand_in.url.replace("http:", "https:")
        with closing(Collector(url, {}, 5)) as way, pytest.raises(NotTaken):
            way.post(body())
        with closing(Collector(url, {}, 5, str(tmp_path / "ca.pem"))) as way:
            assert way.post(body()) == 0
