"""Fulfils a client's wishes for digests of what it is sent (RFC 9530).

Without a wish (`has_wish`) there is nothing to do. With one, a small body is read before its
head is sent, so that the head can say its digest. A large one is hashed while it passes: on
HTTP/2 the digest follows as a trailer, on HTTP/1.1 it comes too late for this message, but what
was hashed whole is remembered for the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from proxy.errors import OriginBroke
from proxy.integrity.digest_memory import DigestMemory, name_of
from proxy.integrity.rolling import Rolling
from proxy.origins.base import OpenObject
from proxy.semantics.digests import (
    NOTHING_KNOWN,
    Algorithm,
    Known,
    field_value,
    known_to_store,
    read_wishes,
    wanted_of,
)
from proxy.semantics.fields import Field
from proxy.semantics.plan import Plan
from proxy.semantics.representation import Representation, Span
from proxy.server.disconnect import UntilDisconnect

# As much as a verified object may be to be held whole before its status is sent: no more memory
# is held for a wish than for any small object.
HELD_WHOLE: Final = 256 * 1024

_HASHES: Final = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
_TRAILERS: Final = "http.response.trailers"


@dataclass(frozen=True, slots=True)
class Subject:
    """The object behind an answer, as far as digests go.

    Attributes:
        name: what a digest of all of it is remembered under; None without a strong validator.
        size: its length in bytes.
        known: the digests of all of it that are known already.
    """

    name: bytes | None
    size: int
    known: Known


NO_SUBJECT: Final = Subject(None, -1, NOTHING_KNOWN)


class Digester:
    """Computes digests and remembers those of whole objects.

    `pool` is where buffers are hashed, from `proxy.integrity.rolling.make_pool`, and is shut down
    by who made it; without one they are hashed inline, which is for tests only.
    """

    def __init__(self, pool: Executor | None = None, memory: DigestMemory | None = None) -> None:
        self._pool = pool
        self.memory = memory if memory is not None else DigestMemory()

    def subject(
        self, origin: str, key: str, representation: Representation, fields: Mapping[str, str]
    ) -> Subject:
        """What is known of an object that was opened, by its store or from before.

        `key` is what was opened, which may be a coding in a file of its own. Of an object without
        a strong validator nothing is: it may have changed since it was asked for.
        """
        told = known_to_store(representation)
        if not (told or self.memory or has_wish(fields)):
            return NO_SUBJECT
        name = name_of(origin, key, representation)
        if name is None:
            return NO_SUBJECT
        known = self.memory.known(name)
        if not told.items() <= known.items():
            # Stores tell it of the whole and keep silent about it when asked for a range.
            self._remember(name, told)
            known = {**self.memory.known(name), **told}
        return Subject(name, representation.size, known)

    async def hash(self, body: bytes, algorithms: Sequence[Algorithm]) -> Known:
        """The digests of a body."""
        hashing = Hashing(algorithms, self._pool)
        await hashing.update(body)
        return await hashing.digests()

    def begin(self, algorithms: Sequence[Algorithm]) -> Hashing:
        """Begins to hash a body that comes in pieces."""
        return Hashing(algorithms, self._pool)

    def remember(self, subject: Subject, digests: Known) -> None:
        """Keeps digests of all of an object."""
        if subject.name is not None:
            self._remember(subject.name, digests)

    def _remember(self, name: bytes, digests: Known) -> None:
        for algorithm, digest in digests.items():
            self.memory.remember(name, algorithm, digest)


class Hashing:
    """Digests of one body, by one or more algorithms. May be dropped at any time."""

    def __init__(self, algorithms: Sequence[Algorithm], pool: Executor | None) -> None:
        self._sums = {one: Rolling(_HASHES[one](), pool) for one in algorithms}

    async def update(self, buffer: bytes) -> None:
        """Takes the next bytes; waits only while those before are being hashed."""
        for one in self._sums.values():
            if one.take(buffer):
                await one.work()

    async def digests(self) -> Known:
        """The digests of all bytes so far."""
        return {algorithm: await one.digest() for algorithm, one in self._sums.items()}


async def with_digests(
    digester: Digester,
    fields: Mapping[str, str],
    answer: tuple[Plan, OpenObject | None, Subject],
    scope: Scope,
    channel: tuple[Receive, Send],
) -> tuple[Plan, tuple[Receive, Send]]:
    """The plan and the channel to send it by, so that the client gets the digests it wants.

    Raises what a read of the object raises, and `ClientGone`, before any byte is sent.
    """
    plan, opened, subject = answer
    # Neither has content, and what a 304 says of it a cache would take for the stored body's.
    if plan.status in (204, 304):
        return plan, channel
    wish = _wish(fields, plan, subject)
    if wish.known:
        known = (b"content-digest", field_value(wish.known))
        plan = replace(plan, fields=(*plan.fields, known))
    if not wish.algorithms:
        return plan, channel
    if plan.length <= HELD_WHOLE or _is_literal(plan):
        async with UntilDisconnect(channel[0]):
            plan = await _held(digester, wish, plan, opened)
        return plan, channel
    return _hashed_on_the_way(digester, wish, plan, scope, channel)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is wanted and not yet said.

    Attributes:
        content: by which algorithm Content-Digest is to be computed, if it is.
        whole: by which Repr-Digest is; only where the body is the whole representation.
        known: the content digest, where it is known without computing.
        subject: whose digest `whole` will be.
    """

    content: Algorithm | None
    whole: Algorithm | None
    known: Known
    subject: Subject

    @property
    def algorithms(self) -> tuple[Algorithm, ...]:
        return tuple({one for one in (self.content, self.whole) if one is not None})


def _wish(fields: Mapping[str, str], plan: Plan, subject: Subject) -> _Wish:
    content = wanted_of(read_wishes(fields.get("want-content-digest")))
    whole = wanted_of(read_wishes(fields.get("want-repr-digest")))
    # A 206 may be of all there is, too.
    is_object = plan.status in (200, 206) and plan.parts == _whole(subject.size)
    is_page = bool(plan.parts) and _is_literal(plan)
    # Of a whole object the content is the representation.
    same = next((one for one in content if is_object and one in subject.known), None)
    said = any(one in subject.known for one in whole)
    learns = is_page or (is_object and subject.name is not None and not said)
    return _Wish(
        content=content[0] if content and same is None else None,
        whole=whole[0] if whole and learns else None,
        known={same: subject.known[same]} if same is not None else NOTHING_KNOWN,
        subject=subject if is_object else NO_SUBJECT,
    )


def has_wish(fields: Mapping[str, str]) -> bool:
    """Whether a client wants to know a digest."""
    return "want-content-digest" in fields or "want-repr-digest" in fields


def _whole(size: int) -> tuple[Span, ...]:
    return (Span(0, size),) if size else ()


def _is_literal(plan: Plan) -> bool:
    return all(isinstance(part, bytes) for part in plan.parts)


async def _held(digester: Digester, wish: _Wish, plan: Plan, opened: OpenObject | None) -> Plan:
    """The plan with its body read, and the digests in its head."""
    body = await _read(plan, opened)
    digests = await digester.hash(body, wish.algorithms)
    digester.remember(wish.subject, digests)
    fields = (*plan.fields, *_fields(wish, digests))
    return replace(plan, fields=fields, parts=(body,) if body else ())


async def _read(plan: Plan, opened: OpenObject | None) -> bytes:
    pieces: list[bytes] = []
    for part in plan.parts:
        if isinstance(part, bytes):
            pieces.append(part)
        elif opened is not None:
            async with aclosing(opened.read(part)) as buffers:
                pieces.extend([buffer async for buffer in buffers])
    body = b"".join(pieces)
    if len(body) != plan.length:
        raise OriginBroke(f"{len(body)} bytes came for a body of {plan.length}")
    return body


def _fields(wish: _Wish, digests: Known) -> tuple[Field, ...]:
    found: list[Field] = []
    if wish.content is not None:
        found.append((b"content-digest", field_value({wish.content: digests[wish.content]})))
    if wish.whole is not None:
        found.append((b"repr-digest", field_value({wish.whole: digests[wish.whole]})))
    return tuple(found)


# --- large bodies -------------------------------------------------------------------------------


def _hashed_on_the_way(
    digester: Digester, wish: _Wish, plan: Plan, scope: Scope, channel: tuple[Receive, Send]
) -> tuple[Plan, tuple[Receive, Send]]:
    receive, send = channel
    trailers = _takes_trailers(scope)
    if not trailers and wish.whole is None:
        return plan, channel  # nobody would ever learn of it
    if trailers:
        names = b", ".join(name for name, _ in _fields(wish, _SHAPE))
        plan = replace(plan, fields=(*plan.fields, (b"trailer", names)))
    return plan, (receive, _HashingSend(digester, wish, send, trailers=trailers))


# Digests of nothing in particular, for the names of the fields that will come.
_SHAPE: Final[Known] = {"sha-256": b"", "sha-512": b""}


def _takes_trailers(scope: Scope) -> bool:
    """Whether the server can send trailers and the client said it takes them (RFC 9110 §6.5.1)."""
    if _TRAILERS not in scope.get("extensions", {}):
        return False
    values = [value for name, value in scope["headers"] if name == b"te"]
    codings = (one.strip(b" \t").lower() for value in values for one in value.split(b","))
    return b"trailers" in codings


class _HashingSend:
    """ASGI's send, which hashes the bodies that pass and adds trailers."""

    def __init__(self, digester: Digester, wish: _Wish, send: Send, *, trailers: bool) -> None:
        self._digester, self._wish, self._send = digester, wish, send
        self._trailers = trailers
        self._hashing = digester.begin(wish.algorithms)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._trailers:
            message = {**message, "trailers": True}
        elif message["type"] == "http.response.body":
            await self._hashing.update(message["body"])
            if not message["more_body"]:
                await self._end(message)
                return
        await self._send(message)

    async def _end(self, last: Message) -> None:
        # Before the last bytes leave: a client that has them all may be gone the next moment.
        digests = await self._hashing.digests()
        self._digester.remember(self._wish.subject, digests)
        await self._send(last)
        if self._trailers:
            fields = list(_fields(self._wish, digests))
            await self._send({"type": _TRAILERS, "headers": fields, "more_trailers": False})
