"""What the frames do that carry neither a head nor a body (RFC 9113 §6, RFC 9218 §7.1)."""

from __future__ import annotations

from collections.abc import Callable

from proxy.server.http2 import frames
from proxy.server.http2.budgets import Kind
from proxy.server.http2.core import Core
from proxy.server.http2.faults import ConnectionFault, ErrorCode, StreamFault
from proxy.server.http2.flow import WindowOverflow
from proxy.server.http2.frames import Frame, Setting
from proxy.server.http2.priority import read_priority

# PRIORITY_UPDATE for streams that are not open yet: as many as may open.
_MOST_ANNOUNCED = 100


def receive_control(core: Core, frame: Frame) -> None:
    """Takes one frame; raises `StreamFault` or `ConnectionFault`."""
    _RECEIVE.get(frame.kind, _receive_unknown)(core, frame)


def _receive_priority(core: Core, frame: Frame) -> None:
    """Ignored: RFC 9113 §5.3.2 deprecates it, and our settings say so."""
    del frame
    core.budget.spend(Kind.PRIORITY)


def _receive_priority_update(core: Core, frame: Frame) -> None:
    core.budget.spend(Kind.PRIORITY)
    if len(frame.payload) < 4:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY_UPDATE of no stream")
    stream_id = frames.word_of(frame.payload)
    if not stream_id & 1:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PRIORITY_UPDATE of no request")
    priority = read_priority(frame.payload[4:])
    stream = core.streams.get(stream_id)
    if stream is not None:
        stream.priority = priority
    elif stream_id > core.last_stream and len(core.announced) < _MOST_ANNOUNCED:
        core.announced[stream_id] = priority


def _receive_reset(core: Core, frame: Frame) -> None:
    core.receive_reset(frame.stream_id)


def _receive_settings(core: Core, frame: Frame) -> None:
    core.budget.spend(Kind.SETTINGS)
    for name, value in frames.settings_of(frame):
        if name == Setting.INITIAL_WINDOW_SIZE:
            _change_windows(core, value)
        elif name == Setting.MAX_FRAME_SIZE:
            core.sender.most_in_frame = value
    if not frame.flags & frames.ACK:
        core.sender.control(frames.SETTINGS_ACK)


def _change_windows(core: Core, value: int) -> None:
    """§6.9.2: the windows of open streams change by the difference, below zero even."""
    by, core.initial_window = value - core.initial_window, value
    try:
        for stream in core.streams.values():
            stream.outflow.widen(by)
            core.sender.opened(stream)
    except WindowOverflow:
        raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window too large") from None


def _receive_push(core: Core, frame: Frame) -> None:
    del core, frame
    raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a client pushes")


def _receive_ping(core: Core, frame: Frame) -> None:
    core.budget.spend(Kind.PING)
    if not frame.flags & frames.ACK:
        core.sender.control(frames.ping_to_send(frame.payload, ack=True))


def _receive_goaway(core: Core, frame: Frame) -> None:
    """The client opens no more streams; those that are open go on."""
    core.budget.spend(Kind.OTHER)
    if len(frame.payload) < 8:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY cut short")
    core.leaving = True


def receive_update(core: Core, stream_id: int, increment: int) -> None:
    """Takes a WINDOW_UPDATE; raises as `receive_control`."""
    core.budget.spend(Kind.UPDATE)
    if stream_id == 0:
        _widen_connection(core, increment)
    else:
        _widen_stream(core, stream_id, increment)


def _receive_window_update(core: Core, frame: Frame) -> None:
    receive_update(core, frame.stream_id, frames.word_of(frame.payload))


def _widen_connection(core: Core, increment: int) -> None:
    if increment == 0:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "an increment of nothing")
    try:
        core.sender.outflow.widen(increment)
    except WindowOverflow:
        raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window too large") from None


def _widen_stream(core: Core, stream_id: int, increment: int) -> None:
    """One that is over is passed over: the client may not have heard of it yet (§5.1)."""
    stream = core.streams.get(stream_id)
    if stream is None:
        core.check_opened(stream_id)
        return
    if increment == 0:
        raise StreamFault(ErrorCode.PROTOCOL_ERROR, "an increment of nothing")
    try:
        stream.outflow.widen(increment)
    except WindowOverflow:
        raise StreamFault(ErrorCode.FLOW_CONTROL_ERROR, "a window too large") from None
    core.sender.opened(stream)


def _receive_unknown(core: Core, frame: Frame) -> None:
    """§4.1: a frame of a kind unknown to us is passed over."""
    del frame
    core.budget.spend(Kind.OTHER)


_RECEIVE: dict[int, Callable[[Core, Frame], None]] = {
    frames.PRIORITY: _receive_priority,
    frames.RST_STREAM: _receive_reset,
    frames.SETTINGS: _receive_settings,
    frames.PUSH_PROMISE: _receive_push,
    frames.PING: _receive_ping,
    frames.GOAWAY: _receive_goaway,
    frames.WINDOW_UPDATE: _receive_window_update,
    frames.PRIORITY_UPDATE: _receive_priority_update,
}
