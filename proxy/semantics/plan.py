"""The plan of an answer: status, fields, and a body made of literal bytes and spans.

`make_plan` is the whole of HTTP for an object that was found. It is pure: the same request and
representation give the same plan, whatever server or store is around it. A whole answer is one
span; a range is one span; multipart/byteranges is part heads with spans between; 304, 412, 416
and HEAD have no parts. The Content-Length is the sum of the parts, computed in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from proxy.semantics.conditions import Outcome, evaluate_preconditions, range_applies
from proxy.semantics.dates import format_http_date
from proxy.semantics.disposition import as_attachment, attachment
from proxy.semantics.fields import Field, safe_value
from proxy.semantics.ranges import ByteRange, parse_ranges
from proxy.semantics.representation import Representation, Span

Part = bytes | Span
UNKNOWN_MEDIA_TYPE = b"application/octet-stream"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the configuration and the target say of an answer, beside the object itself.

    Attributes:
        cache_control: where the object has none of its own.
        content_security_policy: sent as it is, or None.
        varies_by_coding: whether another Accept-Encoding may get another representation.
        download: None: as stored; "": an attachment under the stored name or else `name`; any
            other text: an attachment under this name.
        name: the file name in the address.
        max_ranges: more ranges than this get the whole representation (RFC 9110 §14.2).
        max_overlapping: more ranges than this that share bytes with others, likewise.
        boundary: separates the parts of a multipart answer; unpredictable to the store.
        repr_digest: of the whole selected representation, ready to be sent, or None (RFC 9530 §3).
    """

    cache_control: str | None = None
    content_security_policy: str | None = None
    varies_by_coding: bool = False
    download: str | None = None
    name: str = ""
    max_ranges: int = 16
    max_overlapping: int = 2
    boundary: str = "headgate"
    repr_digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """An answer before a byte of it is read.

    Attributes:
        status: its status code.
        fields: in the order they are sent; Content-Length among them unless it may not be sent.
        parts: the body's, in order. Spans are to be read from the object, bytes sent as they are.
    """

    status: int
    fields: tuple[Field, ...]
    parts: tuple[Part, ...] = ()

    @property
    def length(self) -> int:
        """The body's length in bytes."""
        return length_of(self.parts)


# The fields that may make the answer to a GET another one than the whole object, see `make_plan`.
_DECIDING = frozenset(
    {
        *("if-match", "if-none-match", "if-modified-since", "if-unmodified-since"),
        *("if-range", "range"),
    }
)


def is_plain(method: str, fields: Mapping[str, str]) -> bool:
    """Whether a request is for the whole of an object, whatever is known of that: then nothing in
    it makes a difference to `make_plan`, nor does the boundary of the policy."""
    return method == "GET" and _DECIDING.isdisjoint(fields)


def length_of(parts: tuple[Part, ...]) -> int:
    """How many bytes the parts make."""
    length = 0
    for part in parts:
        length += len(part) if isinstance(part, bytes) else part.stop - part.start
    return length


def make_plan(
    method: str,
    fields: Mapping[str, str],
    representation: Representation,
    policy: Policy,
    whole: Plan | None = None,
) -> Plan:
    """Plans the answer to GET or HEAD for an object that was found.

    Args:
        method: "GET" or "HEAD".
        fields: the request's, names in lower case, repeated ones joined by ", ".
        representation: the selected one, its coding already chosen.
        policy: see there.
        whole: what was planned before for a plain request (`is_plain`) of the same representation
            and policy, but for the boundary: what a part has in common with it is not made anew.
    """
    outcome = evaluate_preconditions(method, fields, representation)
    if outcome is Outcome.NOT_MODIFIED:
        return Plan(304, _fields_of_304(representation, policy))
    if outcome is Outcome.FAILED:
        return Plan(412, _common_fields(representation, policy))
    spans = _spans(fields, representation, policy) if method == "GET" else ()
    if spans is None:
        return _plan_416(representation, policy)
    if spans:
        shape = _plan_ranges(representation, policy, spans, whole)
    else:
        shape = whole or _plan_200(representation, policy)
    return shape if method == "GET" else replace(shape, parts=())


def plan_error_page(
    method: str, status: int, representation: Representation, policy: Policy
) -> Plan:
    """Plans an answer whose body is the operator's own page for an error.

    The page is not what was asked for: it has no validator, no ranges, and is not stored.
    """
    fields: list[Field] = [
        (b"content-length", b"%d" % representation.size),
        (b"content-type", _media_type(representation)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    _add(fields, b"content-encoding", representation.content_encoding)
    _add(fields, b"content-language", representation.content_language)
    _add(fields, b"content-security-policy", policy.content_security_policy)
    has_body = method == "GET" and representation.size > 0
    return Plan(status, tuple(fields), (Span(0, representation.size),) if has_body else ())


def _spans(
    fields: Mapping[str, str], representation: Representation, policy: Policy
) -> tuple[Span, ...] | None:
    """The spans to send; none: the whole representation; None: not satisfiable (416)."""
    asked = parse_ranges(fields.get("range"))
    if asked is None or len(asked) > policy.max_ranges:
        return ()
    if not range_applies(fields, representation):
        return ()
    size = representation.size
    met = tuple(span for span in (wanted.meet(size) for wanted in asked) if span)
    if not met:
        return () if size == 0 and _is_suffix_of_nothing(asked) else None
    return () if _is_too_much(met, size, policy) else met


def _is_too_much(spans: tuple[Span, ...], size: int, policy: Policy) -> bool:
    """Parts that add up to more than the whole, or overlap beyond reason, are answered whole."""
    if len(spans) > 1 and sum(span.length for span in spans) > size:
        return True
    return _overlapping(spans) > policy.max_overlapping


def _is_suffix_of_nothing(asked: tuple[ByteRange, ...]) -> bool:
    """A suffix of an empty representation is satisfiable (§14.1.2), but no Content-Range can say
    so: it is answered whole."""
    return any(wanted.first is None and wanted.last for wanted in asked)


def _overlapping(spans: tuple[Span, ...]) -> int:
    """How many spans share a byte with one that begins before them."""
    count, end = 0, 0
    for span in sorted(spans, key=lambda span: span.start):
        count += span.start < end
        end = max(end, span.stop)
    return count


# --- the shapes of an answer --------------------------------------------------------------------


def _plan_200(representation: Representation, policy: Policy) -> Plan:
    body = (Span(0, representation.size),) if representation.size else ()
    return _with_length(
        200,
        (
            (b"content-type", _media_type(representation)),
            *_representation_fields(representation, policy),
        ),
        body,
    )


def _plan_ranges(
    representation: Representation,
    policy: Policy,
    spans: tuple[Span, ...],
    whole: Plan | None,
) -> Plan:
    """206 (§15.3.7): one part as it is, several as multipart/byteranges in the order asked."""
    if whole is not None:  # behind its length and its media type
        shared = whole.fields[2:]
    else:
        shared = _representation_fields(representation, policy)
    media_type = _media_type(representation)
    if len(spans) == 1:
        content_range = (b"content-range", _content_range(spans[0], representation.size))
        fields = ((b"content-type", media_type), content_range, *shared)
        return _with_length(206, fields, spans)
    boundary = policy.boundary.encode("ascii")
    parts: list[Part] = []
    for span in spans:
        parts.append(_part_head(boundary, media_type, span, representation.size))
        parts.append(span)
    parts.append(b"\r\n--%b--\r\n" % boundary)
    multipart = b"multipart/byteranges; boundary=%b" % boundary
    return _with_length(206, ((b"content-type", multipart), *shared), tuple(parts))


def _part_head(boundary: bytes, media_type: bytes, span: Span, size: int) -> bytes:
    return b"\r\n--%b\r\ncontent-type: %b\r\ncontent-range: %b\r\n\r\n" % (
        boundary,
        media_type,
        _content_range(span, size),
    )


def _content_range(span: Span, size: int) -> bytes:
    return b"bytes %d-%d/%d" % (span.start, span.stop - 1, size)


def _plan_416(representation: Representation, policy: Policy) -> Plan:
    """§15.5.17: says the current length, so that the client can ask again."""
    unsatisfied = (b"content-range", b"bytes */%d" % representation.size)
    return Plan(416, (unsatisfied, *_common_fields(representation, policy)))


def _with_length(status: int, fields: tuple[Field, ...], parts: tuple[Part, ...]) -> Plan:
    length = (b"content-length", b"%d" % length_of(parts))
    return Plan(status, (length, *fields), parts)


# --- fields -------------------------------------------------------------------------------------


def _common_fields(representation: Representation, policy: Policy) -> tuple[Field, ...]:
    """What every answer about a representation carries."""
    fields: list[Field] = [(b"accept-ranges", b"bytes")]
    if policy.varies_by_coding:
        fields.append((b"vary", b"accept-encoding"))
    _add(fields, b"content-security-policy", policy.content_security_policy)
    fields.append((b"x-content-type-options", b"nosniff"))
    _add(fields, b"etag", str(representation.etag) if representation.etag else None)
    return tuple(fields)


def _representation_fields(representation: Representation, policy: Policy) -> tuple[Field, ...]:
    fields = list(_common_fields(representation, policy))
    if representation.last_modified is not None:
        fields.append((b"last-modified", format_http_date(representation.last_modified).encode()))
    _add(fields, b"content-encoding", representation.content_encoding)
    _add(fields, b"content-language", representation.content_language)
    _add(fields, b"content-disposition", _disposition(representation, policy))
    fields.extend(_digest_fields(policy))
    fields.extend(_freshness_fields(representation, policy))
    return tuple(fields)


def _fields_of_304(representation: Representation, policy: Policy) -> tuple[Field, ...]:
    """§15.4.5: what a 200 would have said for caches; Last-Modified only where no ETag says it."""
    fields = [*_common_fields(representation, policy)]
    if representation.etag is None and representation.last_modified is not None:
        fields.append((b"last-modified", format_http_date(representation.last_modified).encode()))
    return (*fields, *_digest_fields(policy), *_freshness_fields(representation, policy))


def _digest_fields(policy: Policy) -> tuple[Field, ...]:
    """Not on 412 and 416: their representation is that of the error (RFC 9530 §B.9)."""
    return ((b"repr-digest", policy.repr_digest),) if policy.repr_digest else ()


def _freshness_fields(representation: Representation, policy: Policy) -> list[Field]:
    fields: list[Field] = []
    # A value that can't be sent is none: caches must not guess where the operator said.
    own = representation.cache_control
    _add(fields, b"cache-control", own if safe_value(own) else policy.cache_control)
    _add(fields, b"expires", representation.expires)
    return fields


def _disposition(representation: Representation, policy: Policy) -> str | None:
    if policy.download is None:
        return representation.content_disposition
    stored = representation.content_disposition
    if not policy.download and stored:
        # One that can't be sent must not lead to a body that is shown instead of saved.
        kept = as_attachment(stored)
        if safe_value(kept) is not None:
            return kept
    return attachment(policy.download or policy.name)


def _media_type(representation: Representation) -> bytes:
    return safe_value(representation.media_type) or UNKNOWN_MEDIA_TYPE


def _add(fields: list[Field], name: bytes, value: str | None) -> None:
    safe = safe_value(value)
    if safe is not None:
        fields.append((name, safe))
