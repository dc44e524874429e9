"""How much is checked, and what a layer that keeps bytes is asked and told of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from proxy.integrity.verdict import Verdict
from proxy.origins.base import OpenObject
from proxy.semantics.representation import Span

Policy = Literal["require", "when-available", "off"]

# Where checks are required, a range costs a read of the whole object. Up to the size of a slice
# that is what a slice cache would read for it too.
READ_THROUGH: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Checking:
    """How a `Verified` checks.

    Attributes:
        policy: "require" refuses what can't be checked, "when-available" passes it on labelled,
            "off" checks nothing.
        pool: where slow checksums are computed, from `proxy.integrity.rolling.make_pool`.
        report: called with the verdict on each read when it is known.
        name: the origin's name in the log.
        read_through: most bytes read in vain to check a range, where checks are required.
        kept_through: the largest object that is read as a whole to check a range of it, where they
            are not required and a layer below keeps what was read, so that it is read once; and
            most bytes that are read beside a range to check it by parts.
    """

    policy: Policy
    pool: Executor
    report: Callable[[Verdict], None] = lambda _: None
    name: str = ""
    read_through: int = READ_THROUGH
    kept_through: int = 0

    def looks_into(self, opened: OpenObject) -> bool:
        """Whether a range of an object is checked by reading all of it."""
        if self.policy != "when-available":
            return self.policy == "require"
        return keeps(opened) and opened.representation.size <= self.kept_through


class Keeping(Protocol):
    """An open object of a layer below that keeps what is read of it, and wants to know what came
    of the check."""

    def confirm(self, algorithm: str) -> None:
        """All of it was read through this object and is what the store promised."""
        ...

    def prove(self, span: Span, algorithm: str) -> None:
        """So it is with a span."""
        ...

    def proven_by(self, span: Span) -> str:
        """By which algorithm all that is kept of a span was proven; "" if not all was."""
        ...

    def aligned(self, span: Span) -> Span:
        """The span with what is kept together with its ends."""
        ...


def keeps(opened: OpenObject) -> bool:
    """Whether an object is one of `Keeping`."""
    return getattr(opened, "confirm", None) is not None
