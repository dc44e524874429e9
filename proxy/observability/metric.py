"""What a metric is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Label:
    """A label: its name, and its values or what bounds them."""

    name: str
    values: tuple[str, ...] | str


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric. Seconds and bytes are its units, as the name says.

    Attributes:
        name: with "_total" for a counter, as it is scraped.
        help: one sentence.
        buckets: upper bounds of a histogram, without the infinite one.
        merge: how a gauge's values of several processes become one; counters are always added.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    merge: Literal["sum", "max"] = "sum"


OF_ORIGINS: Final = Label("origin", "the names of [origins.…]")
