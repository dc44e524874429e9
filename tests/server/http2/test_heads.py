"""Heads that leave: what hpack reads in them, and what may not be sent."""

from __future__ import annotations

from functools import partial

import pytest
from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st

from proxy.server.hot import Prepared
from proxy.server.http2.heads import (
    CONTINUE,
    bare_head,
    write_head,
    write_prepared,
    write_trailers,
)


def read(block: bytes) -> list[tuple[bytes, bytes]]:
    decoder = Decoder()
    fields = [(bytes(name), bytes(value)) for name, value in decoder.decode(block, raw=True)]
    assert not decoder.header_table.dynamic_entries  # stateless
    return fields


@given(st.integers(200, 999), st.integers(0, 40_000), st.sampled_from([1, 126, 127, 128, 400]))
def test_any_client_reads_what_was_written(status: int, size: int, name: int) -> None:
    headers = [(b"X" * name, b"v" * size), (b"Content-Type", b"text/plain")]
    fields = read(write_head(status, headers).block)
    assert fields[:3] == [
        (b":status", b"%d" % status),
        (b"x" * name, b"v" * size),
        (b"content-type", b"text/plain"),
    ]
    assert [name for name, _ in fields[3:]] == [b"date"]


def test_values_are_trimmed_and_the_connections_headers_dropped() -> None:
    headers = [
        (b"A", b" b\tc \t"),
        (b"Connection", b"close"),
        (b"Transfer-Encoding", b"chunked"),
        (b"keep-alive", b"1"),
        (b"Date", b"today"),
    ]
    for _ in range(2):  # the second time the names are known
        written = write_head(200, headers)
        assert read(written.block)[1:] == [(b"a", b"b\tc"), (b"date", b"today")]
        assert read(write_trailers(headers[:2])) == [(b"a", b"b\tc")]


@pytest.mark.parametrize("bad", [b"\r", b"\n", b"\0", b"a\r\nb: c", b"\x1b", b"\x7f", b"\x0b"])
def test_control_bytes_never_leave(bad: bytes) -> None:
    for write in (write_trailers, lambda headers: write_head(200, headers)):
        with pytest.raises(ValueError, match="control byte"):
            write([(b"a", b"x" + bad + b"y")])


@pytest.mark.parametrize("bad", [b"", b":status", b"a b", b"a\r\nb", b"a:", "ä".encode()])
def test_a_name_is_a_token(bad: bytes) -> None:
    with pytest.raises(ValueError, match="no header name"):
        write_head(200, [(bad, b"x")])


@pytest.mark.parametrize("status", [0, 100, 199, 1000, -1])
def test_a_status_is_final(status: int) -> None:
    with pytest.raises(ValueError, match="status"):
        write_head(status, [])


def test_the_content_length() -> None:
    assert write_head(200, [(b"Content-Length", b"25")]).length == 25
    assert write_head(200, []).length is None
    assert len(read(write_head(204, [(b"content-length", b"0")]).block)) == 2
    for bad in ([b"1", b"1"], [b"-1"], [b"x"]):
        with pytest.raises(ValueError, match="content-length"):
            write_head(200, [(b"content-length", one) for one in bad])


def test_answers_of_our_own() -> None:
    assert read(bare_head(431))[:2] == [(b":status", b"431"), (b"content-length", b"0")]
    assert read(CONTINUE) == [(b":status", b"100")]


def test_no_more_names_are_remembered_than_a_bound() -> None:
    for number in range(3000):
        write_trailers([(b"x-%d" % number, b"")])
    assert read(write_trailers([(b"x-2999", b"a")])) == [(b"x-2999", b"a")]


def test_a_prepared_answer_is_what_would_be_written() -> None:
    fields = ((b"content-length", b"3"), (b"X-A", b" b "), (b"etag", b'"a"'))
    for status in (200, 304, 599):
        prepared = Prepared(status, fields, b"abc")
        for number in range(3):
            request_id = b"%016d" % number
            own = [(b"x-request-id", request_id)]
            if number:
                prepared.age = partial(int, 77 * number)
                own.append((b"age", b"%d" % (77 * number)))
            block = write_prepared(prepared, request_id)
            expected = read(write_head(status, (*own, *fields)).block)
            assert [one for one in read(block) if one[0] != b"date"] == [
                one for one in expected if one[0] != b"date"
            ]
            assert [name for name, _ in read(block)] == [name for name, _ in expected]
