"""Which requests are hot. What is read anywhere must not be taken for a field without effect."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.server import hot_requests
from proxy.server.hot_requests import Asked, has_no_effect, path_of, read_asked

PROXY = Path(hot_requests.__file__).parents[1]
_READ = re.compile(
    r"""fields\.get\(\s*"([a-z-]+)"|"([a-z-]+)"\s+(?:not )?in (?:request\.)?fields\b"""
    r"""|fields\[\s*"([a-z-]+)"\s*\]"""
)
# Read, but only for answers that are never kept: error pages, listings, and the log's trace.
_CHANGES_NO_OBJECT = {"accept"}
# Read for a cache that follows what clients demand of it. Such a one gives no lease.
_DEMANDS = {"cache-control", "pragma"}


def fields_read() -> set[str]:
    found = set()
    for file in PROXY.rglob("*.py"):
        for names in _READ.findall(file.read_text()):
            found |= {name for name in names if name}
    return found


def test_no_field_that_is_read_is_taken_for_one_without_effect() -> None:
    read = fields_read()
    assert {"range", "if-none-match", "accept-encoding", "want-repr-digest", "traceparent"} <= read
    choosing = {name.decode() for name in hot_requests._CHOOSE}
    for name in read - choosing - _CHANGES_NO_OBJECT - _DEMANDS:
        assert not has_no_effect(name.encode(), b"x"), name
    assert choosing <= read


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], Asked()),
        ([(b"host", b"a"), (b"user-agent", b"b"), (b"sec-fetch-dest", b"image")], Asked()),
        ([(b"te", b"trailers")], Asked()),
        ([(b"te", b"gzip, trailers")], None),
        ([(b"accept-encoding", b"br")], Asked(b"br")),
        ([(b"accept-encoding", b"br"), (b"accept-encoding", b"gzip")], None),
        ([(b"if-none-match", b'"a"')], Asked(none_match=b'"a"')),
        (
            [(b"if-modified-since", b"x"), (b"cookie", b"y"), (b"if-none-match", b'"a"')],
            Asked(None, b'"a"', b"x"),
        ),
        ([(b"range", b"bytes=0-")], None),
        ([(b"if-range", b'"a"')], None),
        ([(b"if-match", b"*")], None),
        ([(b"if-unmodified-since", b"x")], None),
        ([(b"want-repr-digest", b"sha-256=1")], None),
        ([(b"content-length", b"0")], None),
        ([(b"transfer-encoding", b"chunked")], None),
        ([(b"expect", b"100-continue")], None),
        ([(b"upgrade", b"h2c")], None),
        ([(b"authorization", b"Basic x")], None),
        ([(b"traceparent", b"00-")], None),
        ([(b"x-unknown", b"")], None),
        ([(b"HOST", b"a")], None),
        ([(b"", b"")], None),
    ],
)
def test_what_a_request_asks(fields: list[tuple[bytes, bytes]], expected: Asked | None) -> None:
    assert read_asked(fields) == expected


def test_names_that_clients_choose_are_bounded() -> None:
    for number in range(5000):
        assert read_asked([(b"sec-%d" % number, b"")]) == Asked()
    assert len(hot_requests._seen) <= hot_requests._MOST_SEEN


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/a", b"/a"),
        (b"/a?", b"/a"),
        (b"/a?v=1", b"/a"),
        (b"/a?v=1?x", b"/a"),
        (b"/%61?v", b"/%61"),
        (b"/a?download", None),
        (b"/a?v&download=x", None),
        (b"/a?down%6coad", None),
        (b"/a?v=1+2", None),
        (b"/" + b"x" * 99, b"/" + b"x" * 99),
        (b"/" + b"x" * 100, None),
        (b"/" + b"x" * 49 + b"?" + b"y" * 50, b"/" + b"x" * 49),
        (b"/" + b"x" * 49 + b"?" + b"y" * 51, None),
    ],
)
def test_the_path_of_a_target(target: bytes, expected: bytes | None) -> None:
    assert path_of(target, 100) == expected
