"""Faults carry the code that is sent, and say it."""

from __future__ import annotations

from proxy.server.http2.faults import ConnectionFault, ErrorCode, Malformed


def test_faults_say_their_code() -> None:
    assert Malformed("no path").code is ErrorCode.PROTOCOL_ERROR
    assert str(ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "x")) == "ENHANCE_YOUR_CALM: x"
