"""From scopes to requests."""

from __future__ import annotations

import pytest

from proxy.errors import RequestFault, TargetTooLong
from proxy.server.request import Request, fields_of, read_request


def read(path: bytes, query: bytes = b"", **scope: object) -> Request:
    whole = {"method": "GET", "raw_path": path, "query_string": query, "headers": [], **scope}
    return read_request(whole, "id", max_target=100)


def test_repeated_fields_are_joined() -> None:
    headers = [(b"Range", b"bytes=0-1"), (b"range", b"bytes=2-3"), (b"x", b"\xff")]
    assert fields_of({"headers": headers}) == {"range": "bytes=0-1, bytes=2-3", "x": "\xff"}


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        (b"", {}),
        (b"download", {"download": ""}),
        (b"download=a%20b+c&download=second", {"download": "a b c"}),
        (b"a=1&b=%ff", {"a": "1", "b": "\ufffd"}),
        (b"&".join([b"a=1"] * 40), {}),
    ],
)
def test_parameters(query: bytes, parameters: dict[str, str]) -> None:
    whole = {"method": "GET", "raw_path": b"/", "query_string": query, "headers": []}
    assert read_request(whole, "id", max_target=1000).query == parameters


def test_a_server_without_raw_paths() -> None:
    whole = {"method": "GET", "path": "/ü b", "query_string": b"", "headers": []}
    assert read_request(whole, "id", max_target=100).path == "/ü b"


def test_the_host_decides_nothing() -> None:
    plain = read(b"/a")
    assert read(b"/a", headers=[(b"host", b"evil/../x?")]).path == plain.path


def test_targets_are_bounded_with_their_query() -> None:
    assert read(b"/" + b"a" * 99).path
    with pytest.raises(TargetTooLong):
        read(b"/" + b"a" * 99, b"q")
    with pytest.raises(RequestFault):
        read(b"")
