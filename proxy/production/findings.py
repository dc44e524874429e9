"""What a check of production says: one thing, how bad it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Severity = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        severity: "error" for what will fail or leak, "warning" for what is unwise, else "ok".
        about: what was looked at, in a word or two, as "tls" or "origins.media".
        said: what was found; holds no secret.
        remedy: what to do; empty where all is well.
    """

    severity: Severity
    about: str
    said: str
    remedy: str = ""


def ok(about: str, said: str) -> Finding:
    """All is well."""
    return Finding("ok", about, said)


def warning(about: str, said: str, remedy: str) -> Finding:
    """Unwise."""
    return Finding("warning", about, said, remedy)


def error(about: str, said: str, remedy: str) -> Finding:
    """It will fail, or leak."""
    return Finding("error", about, said, remedy)


def lines(findings: Iterable[Finding]) -> Iterator[str]:
    """The findings as text, a line each and one more for each remedy, and a count at the end."""
    count = {"ok": 0, "warning": 0, "error": 0}
    for one in findings:
        count[one.severity] += 1
        yield f"{one.severity:<8} {one.about}: {one.said}"
        if one.remedy:
            yield f"{'':<8} -> {one.remedy}"
    yield f"errors: {count['error']}, warnings: {count['warning']}, ok: {count['ok']}"
