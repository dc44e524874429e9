"""From an ASGI scope to the few values that a delivery works on.

Everything is decided on the raw path of the target; the scope's decoded path, the Host field and
whatever frameworks make of them are not looked at (Starlette's CVE-2026-48710 came from there).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from starlette.types import Scope

from proxy.semantics.keys import path_of_target

# More parameters than this are not read at all: Headgate knows two.
MAX_QUERY_PARAMETERS = 32


@dataclass(slots=True)  # not frozen, which would take three times as long
class Request:
    """One request, as far as its answer depends on it.

    Attributes:
        id: unpredictable, unique; stands in the answer, the error page and the log.
        method: as sent; methods are case-sensitive (RFC 9110 §9.1).
        path: decoded, with its leading slash.
        query: the parameters, the first of each name.
        fields: names in lower case; repeated ones joined by ", " (RFC 9110 §5.3).
    """

    id: str
    method: str
    path: str
    query: Mapping[str, str]
    fields: Mapping[str, str]


def read_request(scope: Scope, request_id: str, *, max_target: int) -> Request:
    """The request of a scope; raises a `RequestFault` for a target that has no one meaning."""
    raw_path = raw_path_of(scope)
    query_string: bytes = scope.get("query_string", b"")
    return Request(
        id=request_id,
        method=scope["method"],
        path=path_of_target(raw_path, max_length=max_target - len(query_string)),
        query=_query(query_string) if query_string else {},
        fields=fields_of(scope),
    )


def raw_path_of(scope: Scope) -> bytes:
    """The path as it was sent. Servers that don't tell it get the decoded one encoded again."""
    raw: bytes | None = scope.get("raw_path")
    return raw if raw is not None else quote(scope["path"]).encode("ascii")


def fields_of(scope: Scope) -> dict[str, str]:
    """The request's fields, joined where they are repeated."""
    fields: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        fields[key] = f"{fields[key]}, {text}" if key in fields else text
    return fields


def _query(query_string: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query_string.decode("latin-1"),
            keep_blank_values=True,
            max_num_fields=MAX_QUERY_PARAMETERS,
        )
    except ValueError:  # too many of them
        return {}
    return dict(reversed(pairs))
