"""Whether memory grew over a long run. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

MIB = 1024 * 1024
# A process settles while caches and pools fill; from then on, this much more is growth. The floor
# is what an allocator was seen to keep or give back between two minutes of the same load.
_SETTLED = 0.25
_FACTOR, _FLOOR = 1.10, 16 * MIB


@dataclass(frozen=True, slots=True)
class Growth:
    """Medians, in bytes, of the first settled tenth of the run and of its last tenth."""

    first: float
    last: float

    @property
    def fails(self) -> bool:
        """Whether it is more than settling explains."""
        return self.last > self.first * _FACTOR + _FLOOR

    def __str__(self) -> str:
        return f"{self.first / MIB:.0f} MiB when settled, {self.last / MIB:.0f} MiB at the end"


def growth(samples: Sequence[dict[str, float]]) -> Growth | None:
    """From the samples of a watch; None when there are too few to say."""
    held = [one["server_memory"] for one in samples if "server_memory" in one]
    if len(held) < 20:
        return None
    tenth = len(held) // 10
    settled = int(len(held) * _SETTLED)
    return Growth(median(held[settled : settled + tenth]), median(held[-tenth:]))
