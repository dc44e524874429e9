"""What the kernel may hold of a connection, and is asked."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from proxy.server.room import ENOUGH, FOUR_RECORDS, PROVEN, UNSENT, UNSENT_QUICK, Room, tls_piece

RECORD, RECORD_OVERHEAD, LARGEST_PACKET = 2**14, 22, 65483


class Transport(asyncio.Transport):
    """As far as a `Room` needs one."""

    def __init__(self, one: socket.socket) -> None:
        super().__init__()
        self._one = one

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._one


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    with one, other:
        one.setblocking(False)
        yield one, other


def held(one: socket.socket) -> int:
    return one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)


def test_the_kernel_holds_more_until_it_is_closed(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    one, _ = pair
    room = Room(Transport(one))
    before = held(one)
    room.hold(UNSENT)
    assert held(one) == before
    room.hold(UNSENT_QUICK)
    assert held(one) == UNSENT_QUICK
    room.close()
    assert held(one) == UNSENT


def test_what_cant_be_set_does_not_matter() -> None:
    one, other = socket.socketpair()
    with one, other:
        room = Room(Transport(one))
        room.hold(UNSENT_QUICK)
        room.close()


def test_there_is_room_until_the_kernel_is_full(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    one, other = pair
    room = Room(Transport(one))
    assert room.there()
    sent = 0
    while room.there():
        sent += one.send(bytes(ENOUGH))
    assert 0 < room.untaken() <= sent
    other.settimeout(5)
    while not room.there():
        other.recv(1 << 20)
    room.close()


def test_four_records_are_one_packet() -> None:
    assert -(-FOUR_RECORDS // RECORD) == 4
    assert FOUR_RECORDS + 4 * RECORD_OVERHEAD <= LARGEST_PACKET


def test_tls_is_given_less_until_a_client_has_taken_much() -> None:
    """It keeps as much memory as it was ever given."""
    assert [tls_piece(sent) for sent in (0, PROVEN - 1, PROVEN)] == [
        FOUR_RECORDS // 2,
        FOUR_RECORDS // 2,
        FOUR_RECORDS,
    ]
    assert ENOUGH % FOUR_RECORDS == 0
