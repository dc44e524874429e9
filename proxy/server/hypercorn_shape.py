"""What we rely on in Hypercorn beyond its documented interface, checked when the server starts.

A release that changes one of these would otherwise show as a strange fault in some request.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import version

from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.protocol import ProtocolWrapper
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.http_stream import HTTPStream

from proxy.errors import StartError

_ENDS = ("app", "config", "context", "task_group")
_WHERE = ("ssl", "client", "server", "send")

# callable: its parameters after `self`
_PARAMETERS: dict[Callable[..., object], tuple[str, ...]] = {
    TCPServer.__init__: ("app", "loop", "config", "context", "state", "reader", "writer"),
    TCPServer.protocol_send: ("event",),
    ProtocolWrapper.__init__: (*_ENDS, "state", *_WHERE, "alpn_protocol"),
    H2Protocol.__init__: (*_ENDS, "connection_state", *_WHERE),
    HTTPStream.__init__: (*_ENDS, *_WHERE, "stream_id"),
    TaskGroup.spawn: ("func", "args"),
}
# class: what we override or call
_MEMBERS: dict[type, tuple[str, ...]] = {
    TCPServer: ("run", "_read_data", "_close", "_idle_timeout", "_initiate_server_close"),
    H2Protocol: ("_flush", "_handle_events", "send_task", "initiate", "stream_send"),
}


def faults() -> list[str]:
    """What is not as expected, one phrase each."""
    found = []
    for function, expected in _PARAMETERS.items():
        names = tuple(inspect.signature(function).parameters)[1:]
        if names != expected:
            found.append(f"{function.__qualname__} takes {', '.join(names)}")
    for owner, members in _MEMBERS.items():
        found += [f"{owner.__name__} has no {one}" for one in members if not hasattr(owner, one)]
    return found


def check() -> None:
    """Raises `StartError`, in one line, when Hypercorn is not the one we know."""
    found = faults()
    if found:
        raise StartError(
            f"This version of Hypercorn ({version('hypercorn')}) is not supported,"
            f" install 0.18: {'; '.join(found)}"
        )
