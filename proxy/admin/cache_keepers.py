"""Asking the workers that keep something: whom for what, and their answers as one.

What reads the directory is done by one of those that share it; only without one does each have
slices of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from proxy.admin.working import Outcome, Tell
from proxy.observability.fleet import Fleet, Reply

# Seconds to say who keeps what.
_LOOK_UP: Final = 2.0
# What all processes have together, so that it is not added up.
_SHARED: Final = (
    "shared_used",
    "shared_limit",
    "disk_bytes",
    "disk_files",
    "disk_limit",
    "disk_files_limit",
)

NOTHING_KEPT: Final = Outcome({}, 404, "Nothing is kept: the configuration has no [cache].")


class Unable(Exception):
    """Nothing is kept, or no worker answers: its argument is what is said of that."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


class Keepers:
    """The workers that keep something."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def replies(self) -> list[Reply]:
        """What those workers say that keep something; raises `Unable` if none does."""
        replies = await self._fleet.ask("cache-stats", {}, _LOOK_UP)
        known = [one for one in replies if not one.error]
        if not known:
            raise Unable(_nobody(replies))
        kept = [one for one in known if one.value is not None]
        if not kept:
            raise Unable(NOTHING_KEPT)
        return kept

    async def each(
        self, what: str, arguments: Mapping[str, Any], seconds: float, tell: Tell
    ) -> list[Mapping[str, Any]]:
        """What one worker for each directory says, and each that has none. `tell` is given how far
        they are together; raises `Unable` if one of them fails."""
        present = self._fleet.present()
        users = sorted(await self.replies(), key=lambda one: present.get(one.pid) != "ready")
        chosen: dict[object, Reply] = {}
        for one in users:
            if present.get(one.pid) == "ready" or not chosen:
                chosen.setdefault(one.value["directory"] or one.pid, one)
        far = _Far(tell)
        found = await asyncio.gather(
            *(
                self._fleet.ask(what, arguments, seconds, str(one.pid), take=far.of(one.pid))
                for one in chosen.values()
            )
        )
        replies = [one for some in found for one in some]
        if not replies or any(one.error for one in replies):
            raise Unable(_nobody([one for one in replies if one.error]))
        return [one.value for one in replies]


class _Far:
    """How far several workers are, as one."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._told: dict[int, Mapping[str, Any]] = {}

    def of(self, pid: int) -> Tell:
        """For the words of one of them."""

        def take(value: Mapping[str, Any]) -> None:
            self._told[pid] = value
            self._tell(summed(list(self._told.values())))

        return take


def _nobody(replies: list[Reply]) -> Outcome:
    why = "; ".join(f"{one.name} ({one.pid}): {one.error}" for one in replies) or "there is none"
    return Outcome({}, 503, f"No worker answered: {why}.")


def summed(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several answers of the same form as one."""
    total: dict[str, Any] = {}
    for answer in answers:
        for name, value in answer.items():
            before = total.get(name)
            if before is None or isinstance(value, bool):
                total[name] = value or bool(before) if isinstance(value, bool) else value
            else:
                total[name] = before + value
    return total


def total_of(statistics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all workers keep and did; what they have together counts once."""
    total: dict[str, Any] = {}
    for one in statistics:
        for name, value in one.items():
            if isinstance(value, int) and name not in _SHARED:
                total[name] = total.get(name, 0) + value
            else:
                total[name] = max(total.get(name, value), value)
    return total
