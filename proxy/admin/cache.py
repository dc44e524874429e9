"""The operator's hands on the cache: what is kept, purging, checking, filling.

Workers are asked by the names of `proxy.cache.operations`. What reads the directory is done by one
of them; only without one does each have slices of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from proxy.admin.answers import BadParameter, as_json, only, problem, whole
from proxy.admin.bodies import MOST_TEXT, flag_of, is_text, json_body, text_of
from proxy.admin.options import AdminOptions
from proxy.admin.purging import Purging
from proxy.admin.working import Outcome, Tell, Work, answer_with
from proxy.integrity.targets import NoTarget, Target, target_of
from proxy.observability import metrics as names
from proxy.observability.fleet import Fleet, Reply

# Seconds: to look something up; to list what is kept; to fill; to read all of a large disk.
_LOOK_UP, _LIST, _WARM, _SCRUB = 2.0, 60.0, 3600.0, 6 * 3600.0
# Purges at the same time; each may read what is known of all objects.
MOST_PURGES: Final = 8
MOST_OBJECTS: Final = 10_000
MOST_KEYS: Final = 1000
KINDS: Final = ("key", "prefix", "tag", "all", "path")
# What all processes have together, so that it is not added up.
_SHARED: Final = (
    "shared_used",
    "shared_limit",
    "disk_bytes",
    "disk_files",
    "disk_limit",
    "disk_files_limit",
)

Endpoint = Callable[[Request], Awaitable[Response]]


class _Unable(Exception):
    """Nothing is kept, or no worker answers: its argument is what is said of that."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


class CacheDoor:
    """The endpoints below /cache."""

    def __init__(self, fleet: Fleet, options: AdminOptions) -> None:
        self._fleet = fleet
        self._options = options
        self._purges = 0
        self._errand = asyncio.Lock()

    def looks(self) -> dict[str, Endpoint]:
        """Those that change nothing, by path."""
        return {"/cache": self.stats, "/cache/objects": self.objects}

    def deeds(self) -> dict[str, Endpoint]:
        """Those that do something, by path."""
        return {"/cache/purge": self.purge, "/cache/scrub": self.scrub, "/cache/warm": self.warm}

    # --- looking --------------------------------------------------------------------------------

    async def stats(self, request: Request) -> Response:
        """What is kept and was done, in all workers together and in each."""
        only(request, ())
        try:
            replies = await self._users()
        except _Unable as unable:
            return unable.outcome.answer()
        workers = [{"pid": one.pid, "name": one.name, **one.value} for one in replies]
        return as_json({"total": _total([one.value for one in replies]), "workers": workers})

    async def objects(self, request: Request) -> Response:
        """The objects of which something is kept."""
        given = only(request, ("prefix", "origin", "limit"))
        limit = whole(given, "limit", 1000, 1, MOST_OBJECTS)
        prefix, origin = given.get("prefix", ""), given.get("origin", "")
        for name in ("prefix", "origin"):
            if not is_text(given.get(name, "")):
                raise BadParameter(f"{name}: expected at most {MOST_TEXT} characters.")
        asked = {"prefix": prefix, "origin": origin, "limit": limit}
        try:
            found = await self._each("cache-list", asked, _LIST, lambda _: None)
        except _Unable as unable:
            return unable.outcome.answer()
        objects: dict[tuple[str, str], Any] = {}
        for one in (one for answer in found for one in answer["objects"]):
            objects.setdefault((one["origin"], one["key"]), one)
        shown = [objects[name] for name in sorted(objects)]
        truncated = len(shown) > limit or any(answer["truncated"] for answer in found)
        return as_json({"objects": shown[:limit], "truncated": truncated})

    # --- doing ----------------------------------------------------------------------------------

    async def purge(self, request: Request) -> Response:
        """Purges; answers when nothing older is given by any worker, or with what is missing."""
        only(request, ())
        arguments = self._purge_of(await json_body(request, ("kind", "value", "origin", "soft")))
        if self._purges >= MOST_PURGES:
            return problem(429, f"{MOST_PURGES} purges run already.")

        async def work(tell: Tell) -> Outcome:
            self._purges += 1
            try:
                return await self._purged(arguments, tell)
            finally:
                self._purges -= 1

        return answer_with(request, work)

    async def _purged(self, arguments: Mapping[str, Any], tell: Tell) -> Outcome:
        begun = monotonic()
        options = self._options
        purging = Purging(self._fleet, arguments, tell, options.former, options.purge_timeout)
        purged = await purging.run()
        told = {
            "complete": not purged.faults,
            "objects": purged.objects,
            "slices": purged.slices,
            "workers": purged.workers,
            "seconds": round(monotonic() - begun, 3),
        }
        if purged.faults:
            why = "; ".join(f"{who}: {said}" for who, said in purged.faults.items())
            detail = f"The purge is not complete: {why}."
            return Outcome(told, 504 if purged.late else 503, detail)
        if not purged.keeps:
            return _NOTHING_KEPT
        self._fleet.count(names.CACHE_PURGES, 1)
        return Outcome(told)

    def _purge_of(self, told: Mapping[str, Any]) -> dict[str, Any]:
        kind, origin = text_of(told, "kind"), text_of(told, "origin", "")
        if kind not in KINDS:
            raise BadParameter(f"kind: expected one of {', '.join(KINDS)}.")
        value = text_of(told, "value", "" if kind == "all" else None)
        if bool(value) is (kind == "all"):
            raise BadParameter('value: expected a text, and none for the kind "all".')
        self._know(origin)
        if kind == "path" and not value.startswith(("/", "http://", "https://")):
            raise BadParameter("value: expected a public path or a URL.")
        if kind == "path":
            target = self._target(value, None)
            kind = "prefix" if target.key.endswith("/") or not target.key else "key"
            value, origin = target.key, target.origin
        kind = "prefix" if kind == "all" else kind
        return {"kind": kind, "value": value, "origin": origin, "soft": flag_of(told, "soft")}

    async def scrub(self, request: Request) -> Response:
        """Compares all slices on disk with their check values."""
        only(request, ())
        await json_body(request, ())
        return self._alone(request, self._scrubbed)

    async def _scrubbed(self, tell: Tell) -> Outcome:
        return Outcome(_sum(await self._each("cache-scrub", {}, _SCRUB, tell)))

    async def warm(self, request: Request) -> Response:
        """Reads objects from their origins, so that they are kept."""
        only(request, ())
        told = await json_body(request, ("keys", "prefix", "origin"))
        targets = [[one.origin, one.key] for one in self._to_warm(told)]

        async def work(tell: Tell) -> Outcome:
            found = await self._each("cache-warm", {"targets": targets}, _WARM, tell)
            return Outcome(_sum(found))

        return self._alone(request, work)

    def _to_warm(self, told: Mapping[str, Any]) -> list[Target]:
        if ("keys" in told) is ("prefix" in told):
            raise BadParameter("Expected either keys or a prefix.")
        origin = text_of(told, "origin", "") or None
        self._know(origin)
        if "prefix" in told:
            prefix = text_of(told, "prefix")
            if prefix and not prefix.endswith("/"):
                raise BadParameter('prefix: expected "", or a text that ends in a slash.')
            return [self._target(prefix, origin)]
        keys = told["keys"]
        if not isinstance(keys, list) or not 0 < len(keys) <= MOST_KEYS or "" in keys:
            raise BadParameter(f"keys: expected a list of 1 to {MOST_KEYS} keys or public paths.")
        if not all(map(is_text, keys)):
            raise BadParameter(f"keys: expected texts of at most {MOST_TEXT} characters.")
        return [self._target(key, origin) for key in keys]

    def _know(self, origin: str | None) -> None:
        if origin and origin not in self._options.cached:
            raise HTTPException(404, f"There is no origin {origin!a} of which something is kept.")

    def _target(self, text: str, origin: str | None) -> Target:
        try:
            found = target_of(text, self._options.mounts, self._options.cached, origin)
        except NoTarget as error:
            raise HTTPException(404, f"{error}.") from None
        self._know(found.origin)
        return found

    def _alone(self, request: Request, work: Work) -> Response:
        """One errand at a time."""
        if self._errand.locked():
            return problem(429, "Another scrub or warming runs; there is one at a time.")

        async def alone(tell: Tell) -> Outcome:
            async with self._errand:
                try:
                    return await work(tell)
                except _Unable as unable:
                    return unable.outcome

        return answer_with(request, alone)

    # --- asking ---------------------------------------------------------------------------------

    async def _users(self) -> list[Reply]:
        """What those workers say that keep something; raises `_Unable` if none does."""
        replies = await self._fleet.ask("cache-stats", {}, _LOOK_UP)
        known = [one for one in replies if not one.error]
        if not known:
            raise _Unable(_nobody(replies))
        kept = [one for one in known if one.value is not None]
        if not kept:
            raise _Unable(_NOTHING_KEPT)
        return kept

    async def _each(
        self, what: str, arguments: Mapping[str, Any], seconds: float, tell: Tell
    ) -> list[Mapping[str, Any]]:
        """What one worker for each directory says, and each that has none."""
        present = self._fleet.present()
        users = sorted(await self._users(), key=lambda one: present.get(one.pid) != "ready")
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
            raise _Unable(_nobody([one for one in replies if one.error]))
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
            self._tell(_sum(list(self._told.values())))

        return take


_NOTHING_KEPT: Final = Outcome({}, 404, "Nothing is kept: the configuration has no [cache].")


def _nobody(replies: list[Reply]) -> Outcome:
    why = "; ".join(f"{one.name} ({one.pid}): {one.error}" for one in replies) or "there is none"
    return Outcome({}, 503, f"No worker answered: {why}.")


def _sum(answers: list[Mapping[str, Any]]) -> dict[str, Any]:
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


def _total(statistics: list[Mapping[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for one in statistics:
        for name, value in one.items():
            if isinstance(value, int) and name not in _SHARED:
                total[name] = total.get(name, 0) + value
            else:
                total[name] = max(total.get(name, value), value)
    return total
