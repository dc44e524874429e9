"""Which heads are refused, and with which status."""

from __future__ import annotations

import pytest

from proxy.server.requests import Refused, check_head, origin_form


def refusal(
    method: bytes, target: bytes, headers: list[tuple[bytes, bytes]] | None = None
) -> int | None:
    try:
        check_head(method, target, headers or [], most_bytes=1000, most_fields=5)
    except Refused as refused:
        return refused.status
    return None


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        (b"GET", b"/", None),
        (b"GET", b"/a?b=c", None),
        (b"GET", b"http://a/b", None),
        (b"GET", b"HTTPS://a", None),
        (b"OPTIONS", b"*", None),
        (b"get", b"/", None),
        (b"GET", b"*", 400),
        (b"GET", b"", 400),
        (b"GET", b"a", 400),
        (b"GET", b"@a", 400),
        (b"GET", b"ftp://a/", 400),
        (b"GET", b"http:///a", 400),
        (b"GET", b"/a b", 400),
        (b"GET", b"/\x00", 400),
        (b"GET", "/ä".encode(), 400),
        (b"CONNECT", b"a:1", 501),
        (b"CONNECT", b"", 501),
    ],
)
def test_targets(method: bytes, target: bytes, expected: int | None) -> None:
    assert refusal(method, target) == expected


def test_sizes() -> None:
    assert refusal(b"GET", b"/", [(b"a", b"b")] * 5) is None
    assert refusal(b"GET", b"/", [(b"a", b"b")] * 6) == 431
    assert refusal(b"GET", b"/", [(b"a", b"b" * (1000 - 33))]) is None
    assert refusal(b"GET", b"/", [(b"a", b"b" * (1000 - 32))]) == 431


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/a?b", (b"/a?b", None)),
        (b"*", (b"*", None)),
        (b"http://h:1/a?b", (b"/a?b", b"h:1")),
        (b"http://h", (b"/", b"h")),
        (b"http://h?a", (b"/?a", b"h")),
    ],
)
def test_absolute_targets(target: bytes, expected: tuple[bytes, bytes | None]) -> None:
    assert origin_form(target) == expected
