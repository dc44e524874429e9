"""Preconditions, in the order of RFC 9110 §13.2.2.

A malformed field is read in the safe direction: a malformed If-Match or If-Unmodified-Since
must not let a resumed download mix versions, so a malformed If-Match fails; a malformed
If-None-Match never lets a client keep what it should fetch, so it is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from proxy.semantics.dates import parse_http_date
from proxy.semantics.etags import EntityTag, parse_etag, parse_etag_list
from proxy.semantics.representation import Representation


class Outcome(Enum):
    """What the preconditions decide."""

    PROCEED = "proceed"
    NOT_MODIFIED = "not modified"  # 304
    FAILED = "failed"  # 412


def evaluate_preconditions(
    method: str, fields: Mapping[str, str], representation: Representation
) -> Outcome:
    """Steps 1 to 4 of §13.2.2 for a representation that exists; step 5 is `range_applies`.

    `fields` has lower-case names; only GET and HEAD are ever evaluated here (§13.2.1).
    """
    if not _may_proceed(fields, representation):
        return Outcome.FAILED
    if method in ("GET", "HEAD") and _is_unchanged(fields, representation):
        return Outcome.NOT_MODIFIED
    return Outcome.PROCEED


def _may_proceed(fields: Mapping[str, str], representation: Representation) -> bool:
    """If-Match (§13.1.1), or in its absence If-Unmodified-Since (§13.1.4)."""
    if_match = fields.get("if-match")
    if if_match is not None:
        if if_match.strip(" \t") == "*":
            return True
        return any(_same(tag, representation, strongly=True) for tag in _tags(if_match))
    since = fields.get("if-unmodified-since")
    if since is None or representation.last_modified is None:
        return True
    date = parse_http_date(since)
    return date is None or representation.last_modified <= date


def _is_unchanged(fields: Mapping[str, str], representation: Representation) -> bool:
    """If-None-Match (§13.1.2), or in its absence If-Modified-Since (§13.1.3)."""
    if_none_match = fields.get("if-none-match")
    if if_none_match is not None:
        if if_none_match.strip(" \t") == "*":
            return True
        return any(_same(tag, representation, strongly=False) for tag in _tags(if_none_match))
    since = fields.get("if-modified-since")
    if since is None or representation.last_modified is None:
        return False
    date = parse_http_date(since)
    return date is not None and representation.last_modified <= date


def range_applies(fields: Mapping[str, str], representation: Representation) -> bool:
    """If-Range (§13.1.5): whether a Range field is to be honoured; true without If-Range.

    An entity tag must match strongly. A date must be exactly the Last-Modified, and counts
    only where the store calls its validator strong: a file that may still change within this
    second has a weak one, and a store without entity tags says nothing of it.
    """
    value = fields.get("if-range")
    if value is None:
        return True
    tag = parse_etag(value)
    if tag is not None:
        return _same(tag, representation, strongly=True)
    date = parse_http_date(value)
    is_strong = representation.etag is not None and not representation.etag.weak
    return is_strong and date is not None and date == representation.last_modified


def _tags(value: str) -> tuple[EntityTag, ...]:
    return parse_etag_list(value) or ()


def _same(tag: EntityTag, representation: Representation, *, strongly: bool) -> bool:
    ours = representation.etag
    if ours is None:
        return False
    return tag.matches_strongly(ours) if strongly else tag.matches_weakly(ours)
