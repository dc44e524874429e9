"""Headers that may leave, and those that may not. The rest is shown over the wire."""

from __future__ import annotations

import pytest

from proxy.server.exchange import checked_headers, promised_length


def test_names_become_lower_case_and_values_are_trimmed() -> None:
    assert checked_headers([(b"X-A", b" b\tc \t")]) == [(b"x-a", b"b\tc")]


@pytest.mark.parametrize("bad", [b"\r", b"\n", b"\0", b"a\r\nb: c", b"\x1b", b"\x7f", b"\x0b"])
def test_control_bytes_never_leave(bad: bytes) -> None:
    with pytest.raises(ValueError, match="control byte"):
        checked_headers([(b"a", b"x" + bad + b"y")])


@pytest.mark.parametrize("bad", [b"", b":status", b"a b", b"a\r\nb", b"a:", "ä".encode()])
def test_a_name_is_a_token(bad: bytes) -> None:
    with pytest.raises(ValueError, match="no header name"):
        checked_headers([(bad, b"x")])


def test_the_connections_own_headers_are_dropped() -> None:
    headers = [(b"Transfer-Encoding", b"chunked"), (b"upgrade", b"h2c"), (b"keep-alive", b"1")]
    assert checked_headers(headers) == []


def test_the_promised_length() -> None:
    assert promised_length([(b"a", b"1"), (b"content-length", b"25")]) == 25
    assert promised_length([(b"a", b"1")]) is None
