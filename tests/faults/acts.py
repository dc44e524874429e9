"""What the fault origin does to one answer. Data, and the pure parts of doing it.

An act says what to ask the store, what to make of the head that comes back, and what of the body.
The plain act passes everything on. Positions count bytes of this answer's body, not of the object.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Canned:
    """An answer that the store is not even asked for."""

    status: int
    fields: Fields = field(default_factory=list)
    body: str = ""

    def as_bytes(self, *, body: bool = True) -> bytes:
        """The answer; an answer to HEAD has no body."""
        lines = [f"HTTP/1.1 {self.status} Canned", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.fields]
        head = "\r\n".join(lines) + "\r\n\r\n"
        return (head + self.body * body).encode("latin-1")


@dataclass(frozen=True, slots=True)
class Act:
    """What to do about one request.

    Attributes:
        before: a whole raw request, sent to the store first: it changes the object, say.
        instead: a raw request head, sent to the store in place of the client's.
        canned: an answer of the fault origin's own.
        head: "silent" never answers, "reset" resets before the head, "endless" sends fields
            until the client leaves.
        status: the status in place of the store's.
        put: fields in place of the store's, which are removed; None only removes.
        add: fields beside the store's.
        longer: added to Content-Length; the body stays as it is, or is cut if this is negative.
        extra: whether bytes beyond a shortened Content-Length are sent all the same.
        flip: the position of a byte whose lowest bit is turned.
        end: what happens after `at` bytes: "cut" closes, "reset" resets, "stall" sends no more.
        at: see `end`.
        slow: seconds over which the body is spread.
    """

    before: str = ""
    instead: str = ""
    canned: Canned | None = None
    head: Literal["", "silent", "reset", "endless"] = ""
    status: int | None = None
    put: dict[str, str | None] = field(default_factory=dict)
    add: Fields = field(default_factory=list)
    longer: int = 0
    extra: bool = False
    flip: int | None = None
    end: Literal["", "cut", "reset", "stall"] = ""
    at: int = 0
    slow: float = 0.0


PLAIN = Act()


def act_of(data: dict[str, Any]) -> Act:
    """From JSON, as `dataclasses.asdict` made it."""
    canned = data.pop("canned", None)
    pairs = [(name, value) for name, value in data.pop("add", [])]
    return Act(canned=Canned(**canned) if canned else None, add=pairs, **data)


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer."""

    status: int
    fields: Fields

    def get(self, name: str) -> str | None:
        return next((value for one, value in self.fields if one.lower() == name.lower()), None)

    @property
    def length(self) -> int | None:
        """Its Content-Length, if it has one."""
        value = self.get("content-length")
        return int(value) if value and value.isdigit() else None

    def as_bytes(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Because"]
        lines += [f"{name}: {value}" for name, value in self.fields]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def head_of(raw: bytes) -> Head:
    """Reads the head of an answer."""
    first, *rest = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    pairs = [line.partition(":") for line in rest if line]
    return Head(int(first.split(" ")[1]), [(name, value.strip()) for name, _, value in pairs])


def spoiled_head(head: Head, act: Act) -> Head:
    """The head as the act wants it."""
    gone = {name.lower() for name in act.put}
    fields = [(name, value) for name, value in head.fields if name.lower() not in gone]
    fields += [(name, value) for name, value in act.put.items() if value is not None]
    fields += act.add
    if act.longer and head.length is not None:
        length = str(max(0, head.length + act.longer))
        fields = [(n, length if n.lower() == "content-length" else v) for n, v in fields]
    return Head(act.status or head.status, fields)


def spoiled_piece(piece: memoryview, position: int, act: Act) -> bytes | memoryview:
    """A piece of the body that begins at `position`, with its bit turned if it is in there."""
    if act.flip is None or not 0 <= act.flip - position < len(piece):
        return piece
    index = act.flip - position
    return bytes(piece[:index]) + bytes([piece[index] ^ 1]) + bytes(piece[index + 1 :])


def bytes_to_send(length: int, act: Act) -> int:
    """How many bytes of a body of `length` go out."""
    if act.longer < 0 and not act.extra:
        length = max(0, length + act.longer)
    return min(length, act.at) if act.end else length


_CONNECTION = re.compile(rb"(?im)^connection:[^\r\n]*\r\n")


def for_the_store(request: bytes) -> bytes:
    """A request's head as it goes to the store: unchanged (its Host was signed), but for one
    answer only, so that the end of every answer can be seen."""
    head = _CONNECTION.sub(b"", request.removesuffix(b"\r\n\r\n") + b"\r\n")
    return head + b"Connection: close\r\n\r\n"


def target_of(request: bytes) -> tuple[str, str]:
    """Method and path (without a query) of a request's head."""
    method, target, _ = request.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return method, target.partition("?")[0]
