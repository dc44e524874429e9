"""One line for each response: what was asked, what was sent, how it ended.

Text from outside is escaped here and nowhere else: the target is logged as it was sent, without
its query (signatures live there), as ASCII with every control character escaped. A request for
`/%0a` or a raw escape sequence can neither forge a line nor reach a terminal.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from json.encoder import encode_basestring_ascii as quoted

from proxy.observability.masking import masked

logger = logging.getLogger("headgate.access")

# A longer target or detail says nothing more and fills disks.
MAX_TEXT = 1024


@dataclass(slots=True)
class AccessRecord:
    """What is known of one response when it has ended.

    Attributes:
        request_id: the one in the answer's `X-Request-Id`.
        client: the peer's address, or "unix".
        protocol: "1.0", "1.1", "2" or "3".
        method, target: as sent; the target without its query.
        status: what was sent, 0 if nothing was.
        sent: body bytes handed to the server.
        seconds: from the request's head to the end; to the first byte, or None.
        outcome: "complete", "refused" (4xx), "fault" (5xx or a body broken off), "client gone"
            or "cut" (by a stop).
        origin: the origin's name, "" where none was asked.
        verification: whether the bytes were those the store promised ("crc64nvme verified",
            "unverified: range"), "" where no byte of an object was read.
        cache: what the cache did ("hit (memory)", "miss", "partial"), "" where it was not asked.
        length: bytes of an object that were promised, or None where the body is none of an object.
        fault: the kind of fault, as `proxy.errors` names it.
        trace_id, parent_id: of the client's W3C trace context. Where this response is traced, its
            trace, and `span_id` is its own span.
        detail: what went wrong, for the operator.
    """

    request_id: str
    client: str
    protocol: str
    method: str
    target: bytes
    status: int = 0
    sent: int = 0
    seconds: float = 0.0
    seconds_to_first_byte: float | None = None
    outcome: str = "fault"
    origin: str = ""
    verification: str = ""
    cache: str = ""
    length: int | None = None
    fault: str = ""
    trace_id: str = ""
    parent_id: str = ""
    span_id: str = ""
    detail: str = ""


# Not `asdict`, which takes ten times as long: it copies what it finds, all the way down.
_MEMBERS = tuple(field.name for field in fields(AccessRecord))


class Shortcut:
    """Where the lines of responses that ended well go, past Python's logging, which would take
    longer for one than a small response does. `take` is set by whoever writes the log."""

    take: Callable[[AccessRecord], None] | None = None


shortcut = Shortcut()


def is_logged() -> bool:
    """Whether responses are logged that ended well."""
    return logger.isEnabledFor(logging.INFO)


def log_access(record: AccessRecord) -> None:
    """Logs it; as a warning where the fault is not the client's."""
    is_fault, take = record.outcome == "fault", shortcut.take
    if not logger.isEnabledFor(logging.WARNING if is_fault else logging.INFO):
        return
    if is_fault or take is None:
        level = logging.WARNING if is_fault else logging.INFO
        logger.log(level, "%s", record, extra={"access": record})
    else:
        take(record)


def as_json(record: AccessRecord) -> dict[str, object]:
    """The record's members for a JSON line; bytes as text, times rounded to microseconds."""
    members = {name: getattr(record, name) for name in _MEMBERS} | {
        "target": record.target.decode("latin-1")[:MAX_TEXT],
        "method": record.method[:32],
        "seconds": round(record.seconds, 6),
        "detail": masked(record.detail[:MAX_TEXT]) if record.detail else "",
    }
    first = record.seconds_to_first_byte
    members["seconds_to_first_byte"] = None if first is None else round(first, 6)
    return {name: value for name, value in members.items() if value not in ("", None)}


# Text that JSON writes as it stands.
_PLAIN = re.compile(r"[ !#-\[\]-~]*")


def as_json_members(record: AccessRecord) -> str:
    """The members of `as_json` as JSON, without the braces: what `json.dumps` makes of them, in a
    third of the time."""
    parts: list[str] = []
    for name, value in as_json(record).items():
        if isinstance(value, str):
            text = f'"{value}"' if _PLAIN.fullmatch(value) else quoted(value)
        else:
            text = repr(value)  # a number; none of them is infinite
        parts.append(f'"{name}": {text}')
    return ", ".join(parts)


def as_text(record: AccessRecord) -> str:
    """The record on one readable line, for a terminal."""
    target = json.dumps(record.target.decode("latin-1")[:MAX_TEXT])[1:-1]
    method = json.dumps(record.method[:32])[1:-1]
    line = (
        f"{method} {target} {record.status or '-'} {record.sent} B"
        f" {record.seconds * 1000:.1f} ms {record.outcome} [{record.request_id}]"
    )
    return f"{line} {json.dumps(masked(record.detail[:MAX_TEXT]))}" if record.detail else line
