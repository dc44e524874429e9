"""The operator's hands on the cache: what is kept, purging, checking, filling.

Workers are asked by the names of `proxy.cache.operations`; who is asked: see `cache_keepers`.
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
from proxy.admin.cache_keepers import NOTHING_KEPT, Keepers, Unable, summed, total_of
from proxy.admin.options import AdminOptions
from proxy.admin.purging import Purging
from proxy.admin.working import Outcome, Tell, Work, answer_with
from proxy.integrity.targets import NoTarget, Target, target_of
from proxy.observability import metrics as names
from proxy.observability.fleet import Fleet

# Seconds: to list what is kept; to fill; to read all of a large disk.
_LIST, _WARM, _SCRUB = 60.0, 3600.0, 6 * 3600.0
# Purges at the same time; each may read what is known of all objects.
MOST_PURGES: Final = 8
MOST_OBJECTS: Final = 10_000
MOST_KEYS: Final = 1000
KINDS: Final = ("key", "prefix", "tag", "all", "path")

Endpoint = Callable[[Request], Awaitable[Response]]


class CacheDoor:
    """The endpoints below /cache."""

    def __init__(self, fleet: Fleet, options: AdminOptions) -> None:
        self._fleet = fleet
        self._keepers = Keepers(fleet)
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
            replies = await self._keepers.replies()
        except Unable as unable:
            return unable.outcome.answer()
        workers = [{"pid": one.pid, "name": one.name, **one.value} for one in replies]
        return as_json({"total": total_of([one.value for one in replies]), "workers": workers})

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
            found = await self._keepers.each("cache-list", asked, _LIST, lambda _: None)
        except Unable as unable:
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
            return NOTHING_KEPT
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
        return Outcome(summed(await self._keepers.each("cache-scrub", {}, _SCRUB, tell)))

    async def warm(self, request: Request) -> Response:
        """Reads objects from their origins, so that they are kept."""
        only(request, ())
        told = await json_body(request, ("keys", "prefix", "origin"))
        targets = [[one.origin, one.key] for one in self._to_warm(told)]

        async def work(tell: Tell) -> Outcome:
            found = await self._keepers.each("cache-warm", {"targets": targets}, _WARM, tell)
            return Outcome(summed(found))

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
                except Unable as unable:
                    return unable.outcome

        return answer_with(request, alone)
