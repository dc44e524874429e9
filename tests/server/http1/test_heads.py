"""Response heads: what may leave, and in what form."""

from __future__ import annotations

import re
from functools import partial

import pytest

from proxy.server.hot import Prepared
from proxy.server.http1.heads import (
    bare_answer,
    date_line,
    status_line,
    write_fields,
    write_prepared,
)


def test_names_become_lower_case_and_values_are_trimmed() -> None:
    assert write_fields([(b"X-A", b" b\tc \t"), (b"b", b"")]).lines == b"x-a: b\tc\r\nb: \r\n"


@pytest.mark.parametrize("bad", [b"\r", b"\n", b"\0", b"a\r\nb: c", b"\x1b", b"\x7f", b"\x0b"])
def test_control_bytes_never_leave(bad: bytes) -> None:
    with pytest.raises(ValueError, match="control byte"):
        write_fields([(b"a", b"x" + bad + b"y"), (b"b", b"c")])


@pytest.mark.parametrize("bad", [b"", b":status", b"a b", b"a\r\nb", b"a:", "ä".encode()])
def test_a_name_is_a_token(bad: bytes) -> None:
    for _ in range(2):  # it must not be remembered as a good one either
        with pytest.raises(ValueError, match="no header name"):
            write_fields([(bad, b"x")])


def test_the_connections_own_fields_are_dropped() -> None:
    fields = write_fields(
        [(b"Transfer-Encoding", b"chunked"), (b"upgrade", b"h2c"), (b"Connection", b"Close")]
    )
    assert (fields.lines, fields.close) == (b"", True)
    assert not write_fields([(b"connection", b"keep-alive")]).close


def test_the_length() -> None:
    assert write_fields([(b"Content-Length", b"25")]).length == 25
    assert write_fields([(b"a", b"1")]).length is None
    kept = write_fields([(b"content-length", b"25")], length_allowed=False)
    assert (kept.lines, kept.length) == (b"", 25)


@pytest.mark.parametrize(
    "lengths", [[b"+5"], [b""], [b"-1"], [b"5", b"5"], [b"5, 5"], ["٥".encode()]]
)
def test_a_length_that_is_none_never_leaves(lengths: list[bytes]) -> None:
    with pytest.raises(ValueError, match="content-length can't be"):
        write_fields([(b"content-length", one) for one in lengths])


def test_many_names_are_written_though_not_all_are_remembered() -> None:
    headers = [(b"X-Meta-%d" % one, b"v") for one in range(3000)]
    assert write_fields(headers).lines.count(b"\r\n") == 3000


def test_status_lines() -> None:
    assert status_line(404) == b"HTTP/1.1 404 Not Found\r\n"
    assert status_line(299) == b"HTTP/1.1 299 \r\n"
    with pytest.raises(ValueError, match="no status"):
        status_line(99)


def test_the_date_is_gmt() -> None:
    assert re.fullmatch(rb"date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", date_line())
    assert not write_fields([(b"a", b"b")]).dated
    assert write_fields([(b"Date", b"b")]).dated


def test_a_bare_answer_ends_the_connection() -> None:
    answer = bare_answer(400)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.endswith(b"content-length: 0\r\nconnection: close\r\n\r\n")


@pytest.mark.parametrize(
    ("fields", "body", "bodyless"),
    [
        (((b"content-length", b"3"), (b"X-A", b" b ")), b"abc", False),
        (((b"x-a", b"b"),), b"abc", False),
        (((b"content-length", b"3"),), b"", True),
        (((b"etag", b'"a"'),), b"", True),
    ],
)
def test_a_prepared_answer_is_what_would_be_written(
    fields: tuple[tuple[bytes, bytes], ...], body: bytes, bodyless: bool
) -> None:
    prepared = Prepared(200, fields, body, bodyless=bodyless)
    for number in range(3):
        request_id = b"%016d" % number
        own = [(b"x-request-id", request_id)]
        if number:
            prepared.age = partial(int, 77 * number)
            own.append((b"age", b"%d" % (77 * number)))
        made = write_fields((*own, *fields))
        length = b"" if made.length is not None or bodyless else b"content-length: 3\r\n"
        written = b"".join(write_prepared(prepared, request_id))
        head, _, rest = written.partition(b"\r\ndate: ")
        assert head + b"\r\n" == status_line(200) + made.lines.replace(length, b"") + length
        assert rest.partition(b"\r\n\r\n")[2] == body
