"""What a protocol and an application say to each other of hot requests."""

from __future__ import annotations

import re

from proxy.server.hot import Prepared, client_of, new_request_id


def test_ids_are_long_and_none_comes_twice() -> None:
    ids = [new_request_id() for _ in range(5000)]
    assert len(set(ids)) == 5000
    assert all(re.fullmatch(rb"[0-9a-f]{16}", one) for one in ids)


def test_a_client_by_its_address() -> None:
    assert client_of(("192.0.2.1", 5)) == "192.0.2.1"
    assert client_of(None) == "unix"


def test_heads_are_written_by_whoever_sends_them() -> None:
    prepared = Prepared(200, ((b"content-length", b"1"),), b"a")
    assert (prepared.written.http1, prepared.written.http2) == (None, None)
