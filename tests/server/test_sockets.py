"""Binding: what is shared, what is kept over a reload, and what can go wrong, in one line each."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from proxy.errors import StartError
from proxy.server.sockets import Address, Listeners, bind, parse_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:80", Address("127.0.0.1:80", host="127.0.0.1", port=80)),
        ("[::1]:0", Address("[::1]:0", host="::1", port=0)),
        ("localhost:65535", Address("localhost:65535", host="localhost", port=65535)),
        ("unix:/a/b", Address("unix:/a/b", path="/a/b")),
    ],
)
def test_addresses(text: str, expected: Address) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    "text", ["", "80", ":80", "a:", "a:b", "a:65536", "::1:80", "unix:", "a:-1", "a:１", "a:1 "]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(StartError, match="is not an address"):
        parse_address(text)


def test_each_worker_has_a_socket_of_its_own_on_one_port() -> None:
    listeners = Listeners().succeed({"a": "127.0.0.1:0"}, 3)
    shares = [listeners.share("a", index, 3) for index in range(3)]
    assert [len(one) for one in shares] == [1, 1, 1]
    assert len({one.fileno() for (one,) in shares}) == 3
    names = {one.getsockname() for (one,) in shares}
    assert [f"{host}:{port}" for host, port in names] == [listeners.shown("a")]
    listeners.close_except(Listeners())


def test_a_reload_keeps_the_sockets_and_divides_them_among_fewer() -> None:
    first = Listeners().succeed({"a": "127.0.0.1:0", "b": "127.0.0.1:0"}, 3)
    before = {one.fileno() for index in range(3) for one in first.share("a", index, 3)}
    second = first.succeed({"a": "127.0.0.1:0"}, 2)
    shares = [second.share("a", index, 2) for index in range(2)]
    assert {one.fileno() for share in shares for one in share} == before
    assert [len(one) for one in shares] == [2, 1]
    gone = first.share("b", 0, 1)
    first.close_except(second)
    assert {one.fileno() for one in gone} == {-1}
    third = second.succeed({"a": "127.0.0.1:0"}, 5)
    assert sum(len(third.share("a", index, 5)) for index in range(5)) == 5
    third.close_except(Listeners())


def test_a_failure_leaves_what_there_was_and_nothing_new() -> None:
    first = Listeners().succeed({"a": "127.0.0.1:0"}, 1)
    with pytest.raises(StartError):
        first.succeed({"a": "127.0.0.1:0", "c": "127.0.0.1:0", "b": "nonsense"}, 1)
    assert first.share("a", 0, 1)[0].fileno() >= 0
    first.close_except(Listeners())


def test_a_name_may_mean_several_addresses_on_one_port() -> None:
    bound = bind(parse_address("localhost:0"))
    assert {one.getsockname()[1] for group in bound.sockets for one in group} == {
        int(bound.shown.rpartition(":")[2])
    }
    bound.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("192.0.2.1:8080", "this machine has no such address"),
        ("unix:/nowhere/at/all", "the directory does not exist"),
        ("no.such.host.invalid:80", "Can't listen on no.such.host.invalid:80"),
    ],
)
def test_what_cant_be_bound(text: str, words: str) -> None:
    with pytest.raises(StartError) as caught:
        bind(parse_address(text))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_port_that_was_bound_for_sharing_is_in_use_for_another() -> None:
    first = bind(parse_address("127.0.0.1:0"))
    first.sockets[0][0].listen()
    with pytest.raises(StartError, match="it is in use"):
        bind(parse_address(first.shown))
    first.close()


def test_a_unix_socket_is_one_for_all_and_its_file_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listeners = Listeners().succeed({"a": f"unix:{path}"}, 2)
    assert listeners.share("a", 0, 2) == listeners.share("a", 1, 2)
    listeners.share("a", 0, 2)[0].listen()
    with pytest.raises(StartError, match="it is in use"):
        bind(parse_address(f"unix:{path}"))
    listeners.close_except(Listeners())
    assert not path.exists()


def test_a_stale_unix_socket_is_replaced_but_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    bind(parse_address(f"unix:{path}")).close()
    path.write_text("precious")
    with pytest.raises(StartError, match="not a socket"):
        bind(parse_address(f"unix:{path}"))
    assert path.read_text() == "precious"


def test_a_unix_socket_that_was_replaced_is_not_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "s"
    bound = bind(parse_address(f"unix:{path}"))
    os.unlink(path)
    path.write_text("somebody else's")
    bound.close()
    assert path.exists()
