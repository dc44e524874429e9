"""The values the rules work on."""

from __future__ import annotations

import dataclasses

import pytest

from proxy.semantics.representation import Checksum, Representation, Span


def test_a_span_knows_its_length() -> None:
    assert Span(0, 0).length == 0
    assert Span(2**63, 2**63 + 5).length == 5


@pytest.mark.parametrize("value", [Span(0, 1), Checksum("md5", b""), Representation(0)])
def test_values_do_not_change(value: Span | Checksum | Representation) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.__setattr__(dataclasses.fields(value)[0].name, 9)
    assert hash(value) == hash(dataclasses.replace(value))
