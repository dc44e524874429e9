"""What came of a check: a value for logs, metrics and reports. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

State = Literal["verified", "mismatch", "unverified"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether bytes were those the store promised.

    Attributes:
        state: "unverified" is all that is not known for certain.
        algorithm: what was checked by, "" where nothing was.
        reason: why it is unverified, one of the texts below; else "".
        bytes: how many bytes the verdict is about.
    """

    state: State
    algorithm: str = ""
    reason: str = ""
    bytes: int = 0

    def __str__(self) -> str:
        if self.state == "unverified":
            return f"unverified: {self.reason}"
        return f"{self.algorithm} {self.state}"


# The reasons. They are values of a metric, so there are few and none holds a name or a number.
OFF: Final = "off"
NOT_READ: Final = "not read"
NOT_ALL_READ: Final = "not read to its end"
RANGE: Final = "range"
NO_CHECKSUM: Final = "no checksum"
PARTS_UNKNOWN: Final = "part sizes unknown"

_BY_HARM: Final[tuple[State, ...]] = ("verified", "unverified", "mismatch")


@lru_cache(512)
def verdict_on_all(checked_by: str, reason: str, size: int) -> Verdict:
    """That on all bytes of a small object: checked by an algorithm, or "" and the reason why not.

    One value for all that are alike: making it would take longer than all else that is done.
    """
    return Verdict("verified" if checked_by else "unverified", checked_by, reason, size)


def together(one: Verdict | None, other: Verdict) -> Verdict:
    """The verdict on two reads: the worse one, about the bytes of both."""
    if one is None:
        return other
    worse = max(one, other, key=lambda verdict: _BY_HARM.index(verdict.state))
    return Verdict(worse.state, worse.algorithm, worse.reason, one.bytes + other.bytes)


def verdict_of(opened: object) -> Verdict | None:
    """The verdict on what was read of an open object, None where nothing was or nobody judges."""
    verdict = getattr(opened, "verdict", None)
    if not isinstance(verdict, Verdict) or verdict.reason == NOT_READ:
        return None
    return verdict
