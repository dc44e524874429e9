"""A Hypercorn that is not the one we know is refused when the server starts."""

from __future__ import annotations

import pytest
from hypercorn.protocol.h2 import H2Protocol

from proxy.errors import StartError
from proxy.server import hypercorn_shape


def test_the_installed_one_is_known() -> None:
    assert hypercorn_shape.faults() == []
    hypercorn_shape.check()


def test_a_missing_member_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(H2Protocol, "send_task")
    with pytest.raises(StartError, match="H2Protocol has no send_task"):
        hypercorn_shape.check()


def test_a_changed_signature_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {H2Protocol.__init__: ("app", "more")}
    monkeypatch.setattr(hypercorn_shape, "_PARAMETERS", expected)
    with pytest.raises(StartError, match="takes app, config"):
        hypercorn_shape.check()
