"""The public door: an ASGI application that answers each request and logs it once.

Every fault that can be told is told here, in one place, with the status it carries. Whatever is
raised out of this file after the head was sent makes the server break the body off.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from time import monotonic

from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from proxy.errors import ClientGone, Fault, ObjectChanged, Overloaded
from proxy.flow.budget import SHARE, Budget
from proxy.integrity.verdict import verdict_of
from proxy.observability.access_log import AccessRecord, log_access
from proxy.observability.meters import Meters
from proxy.observability.responses import Responses
from proxy.observability.tracing import Tracing, pass_on
from proxy.semantics.cache_status import CacheReport, cache_status, server_timing, summary
from proxy.semantics.fields import Field
from proxy.semantics.plan import Plan
from proxy.semantics.representation import Span
from proxy.server.delivery import Answer, Site, deliver, deliver_fault
from proxy.server.digesting import has_wish, with_digests
from proxy.server.hot import AGE, REQUEST_ID, client_of, new_request_id
from proxy.server.hot_answers import HotAnswers
from proxy.server.patience import Progress
from proxy.server.prepared import PreparedAnswer
from proxy.server.request import Request, raw_path_of, read_request
from proxy.server.response import send_plan
from proxy.server.zero_copy import taken_since, takes_files

logger = logging.getLogger("headgate")

DEFAULT_BUDGET = 1024 * 1024 * 1024

Lifespan = Callable[[ASGIApp], AbstractAsyncContextManager[None]]


class PublicDoor:
    """Answers requests for a site.

    Attributes:
        site: what is served.
        stall_timeout: seconds after which a client that takes nothing is given up.
        in_flight: how many requests are being answered now.
        responses: follows and counts them.
        hot: what is answered at once, by a server that asks for it or by `__call__`.

    Args:
        prepared: bytes that prepared answers may take; 0: none is kept.
        tracing: makes spans of requests; None: none are made.
        budget: what bodies on their way may hold.
    """

    def __init__(
        self,
        site: Site,
        *,
        stall_timeout: float,
        responses: Responses | None = None,
        prepared: int = 0,
        tracing: Tracing | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.site = site
        self.tracing = tracing
        self.budget = budget or Budget(DEFAULT_BUDGET)
        self.stall_timeout = stall_timeout
        self.responses = responses or Responses(Meters())
        sampler = tracing.sampler if tracing is not None else None
        self.hot = HotAnswers(site, self.responses, prepared, stall_timeout, sampler)
        self.in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; other kinds of scope are refused."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})
            return
        self.in_flight += 1
        try:
            await self._answer(scope, (receive, send))
        finally:
            self.in_flight -= 1

    async def _answer(self, scope: Scope, channel: tuple[Receive, Send]) -> None:
        # Not the event loop's time: uvloop's has whole milliseconds.
        begun, progress = monotonic(), Progress(taken_since=taken_since(scope))
        record = AccessRecord(
            request_id=new_request_id().decode("ascii"),
            client=client_of(scope.get("client")),
            protocol=scope["http_version"],
            method=scope["method"],
            target=raw_path_of(scope),
        )
        transfer = self.responses.begin(record, progress)
        span = self.tracing.begin(scope, record) if self.tracing is not None else None
        try:
            await self._respond(scope, channel, record, progress)
        finally:
            record.status, record.sent = progress.status, progress.sent
            record.seconds = monotonic() - begun
            if progress.started:
                record.seconds_to_first_byte = progress.first_byte - begun
            if span is not None and self.tracing is not None:
                self.tracing.end(span, record)
            self.responses.end(transfer)
            log_access(record)

    async def _respond(
        self, scope: Scope, channel: tuple[Receive, Send], record: AccessRecord, progress: Progress
    ) -> None:
        """Sends an answer. A fault before its head is sent is answered; a later one is raised."""
        request: Request | None = None
        try:
            prepared = self.hot.of(scope)
            if prepared is not None:
                await self._send_prepared(prepared, channel, record, progress)
            else:
                request = read_request(scope, record.request_id, max_target=self.site.max_target)
                if self.tracing is None:
                    pass_on(request.fields, record)
                await self._deliver(request, scope, channel, record, progress)
            record.outcome = "complete"
        except ClientGone as gone:
            record.outcome, record.detail = "client gone", str(gone)
            raise
        except asyncio.CancelledError:
            record.outcome, record.detail = "cut", "the server stopped"
            raise
        except Exception as error:
            fault = self._as_fault(error, record)
            if progress.started:
                raise
            await self._send_fault(request, fault, scope, channel, record, progress)

    async def _send_prepared(
        self,
        prepared: PreparedAnswer,
        channel: tuple[Receive, Send],
        record: AccessRecord,
        progress: Progress,
    ) -> None:
        self.hot.tell(prepared, record)
        plan = Plan(prepared.status, prepared.fields, (prepared.body,) if prepared.body else ())
        extra: tuple[Field, ...] = (_request_id(record),)
        if prepared.age is not None:
            extra = (*extra, _age(prepared.age()))
        await send_plan(plan, None, extra, channel, progress, self.stall_timeout)

    async def _deliver(
        self,
        request: Request,
        scope: Scope,
        channel: tuple[Receive, Send],
        record: AccessRecord,
        progress: Progress,
    ) -> None:
        """Decides on an answer and sends it.

        What is kept about an object can be older than the store. If it turns out that the object
        was replaced, and no byte has been sent, it is opened once more; the second time, or after
        a byte, the fault is the client's to see.

        Raises `ObjectChanged` then, `Overloaded` if there is no memory for a body, and whatever
        deciding and sending raise.
        """
        held = SHARE if request.method == "GET" else 0
        if not self.budget.take(held):
            await self.budget.wait(held)
        try:
            for last in (False, True):
                try:
                    answer = await deliver(self.site, request)
                    needed = answer.plan.length if answer.object is not None else 0
                    if needed < held:
                        self.budget.give_back(held - needed)
                        held = needed
                    await self._send(answer, request, scope, channel, record, progress)
                    return
                except ObjectChanged:
                    if last or progress.started:
                        raise
        finally:
            self.budget.give_back(held)

    async def _send_fault(
        self,
        request: Request | None,
        fault: Fault,
        scope: Scope,
        channel: tuple[Receive, Send],
        record: AccessRecord,
        progress: Progress,
    ) -> None:
        answer = await deliver_fault(self.site, request, record.request_id, fault)
        await self._send(answer, request, scope, channel, record, progress)

    async def _send(
        self,
        answer: Answer,
        request: Request | None,
        scope: Scope,
        channel: tuple[Receive, Send],
        record: AccessRecord,
        progress: Progress,
    ) -> None:
        record.origin = answer.origin
        plan, opened = answer.plan, answer.object
        if opened is not None:
            record.length = plan.length
        fields = request.fields if request is not None else {}
        path = self.hot.path_to_keep(answer, scope)
        kept: list[bytes] | None = None if path is None else []
        try:
            told = (_request_id(record), *await self._about_cache(answer, record))
            extra = partial(self._with_times, answer, told)
            about, by = (plan, opened, answer.subject), channel
            if has_wish(fields):
                digester = self.site.digester
                plan, by = await with_digests(digester, fields, about, scope, channel)
            # What is hashed or kept has to be read.
            lends = by is channel and kept is None and takes_files(scope)
            patience = self.stall_timeout
            await send_plan(plan, opened, extra, by, progress, patience, kept=kept, lends=lends)
            if path is not None and kept is not None:
                self.hot.keep(path, answer, kept)
            self.hot.note_way(answer, scope)
        finally:
            if opened is not None:
                # Of an object that failed, then of its error page: the first says what was wrong.
                record.verification = record.verification or str(verdict_of(opened) or "")
                await opened.aclose()

    async def _about_cache(self, answer: Answer, record: AccessRecord) -> tuple[Field, ...]:
        """What is told of the cache: to the log always, to clients what they need or may know."""
        ask = getattr(answer.object, "cache_report", None)
        if ask is not None:
            report: CacheReport = await ask(_spans_of(answer.plan))
        elif answer.report is not None:
            report = answer.report
        else:
            return ()
        record.cache = summary(report)
        fields: list[Field] = []
        if report.age is not None:
            fields.append(_age(report.age))
        if self.site.tells_cache:
            fields.append((b"cache-status", cache_status(report)))
        return tuple(fields)

    def _with_times(self, answer: Answer, told: tuple[Field, ...]) -> tuple[Field, ...]:
        """Fields, and what the answer took up to its head, where clients may know that: at the
        origin, in the cache, and for being checked."""
        standing = getattr(answer.object, "standing", None)
        if standing is None or not self.site.tells_cache:
            return told
        spent = (
            ("origin", standing.waited),
            ("cache", standing.spent),
            ("verify", standing.verified),
        )
        return (*told, (b"server-timing", server_timing(spent)))

    def _as_fault(self, error: Exception, record: AccessRecord) -> Fault:
        """What the client is told. An error that is no `Fault` is ours: it is logged in full."""
        record.fault = type(error).__name__
        if isinstance(error, Fault):
            is_refused = error.status < 500 or isinstance(error, Overloaded)
            record.outcome = "refused" if is_refused else "fault"
            record.detail = error.detail
            return error
        record.outcome, record.detail = "fault", f"{type(error).__name__}: {error}"
        logger.error("request %s failed unexpectedly", record.request_id, exc_info=error)
        return Fault()


def _spans_of(plan: Plan) -> tuple[Span, ...]:
    return tuple([part for part in plan.parts if isinstance(part, Span)])


def _request_id(record: AccessRecord) -> Field:
    return REQUEST_ID, record.request_id.encode("ascii")


def _age(seconds: int) -> Field:
    return AGE, b"%d" % seconds


def make_app(door: PublicDoor, lifespan: Lifespan) -> ASGIApp:
    """The whole public application: Starlette's router for the lifespan, the door for the rest."""
    router = Router(default=door, lifespan=lifespan, redirect_slashes=False)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # There are no routes: the way through the router would be all there is of it.
        await (router if scope["type"] == "lifespan" else door)(scope, receive, send)

    return app
