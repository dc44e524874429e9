"""The answers that an application gives at once: found or made, counted and logged as any other.

What is found here is what the application would answer if it were called, and it says so itself:
called by whatever server, it looks among the prepared ones first. What is made here it makes by
itself when it is called, by the same steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from starlette.types import Scope

from proxy.integrity.verdict import verdict_of
from proxy.observability import metrics as names
from proxy.observability.access_log import AccessRecord, is_logged, log_access
from proxy.observability.hot_tally import QUICK, Kind, Tally
from proxy.observability.responses import Responses
from proxy.observability.spans import Sampler
from proxy.origins.base import lease_of
from proxy.server.delivery import Answer, Site
from proxy.server.hot import Prepared
from proxy.server.prepared import MOST_BODY, Made, PreparedAnswer, PreparedAnswers
from proxy.server.request import raw_path_of
from proxy.server.ways import Way, Ways

_KEPT = (200, 304)


class HotAnswers:
    """Prepared answers of a site. A `HotPath` for servers, and a store for the application.

    Args:
        site: what is served.
        responses: where answers are counted.
        most: bytes that they may take; 0: none is kept.
        patience: seconds within which a client must have taken one.
        sampler: draws whether the application is to answer all the same, since it traces; None:
            never.
    """

    def __init__(
        self,
        site: Site,
        responses: Responses,
        most: int,
        patience: float,
        sampler: Sampler | None = None,
    ) -> None:
        memory = site.digester.memory
        self._answers = PreparedAnswers(most, site.max_target, patience, memory)
        self._responses = responses
        self._tells_cache = site.tells_cache
        meters, answers = responses.meters, self._answers
        meters.before_reading(lambda: meters.put(names.PREPARED_BYTES, answers.size))
        meters.put(names.PREPARED_LIMIT, most)
        self._most, self._patience = most, patience
        self._ways = Ways(site.max_target, memory)
        self._sampler = sampler
        self._tallies: dict[Kind, dict[str, Tally]] = {}

    # --- for the application ------------------------------------------------------------------

    def of(self, scope: Scope) -> PreparedAnswer | None:
        """The answer to the request of an ASGI scope, if there is one.

        It has no body: no field that speaks of one is among those that are known.
        """
        method = scope["method"].encode("latin-1")
        return self._answers.find(method, _target_of(scope), scope["headers"])

    def tell(self, prepared: PreparedAnswer, record: AccessRecord) -> None:
        """The application gives it itself, and will count it."""
        record.origin, record.length = prepared.origin, prepared.length
        record.verification, record.cache = prepared.verification, prepared.cache
        if prepared.used is not None:
            prepared.used(prepared.length)
        self._responses.hot.count_hot()
        self._responses.hot.count_verdict(prepared.verdict, prepared.length)

    def path_to_keep(self, answer: Answer, scope: Scope) -> bytes | None:
        """What an answer is kept under once it is sent, or None if it shall not be kept."""
        recipe, plan = answer.recipe, answer.plan
        if recipe is None or not self._most or plan.status not in _KEPT or plan.length > MOST_BODY:
            return None
        if self._tells_cache and getattr(answer.object, "cache_report", None) is not None:
            return None  # what clients are told of the cache is another thing each time
        return self._answers.takes(_target_of(scope), scope["headers"])

    def keep(self, path: bytes, answer: Answer, body: Sequence[bytes]) -> None:
        """An answer was sent in full, of these buffers: it is given again as long as it may be."""
        lease, recipe, plan = lease_of(answer.object), answer.recipe, answer.plan
        if lease is None or recipe is None:
            return
        whole: bytes | None = None
        if plan.parts or (plan.status == 200 and not recipe.representation.size):
            whole = body[0] if len(body) == 1 else b"".join(body)
        verdict = verdict_of(answer.object)
        self._answers.keep(Made(path, recipe, lease, answer.origin, whole, verdict))

    def note_way(self, answer: Answer, scope: Scope) -> None:
        """An answer was sent in full: the next one is made by the same way, if that can be."""
        recipe, plan = answer.recipe, answer.plan
        if recipe is None or (self._tells_cache and hasattr(answer.object, "cache_report")):
            return
        path = raw_path_of(scope)
        place = self._ways.takes(path, recipe, plan)
        if place is None or place.planned is None:
            return
        self._ways.note(path, Way(path, place, recipe, place.planned, self._patience))

    # --- for the server -----------------------------------------------------------------------

    def hot(
        self, method: bytes, target: bytes, fields: Sequence[tuple[bytes, bytes]]
    ) -> PreparedAnswer | None:
        """The answer to a request without a body, prepared or made now. See `HotPath`.

        Whether the application is to answer since it traces is drawn only for what would be found.
        """
        sampler = self._sampler
        found = self._answers.find(method, target, fields) if self._most else None
        if found is not None:
            return None if sampler is not None and sampler.draws_now() else found
        way = self._ways.find(method, target, fields)
        if way is None or (sampler is not None and sampler.draws_now()):
            return None
        whole = way.take()
        if whole is None:
            if sampler is not None:
                sampler.keep_to_no()
            return None
        if self._most and whole.lease is not None:
            path, recipe, origin = way.answer.path, way.recipe, way.answer.origin
            verdict = verdict_of(whole)
            self._answers.keep(Made(path, recipe, whole.lease, origin, whole.body, verdict))
        answer = way.answer_of(whole)
        if answer.tallies is None:
            answer.tallies = way.answer.tallies = self._tallies_of(answer)
        return answer

    def answered(
        self,
        prepared: Prepared,
        request_id: bytes,
        client: str,
        protocol: str,
        begun: float,
        *,
        gone: str = "",
    ) -> None:
        """Counts and logs what the server gave. See `HotPath`."""
        assert isinstance(prepared, PreparedAnswer)  # noqa: S101  # for the types: `hot` gave it
        seconds = monotonic() - begun
        tallies = prepared.tallies
        tally = tallies.get(protocol) if tallies is not None else None
        if prepared.used is not None and not gone:
            prepared.used(prepared.length)
        if gone:
            pass  # counted below
        elif tally is not None and seconds < QUICK:
            tally.answers += 1
            tally.bytes += prepared.length
            tally.seconds += seconds
        else:
            self._count(prepared, protocol, seconds)
        if gone or self._responses.listeners or is_logged():
            record = _record(prepared, request_id, client, protocol, seconds)
            if gone:
                self._count_gone(prepared, record, gone)
            self._responses.tell(record)
            log_access(record)

    def _count(self, prepared: PreparedAnswer, protocol: str, seconds: float) -> None:
        kind, tallies = prepared.kind(protocol), self._responses.hot
        if prepared.tallies is None:
            prepared.tallies = self._tallies_of(prepared)
        tally = prepared.tallies[protocol] = tallies.of(kind)
        tally.answers += 1
        tally.bytes += prepared.length
        if seconds < QUICK:
            tally.seconds += seconds
        else:
            tallies.observe_slow(kind, seconds)

    def _tallies_of(self, prepared: PreparedAnswer) -> dict[str, Tally]:
        """Where an answer is counted, by protocol: shared by all that are counted alike."""
        return self._tallies.setdefault(prepared.kind(""), {})

    def _count_gone(self, prepared: PreparedAnswer, record: AccessRecord, why: str) -> None:
        record.outcome, record.detail, record.sent = "client gone", why, 0
        if not prepared.anew:
            self.tell(prepared, record)
        self._responses.count(record)


def _target_of(scope: Scope) -> bytes:
    query: bytes = scope.get("query_string", b"")
    return raw_path_of(scope) + b"?" + query if query else raw_path_of(scope)


def _record(
    prepared: PreparedAnswer, request_id: bytes, client: str, protocol: str, seconds: float
) -> AccessRecord:
    return AccessRecord(
        request_id=request_id.decode("ascii"),
        client=client,
        protocol=protocol,
        method=prepared.method,
        target=prepared.path,
        status=prepared.status,
        sent=prepared.length,
        seconds=seconds,
        seconds_to_first_byte=seconds,
        outcome="complete",
        origin=prepared.origin,
        verification=prepared.verification,
        cache=prepared.cache,
        length=prepared.length,
    )
