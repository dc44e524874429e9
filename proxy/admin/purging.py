"""A purge of all workers and of the disk: when it is complete, nothing older is given any more.

    each worker forgets   those that serve, that leave, and that are just starting
    one sweeps the disk   for each directory, once all have forgotten; also for those that were
                          used before a reload and might be again
    new ones              that are started meanwhile forget before they serve

A worker that forgets also remembers when, takes nothing that was asked for before, and answers
only when it writes nothing old any more. So the sweep finds all there is, and a worker that starts
behind it finds nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, Final

from proxy.observability.fleet import Fleet, Reply

# Seconds for all of it: a sweep reads what is known of every object.
WHOLE: Final = 600.0
# Seconds in which a worker has to be found that goes through the disk, if all die.
SETTLE: Final = 60.0
# Seconds between two looks at who is there.
_PAUSE: Final = 0.1

Tell = Callable[[Any], None]


@dataclass(slots=True)
class Purged:
    """What a purge came to. It is complete if `faults` is empty.

    Attributes:
        workers: the process ids of those that have forgotten.
        objects: that were known or kept; a worker's own are counted where there is no disk.
        slices: files removed.
        faults: why it is not complete, by worker.
        late: it is for want of time.
        keeps: whether anything is kept at all.
    """

    workers: list[int] = field(default_factory=list)
    objects: int = 0
    slices: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    late: bool = False
    keeps: bool = False


class Purging:
    """One purge. `arguments` are those of the workers' operations, `former` directories that only
    earlier configurations used.

    `confirm` is how many seconds all workers have to forget; one that starts answers when it
    serves, which takes some where an origin is far.
    """

    def __init__(
        self,
        fleet: Fleet,
        arguments: Mapping[str, Any],
        tell: Tell,
        former: Sequence[str] = (),
        confirm: float = 30.0,
    ) -> None:
        self._fleet = fleet
        self._former = former
        self._confirm = confirm
        self._arguments = arguments
        self._tell = tell
        self._begun = monotonic()
        self._confirmed: dict[int, Reply] = {}
        self._owed: set[int] = set()
        self._swept: set[str] = set()
        self._purged = Purged()

    async def run(self) -> Purged:
        """Purges; returns when it is complete, or can't be."""
        with self._fleet.ordered("cache-purge", self._arguments):
            while True:
                self._owed = set(self._fleet.present())
                await self._forget()
                if self._purged.faults or self._is_known():
                    if await self._sweep() or self._purged.faults:
                        break
                elif monotonic() - self._begun > SETTLE:
                    self._purged.faults["workers"] = "they end before they can be asked"
                    break
                # Those that took the places of workers that are gone can tell what they use.
                await asyncio.sleep(_PAUSE)
            if not self._purged.faults:
                await self._sweep_former()
        self._purged.workers = sorted(self._confirmed)
        used = any(one.value is not None for one in self._confirmed.values())
        self._purged.keeps = used or bool(self._former)
        if not self._confirmed and not self._purged.faults:
            self._purged.faults["workers"] = "there is none"
        return self._purged

    def _is_known(self) -> bool:
        """Whether what is used is known: all have told that were asked, or that live by now."""
        return self._owed <= self._confirmed.keys() or (
            self._fleet.present().keys() <= self._confirmed.keys()
        )

    def _missing(self) -> list[int]:
        """Those that live and have not forgotten."""
        present = self._fleet.present()
        return [pid for pid in present if pid in self._owed and pid not in self._confirmed]

    # --- every worker ---------------------------------------------------------------------------

    async def _forget(self) -> None:
        """Has all workers forget that are there, until each has or is gone, or time is up."""
        deadline = monotonic() + self._confirm
        faults: dict[int, Reply] = {}
        while (missing := self._missing()) and (left := deadline - monotonic()) > 0:
            found = await asyncio.gather(*(self._ask_to_forget(pid, left) for pid in missing))
            for reply in (one for replies in found for one in replies):
                if reply.error:
                    faults[reply.pid] = reply
                elif reply.value is not None and not reply.value["settled"]:
                    faults[reply.pid] = replace(reply, error="it is still writing to disk")
                else:
                    self._confirmed[reply.pid] = reply
            if self._missing():
                await asyncio.sleep(_PAUSE)
        for pid in missing:
            said = faults.get(pid) or Reply(pid, "worker", error="it was not asked in time")
            self._purged.faults[f"{said.name} ({pid})"] = said.error
            self._purged.late = True

    async def _ask_to_forget(self, pid: int, seconds: float) -> list[Reply]:
        return await self._fleet.ask(
            "cache-purge", self._arguments, seconds, str(pid), starting=True
        )

    # --- the disk -------------------------------------------------------------------------------

    async def _sweep(self) -> bool:
        """Has each directory gone through by one worker that uses it. False if for one of them
        nobody is left who forgot, and others might use it."""
        kept = [one for one in self._confirmed.values() if one.value is not None]
        directories = {one.value["directory"] for one in kept} - {""} - self._swept
        if not directories and not self._swept:
            self._purged.objects = sum(one.value["objects"] for one in kept)
        for directory in sorted(directories):
            users = [one.pid for one in kept if one.value["directory"] == directory]
            if await self._sweep_one(directory, users):
                self._swept.add(directory)
            elif not self._purged.faults and not self._is_unused():
                if monotonic() - self._begun > SETTLE:
                    self._purged.faults[directory] = "no worker is left that could go through it"
                return False
        return True

    def _is_unused(self) -> bool:
        """Whether all that live have told what they use, of a directory that none of them does."""
        present = self._fleet.present().keys()
        return bool(present) and present <= self._confirmed.keys()

    async def _sweep_former(self) -> None:
        """Has directories gone through that might be used again, by any worker that is there."""
        for directory in self._former:
            anybody = [pid for pid in self._confirmed if pid in self._fleet.present()]
            if directory in self._swept:
                continue
            if not await self._sweep_one(directory, anybody, "cache-sweep-former"):
                self._purged.faults.setdefault(directory, "no worker could go through it")

    async def _sweep_one(self, directory: str, users: list[int], what: str = "cache-sweep") -> bool:
        present, error = self._fleet.present(), ""
        # Those that don't leave, before those that do.
        for pid in sorted(users, key=lambda pid: present.get(pid) != "ready"):
            left = self._begun + WHOLE - monotonic()
            if pid not in self._fleet.present():
                continue
            if left <= 0:
                error = "there was no time left"
                break
            asked = self._arguments
            if what != "cache-sweep":
                asked = {**asked, "directory": directory}
            replies = await self._fleet.ask(what, asked, left, str(pid), take=self._tell)
            for reply in replies:
                if not reply.error:
                    self._purged.objects += reply.value["objects"]
                    self._purged.slices += reply.value["slices"]
                    return True
                error = reply.error
        if error and any(pid in self._fleet.present() for pid in users):
            self._purged.late = self._begun + WHOLE - monotonic() <= 0
            self._purged.faults[directory] = error
        return False
