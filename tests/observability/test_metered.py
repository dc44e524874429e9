"""The layer that counts what an origin is asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import pytest

from proxy.errors import (
    ChecksumMismatch,
    Fault,
    NotFound,
    ObjectChanged,
    OriginFault,
    OriginTimeout,
    OriginUnreachable,
)
from proxy.observability import metrics as names
from proxy.observability.metered import Metered, kind_of
from proxy.observability.meters import Meters, Value
from proxy.observability.metrics import Metric
from proxy.origins.base import WHOLE, Origin, Want
from proxy.origins.lending import Piece, Stretch
from proxy.origins.memory import MemoryObject, MemoryOrigin, StoredObject
from proxy.semantics.representation import Span


def value_of(meters: Meters, metric: Metric, *labels: str) -> Value:
    rows = meters.read().get(metric.name, [])
    return next((v for key, v in rows if tuple(key) == ("store", *labels)), 0)


class Failing(MemoryOrigin):
    """Fails as it is told."""

    fault: Fault | None = None

    async def open(self, key: str, want: Want = WHOLE) -> MemoryObject:
        if self.fault is not None:
            raise self.fault
        return await super().open(key, want)


async def test_requests_and_bytes_are_counted() -> None:
    meters, below = Meters(), MemoryOrigin({"a": StoredObject(b"x" * 1000)}, buffer_size=300)
    origin = Metered(below, "store", meters)
    await origin.start()
    opened = await origin.open("a")
    async with aclosing(opened.read(Span(100, 800))) as buffers:
        assert b"".join([one async for one in buffers]) == b"x" * 700
    await opened.aclose()
    assert (await origin.list("")).entries
    asked = {one: value_of(meters, names.ORIGIN_REQUESTS, one) for one in ("open", "read", "list")}
    assert asked == {"open": 1, "read": 1, "list": 1}
    assert value_of(meters, names.ORIGIN_BYTES) == 700
    seconds = value_of(meters, names.ORIGIN_SECONDS)
    assert isinstance(seconds, list)
    assert sum(seconds[:-1]) == 1
    await origin.aclose()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (OriginTimeout("t"), "timeout"),
        (OriginUnreachable("u"), "unreachable"),
        (ChecksumMismatch("c"), "mismatch"),
        (OriginFault("o"), "other"),
        (Fault("?"), "other"),
    ],
)
async def test_faults_are_counted_by_kind_and_raised(fault: Fault, kind: str) -> None:
    meters, below = Meters(), Failing()
    below.fault = fault
    with pytest.raises(type(fault)):
        await Metered(below, "store", meters).open("a")
    assert value_of(meters, names.ORIGIN_ERRORS, kind) == 1
    assert kind_of(fault) == kind
    assert kind in names.ERRORS


async def test_a_missing_object_is_no_fault_of_the_origin() -> None:
    meters = Meters()
    with pytest.raises(NotFound):
        await Metered(MemoryOrigin(), "store", meters).open("a")
    assert all(value_of(meters, names.ORIGIN_ERRORS, kind) == 0 for kind in names.ERRORS)


async def test_a_read_that_breaks_is_counted_with_what_came() -> None:
    meters, below = Meters(), MemoryOrigin({"a": StoredObject(b"x" * 10)})
    opened = await Metered(below, "store", meters).open("a")
    below.put("a", StoredObject(b"y" * 10))
    async with aclosing(opened.read(Span(0, 10))) as buffers:
        with pytest.raises(ObjectChanged):
            await anext(buffers)
    assert value_of(meters, names.ORIGIN_ERRORS, "changed") == 1


def test_it_lists_only_if_the_origin_does() -> None:
    class Mute:
        start = open = aclose = None

    assert not hasattr(Metered(cast("Origin", Mute()), "store", Meters()), "list")


async def test_what_is_at_hand_is_counted_as_read() -> None:
    class AtHand(MemoryObject):
        there = True

        def at_hand(self, span: Span) -> bytes | None:
            return bytes(span.length) if self.there else None

    class Origin(MemoryOrigin):
        async def open(self, key: str, want: Want = WHOLE) -> MemoryObject:
            return AtHand(self, key, StoredObject(bytes(9)), 9)

    meters = Meters()
    opened = await Metered(Origin(), "store", meters).open("a")
    assert opened.at_hand(Span(1, 8)) == bytes(7)
    assert value_of(meters, names.ORIGIN_REQUESTS, "read") == 1
    assert value_of(meters, names.ORIGIN_BYTES) == 7
    AtHand.there = False
    assert opened.at_hand(Span(1, 8)) is None
    assert value_of(meters, names.ORIGIN_REQUESTS, "read") == 1
    below = MemoryOrigin({"a": StoredObject(b"x")})
    assert (await Metered(below, "other", meters).open("a")).at_hand(Span(0, 1)) is None


class Lends(MemoryOrigin):
    """Lends 1000 bytes and gives 10."""

    async def open(self, key: str, want: Want = WHOLE) -> MemoryObject:
        opened = await super().open(key, want)

        async def lend(span: Span) -> AsyncGenerator[Piece, None]:
            yield Stretch(0, 0, 1000, self.fetch)
            yield bytes(10)

        setattr(opened, "lend", lend)  # noqa: B010  # which the type does not know
        return opened

    async def fetch(self, offset: int, count: int) -> None:
        raise ObjectChanged("cut")


async def test_of_what_is_lent_counts_what_was_sent() -> None:
    meters = Meters()
    opened = await Metered(Lends({"a": StoredObject(b"x")}), "store", meters).open("a")
    pieces = opened.lend(Span(0, 1010))
    stretch = await anext(pieces)
    assert isinstance(stretch, Stretch)
    stretch.taken = 700
    with pytest.raises(ObjectChanged):
        await stretch.fetch(0, 1000)
    assert value_of(meters, names.ORIGIN_ERRORS, "changed") == 1
    await pieces.aclose()
    assert value_of(meters, names.ORIGIN_BYTES) == 700
    async for piece in opened.lend(Span(0, 1010)):
        if isinstance(piece, Stretch):
            piece.taken = 1000
    assert value_of(meters, names.ORIGIN_BYTES) == 1710
    assert value_of(meters, names.ORIGIN_REQUESTS, "read") == 2


async def test_what_cant_lend_does_not() -> None:
    origin = Metered(MemoryOrigin({"a": StoredObject(b"x")}), "store", Meters())
    assert not hasattr(await origin.open("a"), "lend")
