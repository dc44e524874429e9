"""When to ask an origin again, and what for. Pure: the clock and chance are arguments.

One layer retries, and no other: tries that multiply turn a brown-out into an outage. So each retry
needs a token of its origin's budget as well, which grows with the requests that go well. While
the origin refuses everything, what it gets is what clients ask for and a trickle more.
Why so: docs/decisions/0005-one-layer-retries-within-a-budget.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.errors import Fault
from proxy.semantics.representation import Representation, Span

# What the budget gains without any success, so that a quiet origin is retried too, and the most it
# saves up. To 60 requests a second that adds 10 % in a minute of nothing but refusals.
TOKENS_PER_SECOND = 5.0
MOST_TOKENS = 50.0
# A body that has brought this much since its last request is gone on with for nothing: a request
# for each MiB that arrives is no storm, and a store that restarts cuts all its bodies at once.
FREE_AFTER = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """How much patience to have with an origin. Times are in seconds.

    Attributes:
        max_retries: how often in a row; `enough` bytes that arrive start the count anew.
        enough: what a read must bring to count as a success, in bytes. One that brings a few and
            stalls would else hold its reader for as long as the object has bytes.
        budget: retries for each request that succeeded (see `RetryBudget`).
        first_pause: the most before the first retry; doubled for each further one. A cut
            connection is mostly one server of many, and the next has the bytes.
        longest_pause: the most before any retry, and the longest wish of an origin (Retry-After)
            that is waited for; beyond it the client is told instead.
        patience: how long may pass without a single byte; the origin's own stall timeout (20 s)
            fits into it once, with the time to ask again.
    """

    max_retries: int = 3
    enough: int = 64 * 1024
    budget: float = 0.1
    first_pause: float = 0.1
    longest_pause: float = 5.0
    patience: float = 40.0


class RetryBudget:
    """A bucket of tokens shared by all requests to one origin; each retry takes one.

    `share` is what a request that succeeded puts in. With 0 nothing is ever put in.
    """

    def __init__(self, share: float, now: float) -> None:
        self._share = share
        self._rate = TOKENS_PER_SECOND if share else 0.0
        self._tokens = MOST_TOKENS if share else 0.0
        self._updated = now

    def earn(self) -> None:
        """Counts a request that succeeded."""
        self._tokens = min(MOST_TOKENS, self._tokens + self._share)

    def spend(self, now: float) -> bool:
        """Takes a token; false if there is none, and then there must be no retry."""
        self._tokens = min(MOST_TOKENS, self._tokens + self._rate * max(0.0, now - self._updated))
        self._updated = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


@dataclass(frozen=True, slots=True)
class Pause:
    """Ask again after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Ask no more. `why` is "" where another try would not have helped anyway."""

    why: str = ""


class Tries:
    """The failures in a row of one opening or one body. Decides; who asks does the waiting."""

    def __init__(self, options: RetryOptions, budget: RetryBudget, now: float) -> None:
        self._options = options
        self._budget = budget
        self._failed = 0
        self._brought = 0
        self._waiting_since = now

    def progress(self, length: int, now: float) -> None:
        """So many bytes arrived, and more are wanted: from here on patience is new."""
        self._brought += length
        self._waiting_since = now
        if self._brought >= self._options.enough:
            self._failed = 0

    def after(self, fault: Fault, now: float, chance: float) -> Pause | GiveUp:
        """What to do about a fault. `chance` is from 0 to 1: the jitter of the pause.

        Full jitter, so that readers that were cut at one moment do not return at one moment.
        """
        options = self._options
        brought, self._brought = self._brought, 0
        if not fault.retryable:
            return GiveUp()
        self._failed += 1
        if self._failed > options.max_retries:
            return GiveUp(f"{options.max_retries} retries did not help")
        asked = fault.asked_pause or 0
        if asked > options.longest_pause:
            return GiveUp(f"the origin asks for a pause of {asked} s")
        growing = options.first_pause * 2.0 ** min(self._failed - 1, 30)
        seconds = asked + chance * min(growing, options.longest_pause)
        if now + seconds - self._waiting_since > options.patience:
            return GiveUp(f"nothing came for {now - self._waiting_since:.1f} s")
        if brought < FREE_AFTER and not self._budget.spend(now):
            return GiveUp("the origin's retry budget is empty")
        return Pause(seconds)


def rest_of(span: Span, received: int) -> Span:
    """What is still to be read of a span of which `received` bytes have come."""
    if not 0 <= received <= span.length:
        raise ValueError(f"{received} bytes received of {span.length}")
    return Span(span.start + received, span.stop)


def can_be_joined(representation: Representation) -> bool:
    """Whether bytes of two reads are sure to be of one version (RFC 9110 §8.8.1).

    A weak tag or a date may stay the same when the bytes change.
    """
    etag = representation.etag
    return (etag is not None and not etag.weak) or representation.version is not None
