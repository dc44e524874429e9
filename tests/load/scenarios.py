"""The scenarios there are: which data each needs, and how long it may take at most."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
# Above a scenario's own duration: its set-up, its last requests, k6's start and end.
_AROUND = 120.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """`seconds`: how long it takes unless told otherwise. The rest is stopped after `limit`."""

    groups: frozenset[str]
    seconds: float

    def limit(self, duration: str | None) -> float:
        """When a run is cut: its duration, as asked for, and some time around it."""
        return (self.seconds if duration is None else seconds(duration)) + _AROUND


def _scenario(groups: str, length: float) -> Scenario:
    return Scenario(frozenset(groups.split()), length)


SCENARIOS = {
    "smoke": _scenario("edge ladder bulk", 60),
    "api": _scenario("ladder", 120),
    "files": _scenario("ladder", 60),
    "ranges": _scenario("video paper table", 60),
    "stress": _scenario("bulk ladder", 150),
    "stampede": _scenario("cold", 120),
    "soak": _scenario("ladder video crowd", 3600),
    "mixed": _scenario("crowd", 60),
    "slow": _scenario("bulk ladder", 60),
}


def seconds(text: str) -> float:
    """Seconds of a duration as k6 writes it: "90s", "1h30m"."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not parts or "".join(map("".join, parts)) != text:
        raise ValueError(f"{text!r} is no duration; write 90s, 5m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
