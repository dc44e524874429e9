"""A random fault for a random download. Pure: chance and what needs a signature are arguments."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from tests.faults.acts import PLAIN, Act, Canned
from tests.faults.objects import MIB, Thing, digest

# Replaced or redirected objects are put anew each time: only small ones.
_SMALL = MIB // 4
# Seconds over which a slow store spreads a body.
_SLOW = 0.6


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks for: bytes from `start` to `stop` of a thing, by this Range or none."""

    thing: Thing
    start: int
    stop: int
    field: str = ""

    @property
    def length(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Store:
    """Raw requests that the store accepts, and where the canary is."""

    get: Callable[[Thing], str]
    put_other: Callable[[Thing], str]
    canary: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A fault: its name and the acts.

    Attributes:
        acts, rest: what the fault origin does with the next requests, and with all others.
        recoverable: whether a proxy can make up for it.
        replaces: whether the object has to be put anew afterwards.
        hidden: whether nothing in the answer gives it away, and no checksum covers it.
    """

    name: str
    acts: tuple[Act, ...]
    rest: Act = PLAIN
    recoverable: bool = False
    replaces: bool = False
    hidden: bool = False


Maker = Callable[[random.Random, Asked, Store], Drawn]


def draw_asked(chance: random.Random, thing: Thing) -> Asked:
    """The whole, or one range in each of its forms."""
    size = thing.size
    if chance.random() < 0.5:
        return Asked(thing, 0, size)
    start = chance.randrange(size)
    stop = chance.randint(start + 1, size)
    form = chance.randrange(4)
    if form == 0:
        return Asked(thing, start, size, f"bytes={start}-")
    if form == 1:
        return Asked(thing, start, size, f"bytes=-{size - start}")
    if form == 2:
        return Asked(thing, 0, size, "bytes=0-")
    return Asked(thing, start, stop, f"bytes={start}-{stop - 1}")


def draw_fault(chance: random.Random, asked: Asked, store: Store) -> Drawn:
    """One of all faults that make sense for what is asked."""
    makers: list[Maker] = [*_RECOVERABLE, *_LIES, *_HARMLESS, *(_RANGE_LIES if asked.field else ())]
    if asked.field.startswith("bytes=-"):
        makers.append(_moved)
    if asked.thing.size <= _SMALL:
        makers.append(_replaced)
    maker = chance.choice(makers)
    return maker(chance, asked, store)


def of_slices(chance: random.Random, drawn: Drawn, asked: Asked, width: int) -> Drawn:
    """The same fault for a proxy that asks for slices `width` bytes wide: in one of them, and not
    always in the first. Half of the bits that flip do so in every answer, as those do that are
    stored so: else a slice is asked for again, and right."""
    flips = [act for act in drawn.acts if act.flip is not None]
    if flips and chance.random() < 0.5:
        drawn = replace(drawn, rest=flips[0])
    if asked.thing.size <= width:
        return drawn
    before = (PLAIN,) * chance.choice((0, 0, 1, 2))
    acts = tuple(_within(act, width) for act in drawn.acts)
    return replace(drawn, acts=before + acts if acts else (), rest=_within(drawn.rest, width))


def _within(act: Act, width: int) -> Act:
    flip = None if act.flip is None else act.flip % width
    return replace(act, flip=flip, at=act.at % width if act.at < 2**62 else act.at)


def is_cold(chance: random.Random) -> bool:
    """Whether an object is to be forgotten before it is asked for."""
    return chance.random() < 0.75


# --- what a proxy can make up for -----------------------------------------------------------------


def _cut(chance: random.Random, asked: Asked, _: Store) -> Drawn:
    return Drawn("cut", (Act(end="cut", at=chance.randrange(asked.length)),), recoverable=True)


def _reset(chance: random.Random, asked: Asked, _: Store) -> Drawn:
    return Drawn("reset", (Act(end="reset", at=chance.randrange(asked.length)),), recoverable=True)


def _stall(chance: random.Random, asked: Asked, _: Store) -> Drawn:
    return Drawn("stall", (Act(end="stall", at=chance.randrange(asked.length)),), recoverable=True)


def _several(chance: random.Random, asked: Asked, _: Store) -> Drawn:
    """Cut, then refused, then cut again."""
    at = chance.randrange(asked.length)
    acts = (
        Act(end="cut", at=at),
        Act(canned=slow_down()),
        Act(end="reset", at=chance.randrange(max(1, asked.length - at))),
    )
    return Drawn("cut, 503, reset", acts, recoverable=True)


def _busy(chance: random.Random, _: Asked, __: Store) -> Drawn:
    acts = tuple(Act(canned=slow_down()) for _ in range(chance.randint(1, 3)))
    return Drawn("503 SlowDown, 1 to 3 times", acts, recoverable=True)


def _reset_head(_: random.Random, __: Asked, ___: Store) -> Drawn:
    return Drawn("reset before the head", (Act(head="reset"),), recoverable=True)


def _silent(_: random.Random, __: Asked, ___: Store) -> Drawn:
    return Drawn("stall before the head", (Act(head="silent"),), recoverable=True)


# --- lies -------------------------------------------------------------------------------------


def _flip(chance: random.Random, asked: Asked, _: Store) -> Drawn:
    act = Act(flip=chance.randrange(asked.length))
    return Drawn(f"flipped bit, {_kind_of(asked)}", (act,), hidden=_is_hidden(asked))


def _kind_of(asked: Asked) -> str:
    if asked.length < asked.thing.size:
        return "range"
    return "whole object" if asked.thing.is_whole else "whole object, COMPOSITE"


def _is_hidden(asked: Asked) -> bool:
    """Whether nothing that a store tells says anything of just these bytes."""
    return asked.length < asked.thing.size


def _longer(chance: random.Random, _: Asked, __: Store) -> Drawn:
    end: Literal["cut", "stall"] = "cut" if chance.random() < 0.5 else "stall"
    act = Act(longer=chance.choice((1, 7, 4096)), end=end, at=2**62)
    return Drawn("Content-Length too long", (act,))


def _shorter(chance: random.Random, asked: Asked, _: Store) -> Drawn:
    act = Act(longer=-chance.randint(1, asked.length), extra=chance.random() < 0.5)
    # Given away by a range's own place, by the checksum, or by the parts of a COMPOSITE object.
    return Drawn(f"Content-Length too short, {_kind_of(asked)}", (act,))


def _endless(_: random.Random, __: Asked, ___: Store) -> Drawn:
    return Drawn("head that never ends", (Act(head="endless"),), rest=Act(head="endless"))


def _other_tag(chance: random.Random, asked: Asked, _: Store) -> Drawn:
    lie = Act(put={"ETag": chance.choice(('"not-it"', f'"{"0" * 32}"', 'W/"weak"', "bare"))})
    cut = replace(lie, end="cut", at=chance.randrange(asked.length))
    return Drawn("wrong ETag, then cut", (cut,), rest=lie if chance.random() < 0.5 else PLAIN)


def _no_tag(chance: random.Random, asked: Asked, _: Store) -> Drawn:
    lie = Act(put={"ETag": None})
    cut = replace(lie, end="cut", at=chance.randrange(asked.length))
    return Drawn("no ETag, then cut", (cut,), rest=lie if chance.random() < 0.5 else PLAIN)


def _redirect(chance: random.Random, asked: Asked, store: Store) -> Drawn:
    status = chance.choice((301, 302, 307, 308))
    to_canary = Act(canned=Canned(status, [("Location", store.canary)]))
    first = () if chance.random() < 0.5 else (Act(end="cut", at=chance.randrange(asked.length)),)
    return Drawn("redirect to another host", first, rest=to_canary)


def _replaced(chance: random.Random, asked: Asked, store: Store) -> Drawn:
    end: Literal["cut", "reset"] = "cut" if chance.random() < 0.5 else "reset"
    cut = Act(end=end, at=chance.randrange(asked.length))
    replacing = Act(before=store.put_other(asked.thing))
    return Drawn("replaced between two reads", (cut, replacing), replaces=True)


# --- lies about a range -----------------------------------------------------------------------


def _whole_instead(_: random.Random, asked: Asked, store: Store) -> Drawn:
    return Drawn("200 to a range", (Act(instead=store.get(asked.thing)),))


def _wrong_place(chance: random.Random, asked: Asked, _: Store) -> Drawn:
    start, last, size = asked.start, asked.stop - 1, asked.thing.size
    value = chance.choice(
        (
            f"bytes {start + 1}-{last + 1}/{size + 2}",
            f"bytes {max(0, start - 1)}-{last}/{size}" if start else f"bytes 1-{last + 1}/{size}",
            f"bytes {start}-{last + 1}/{size + 1}",
            f"bytes {start}-{last}/*",
            f"items {start}-{last}/{size}",
            f"bytes {start}-{last}",
            "nonsense",
        )
    )
    return Drawn("wrong Content-Range", (Act(put={"Content-Range": value}),))


def _moved(_: random.Random, asked: Asked, __: Store) -> Drawn:
    """The end of an object that is said to be a byte longer: a lie that agrees with itself."""
    value = f"bytes {asked.start + 1}-{asked.stop}/{asked.thing.size + 1}"
    return Drawn(
        "Content-Range moved as a whole", (Act(put={"Content-Range": value}),), hidden=True
    )


def _no_place(_: random.Random, __: Asked, ___: Store) -> Drawn:
    return Drawn("206 without Content-Range", (Act(put={"Content-Range": None}),))


# --- oddities that do no harm ------------------------------------------------------------------


def _none(_: random.Random, __: Asked, ___: Store) -> Drawn:
    return Drawn("none", ())


def _slow(_: random.Random, __: Asked, ___: Store) -> Drawn:
    return Drawn("slow bytes", (Act(slow=_SLOW),))


def _cookies(chance: random.Random, _: Asked, __: Store) -> Drawn:
    many = [("Set-Cookie", f"c{i}={'x' * 80}") for i in range(chance.choice((20, 300)))]
    return Drawn("Set-Cookie flood", (Act(add=many),))


def _checksum_of_range(_: random.Random, asked: Asked, __: Store) -> Drawn:
    body = bytes(asked.thing.body[asked.start : asked.stop])
    value = base64.b64encode(digest("crc64nvme", body)).decode()
    put: dict[str, str | None] = {
        "x-amz-checksum-crc64nvme": value,
        "x-amz-checksum-type": "FULL_OBJECT",
    }
    return Drawn("checksum of what is sent", (Act(put=put),))


def _bare_composite(_: random.Random, asked: Asked, __: Store) -> Drawn:
    """As AWS answers some ranges: a sum of sums, with nothing that tells it is one."""
    value = base64.b64encode(b"sums").decode()
    put: dict[str, str | None] = {
        "x-amz-checksum-crc32c": value,
        "x-amz-checksum-crc64nvme": None,
        "x-amz-checksum-type": None,
        "ETag": f'"{"ab" * 16}-3"',
    }
    return Drawn("COMPOSITE value without its suffix", (Act(put=put),), rest=Act(put=put))


def slow_down(after: str | None = None) -> Canned:
    """What S3 says when it throttles."""
    fields = [("Content-Type", "application/xml"), *([("Retry-After", after)] if after else [])]
    return Canned(503, fields, "<?xml version='1.0'?><Error><Code>SlowDown</Code></Error>")


_RECOVERABLE = (_cut, _reset, _stall, _several, _busy, _reset_head, _silent)
_LIES = (_flip, _longer, _shorter, _endless, _other_tag, _no_tag, _redirect)
_RANGE_LIES = (_whole_instead, _wrong_place, _no_place)
_HARMLESS = (_none, _slow, _cookies, _checksum_of_range, _bare_composite)
