"""What a cache did with a request: Cache-Status (RFC 9211), Server-Timing, and words for a log.

A report is a value; the functions here only write it. Nothing raises: text that can't stand in a
field is changed or left out, since a broken field would be worse than a missing word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

# The reasons of §2.2 that this cache can have; it keeps no variants by method or Vary.
Forwarded = Literal["bypass", "request", "uri-miss", "miss", "stale", "partial"]

# A longer text explains nothing more.
MAX_TEXT_LENGTH = 128
# What an Integer of a structured field can hold (RFC 9651 §3.3.1).
_MAX_INTEGER = 10**15 - 1

_SF_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~:/0-9A-Za-z]*")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


@dataclass(slots=True)  # not frozen, which would take three times as long
class CacheReport:
    """What the cache did for one answer. By default: it was not asked.

    Attributes:
        hit: answered from what was stored, without asking the origin first.
        fwd: why the origin was asked, or None. It goes before `hit`: the two exclude each other.
        fwd_status: what the origin answered, where that differs from the answer's own status.
        ttl: seconds of freshness left, negative when stale; None: not known.
        stored: whether what the origin answered was stored.
        collapsed: whether the request waited for another one's answer of the origin.
        detail: a word such as "memory", "disk" or "verified".
        age: for the Age field: seconds since it was validated; None where the answer comes from
            the origin now.
    """

    hit: bool = False
    fwd: Forwarded | None = None
    fwd_status: int | None = None
    ttl: int | None = None
    stored: bool = False
    collapsed: bool = False
    detail: str = ""
    age: int | None = None


def cache_status(report: CacheReport, cache: str = "headgate") -> bytes:
    """The value of Cache-Status with one member, this cache's.

    Args:
        report: what to tell; what means something only of a forwarded request is told only then.
        cache: the member's name.
    """
    parameters: list[str] = []
    if report.fwd is not None:
        parameters += _forwarding(report, report.fwd)
    elif report.hit:
        parameters.append("hit")
    if report.ttl is not None:
        parameters.append(f"ttl={_integer(report.ttl)}")
    if report.detail:
        parameters.append(f"detail={_text(report.detail)}")
    return "; ".join([_text(cache), *parameters]).encode("ascii")


def summary(report: CacheReport) -> str:
    """Short words for a log: "hit (disk)", "stale", "miss"; "" where no cache was asked.

    "stale hit" was served stale; "revalidated" was stale until the origin vouched for it, and
    "stale" was so and had to be fetched anew.
    """
    word = _word(report)
    detail = _printable(report.detail)
    return f"{word} ({detail})" if word and detail else word


def server_timing(parts: Sequence[tuple[str, float]]) -> bytes:
    """The value of Server-Timing (W3C) for names and seconds, in milliseconds to a tenth.

    A name that is no token and a time that is no number are left out; b"" if nothing is left.
    """
    told = [
        f"{name};dur={max(seconds, 0.0) * 1000:.1f}"
        for name, seconds in parts
        if _TOKEN.fullmatch(name) and isfinite(seconds)
    ]
    return ", ".join(told).encode("ascii")


def _forwarding(report: CacheReport, reason: Forwarded) -> list[str]:
    parameters = [f"fwd={reason}"]
    if report.fwd_status is not None:
        parameters.append(f"fwd-status={_integer(report.fwd_status)}")
    if report.stored:
        parameters.append("stored")
    if report.collapsed:
        parameters.append("collapsed")
    return parameters


def _word(report: CacheReport) -> str:
    if report.fwd is None:
        if not report.hit:
            return ""
        return "stale hit" if report.ttl is not None and report.ttl < 0 else "hit"
    if report.collapsed:
        return "collapsed"
    if report.fwd == "stale" and report.fwd_status == 304:
        return "revalidated"
    return "miss" if report.fwd == "uri-miss" else report.fwd


def _integer(number: int) -> int:
    return max(-_MAX_INTEGER, min(number, _MAX_INTEGER))


def _text(value: str) -> str:
    """A Token where it is one, else a String (RFC 9651 §3.3.3, §3.3.4)."""
    printable = _printable(value)
    if _SF_TOKEN.fullmatch(printable):
        return printable
    escaped = printable.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _printable(value: str) -> str:
    if len(value) <= MAX_TEXT_LENGTH and value.isascii() and value.isprintable():
        return value
    return _UNPRINTABLE.sub("?", value[:MAX_TEXT_LENGTH])
