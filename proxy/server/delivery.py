"""From a request to an answer: find the mount, open the object, plan.

This file only puts the parts together. What an answer says is decided in `proxy.semantics`,
how bytes are got in `proxy.origins`, how pages look in `proxy.pages`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from proxy.errors import Fault, MethodNotAllowed, NotFound
from proxy.origins.base import (
    NO_BODY,
    USUAL_TERMS,
    WHOLE,
    Lease,
    Lister,
    OpenObject,
    Origin,
    Want,
)
from proxy.pages.listing import Listing, render_listing
from proxy.pages.problems import render_problem
from proxy.pages.style import CONTENT_SECURITY_POLICY
from proxy.semantics.cache_status import CacheReport
from proxy.semantics.digests import read_wishes, repr_digest
from proxy.semantics.fields import Field
from proxy.semantics.freshness import NO_DEMANDS, Demands, Terms, read_demands
from proxy.semantics.keys import encode_path
from proxy.semantics.plan import Plan, Policy, is_plain, make_plan, plan_error_page
from proxy.semantics.ranges import parse_ranges
from proxy.semantics.representation import Representation
from proxy.semantics.routing import Mount, Rule
from proxy.server.digesting import NO_SUBJECT, Digester, Subject, has_wish
from proxy.server.negotiation import open_negotiated
from proxy.server.places import Place, Places, Planned
from proxy.server.request import Request

ALLOWED_METHODS = ("GET", "HEAD", "OPTIONS")
_ALLOW: Field = (b"allow", ", ".join(ALLOWED_METHODS).encode())


@dataclass(frozen=True, slots=True)
class Site:
    """All that is served: the public tree, its rules, and the origins behind it.

    `origins` are by the mounts' `source`, or by their `origin` where that is "". `terms` are what
    a cache goes by where no rule says otherwise, and `tells_cache` whether clients are told what
    it did.
    """

    mounts: Sequence[Mount]
    rules: Sequence[Rule]
    origins: Mapping[str, Origin]
    max_ranges: int = 16
    max_overlapping_ranges: int = 2
    max_target: int = 8192
    listing_page: int = 1000
    digester: Digester = field(default_factory=Digester)
    terms: Terms = USUAL_TERMS
    tells_cache: bool = False
    places: Places = field(init=False)

    def __post_init__(self) -> None:
        places = Places(self.mounts, self.rules, self.origins, self.terms)
        object.__setattr__(self, "places", places)


# Neither is frozen, though nobody changes one: they are made for each request, and that would take
# three times as long.
@dataclass(slots=True)
class Recipe:
    """All that an answer with an object depends on, but for the request's preconditions and range.

    Attributes:
        key: what was opened.
        codings: those the mount looks for; `accepted`, those of them the client takes.
        absent: leases of the siblings that were not there; None in place of one that has none.
        place: where the object was looked for.
    """

    key: str
    representation: Representation
    policy: Policy
    codings: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    absent: tuple[Lease | None, ...] = ()
    place: Place | None = None


@dataclass(slots=True)
class Answer:
    """A plan, and the object its spans are read from. Whoever has it closes the object.

    `subject` is that object for `proxy.server.digesting`, `recipe` for `proxy.server.prepared`.
    `report` is what a cache did where there is no object that tells.
    """

    plan: Plan
    object: OpenObject | None = None
    origin: str = ""
    subject: Subject = NO_SUBJECT
    recipe: Recipe | None = None
    report: CacheReport | None = None


async def deliver(site: Site, request: Request) -> Answer:
    """The answer to a request; raises a `Fault` where there is none."""
    if request.method == "OPTIONS":
        return Answer(Plan(204, (_ALLOW,)))
    if request.method not in ALLOWED_METHODS:
        raise MethodNotAllowed(request.method)
    place = site.places.find(request.path)
    if request.path == place.mount.path[:-1]:
        return _redirect_into(place.mount.path[:-1])
    if place.key == "" or place.key.endswith("/"):
        return await _deliver_folder(site, request, place)
    try:
        answer = await _deliver_object(site, request, place)
    except NotFound as missing:
        return await _deliver_instead(site, request, place, missing)
    site.places.keep(request.path, place)
    return answer


# --- objects ------------------------------------------------------------------------------------


async def _deliver_object(site: Site, request: Request, place: Place) -> Answer:
    want = _want(request, place)
    negotiated = await open_negotiated(
        place.origin, place.key, place.mount.codings, request.fields, want
    )
    opened, key = negotiated.opened, negotiated.key
    try:
        fields, representation = request.fields, opened.representation
        subject = site.digester.subject(place.mount.origin, key, representation, fields)
        *_, policy, plan = _planned(site, request, place, representation, subject)
    except BaseException:
        await opened.aclose()
        raise
    accepted, absent = negotiated.accepted, negotiated.absent
    recipe = Recipe(key, representation, policy, place.mount.codings, accepted, absent, place)
    return Answer(_with_problem(plan, request), opened, place.mount.origin, subject, recipe)


def _planned(
    site: Site,
    request: Request,
    place: Place,
    representation: Representation,
    subject: Subject,
) -> Planned:
    """The plan, which for plain requests is the one before as long as the object is the same.
    Others have much in common with it."""
    fields, known = request.fields, subject.known
    if request.query or has_wish(fields):
        policy = _policy(site, request, place, subject)
        plan = make_plan(request.method, fields, representation, policy)
        return Planned(representation, known, policy, plan)
    usual = place.plan_for(representation, known)
    if usual is None:
        policy = _policy(site, request, place, subject)
        plan = make_plan("GET", {}, representation, policy)
        usual = place.planned = Planned(representation, known, policy, plan)
    if is_plain(request.method, fields):
        return usual
    policy = usual.policy
    if "," in fields.get("range", ""):  # each multipart answer has a boundary of its own
        policy = replace(policy, boundary=request.id)
    plan = make_plan(request.method, fields, representation, policy, usual.plan)
    return Planned(representation, known, policy, plan)


def _want(request: Request, place: Place) -> Want:
    """What will most likely be read. A wrong guess costs a request, never a wrong byte."""
    fields, demands = request.fields, _demands(request.fields)
    if demands is NO_DEMANDS and is_plain(request.method, fields):
        return place.want
    want = place.want if demands is NO_DEMANDS else replace(place.want, demands=demands)
    if request.method == "HEAD":
        return replace(want, body=False, checksums=True)
    if "if-none-match" in fields or "if-modified-since" in fields:
        return replace(want, body=False)
    ranges = parse_ranges(fields.get("range"))
    if ranges and "want-repr-digest" in fields:
        # Stores tell the checksum of the whole when asked for no part of it.
        return replace(want, body=False, checksums=True)
    return replace(want, first=ranges[0]) if ranges else want


def _demands(fields: Mapping[str, str]) -> Demands:
    """What the client says to caches. Ours heeds it where it is configured to."""
    if "cache-control" not in fields and "pragma" not in fields:
        return NO_DEMANDS
    return read_demands(fields.get("cache-control"), fields.get("pragma"))


def _policy(site: Site, request: Request, place: Place, subject: Subject = NO_SUBJECT) -> Policy:
    wishes = read_wishes(request.fields.get("want-repr-digest"))
    download = request.query.get("download", "" if place.treatment.download else None)
    return Policy(
        cache_control=place.treatment.cache_control,
        content_security_policy=place.treatment.content_security_policy,
        varies_by_coding=bool(place.mount.codings),
        download=download,
        name=place.key.rpartition("/")[2],
        max_ranges=site.max_ranges,
        max_overlapping=site.max_overlapping_ranges,
        boundary=request.id,
        repr_digest=repr_digest(wishes, subject.known),
    )


# --- what stands in for an object ---------------------------------------------------------------


async def _deliver_folder(site: Site, request: Request, place: Place) -> Answer:
    """A path that ends in a slash is never an object: its index, its listing, or 404."""
    mount = place.mount
    if mount.index is not None:
        try:
            answer = await _deliver_object(site, request, place.of_index(mount.index))
        except NotFound:
            if not mount.listing:
                return await _deliver_instead(site, request, place)
        else:
            site.places.keep(request.path, place)
            return answer
    if mount.listing:
        return await _deliver_listing(site, request, place)
    return await _deliver_instead(site, request, place)


async def _deliver_instead(
    site: Site, request: Request, place: Place, missing: NotFound | None = None
) -> Answer:
    """A missing object: a folder of that name, or the fallback of a single-page application."""
    if place.key and not place.key.endswith("/") and await _is_folder(place):
        return _redirect_into(place.key)
    fallback = place.treatment.fallback
    if fallback is None or fallback == request.path:
        fault = NotFound(f"no {place.key!r} in {place.mount.origin}")
        fault.cache_report = missing.cache_report if missing is not None else None
        raise fault
    there = site.places.find(fallback)
    there = replace(there, treatment=place.treatment, want=place.want, planned=None)
    answer = await _deliver_object(site, request, there)
    return replace(answer, recipe=None)  # it depends on what is not there, too


def _redirect_into(folder: str) -> Answer:
    """To the same path with a slash. Relative, so that no path can make it lead to another host."""
    location = f"./{encode_path(folder.rpartition('/')[2])}/".encode("ascii")
    return Answer(Plan(308, ((b"location", location), (b"content-length", b"0"))))


async def _is_folder(place: Place) -> bool:
    if place.mount.index is not None:
        try:
            index = await place.origin.open(f"{place.key}/{place.mount.index}", NO_BODY)
        except NotFound:
            pass
        else:
            await index.aclose()
            return True
    if not place.mount.listing or not isinstance(place.origin, Lister):
        return False
    page = await place.origin.list(f"{place.key}/", None, 1)
    return bool(page.entries)


async def _deliver_listing(site: Site, request: Request, place: Place) -> Answer:
    after = request.query.get("after")
    if not isinstance(place.origin, Lister):
        raise NotFound("this origin can't list")
    page = await place.origin.list(place.key, after, site.listing_page)
    if not page.entries and place.key and after is None:
        return await _deliver_instead(site, request, replace(place, mount=_unlisted(place.mount)))
    listing = Listing(
        path=request.path,
        page=page,
        next_link=None if page.after is None else f"?after={quote(page.after, safe='')}",
        parent_link=None if place.key == "" else "../",
        top=place.mount.path,
    )
    # A thousand entries take several milliseconds: not on the event loop.
    rendered = await asyncio.to_thread(render_listing, request.fields.get("accept"), listing)
    fields, body = _page_of_ours(*rendered)
    fields = (*fields, (b"cache-control", b"no-cache"))
    return Answer(Plan(200, fields, (body,) if request.method == "GET" else ()))


def _unlisted(mount: Mount) -> Mount:
    return replace(mount, listing=False)


# --- errors -------------------------------------------------------------------------------------


async def deliver_fault(
    site: Site, request: Request | None, request_id: str, fault: Fault
) -> Answer:
    """The answer to a request that failed: the operator's page for its status, or a short body.

    `request` is None where not even the target could be read.
    """
    if request is not None and request.method in ("GET", "HEAD"):
        page = await _error_page(site, request, fault)
        if page is not None:
            return page
    accept = request.fields.get("accept") if request is not None else None
    plan = _problem(fault.status, fault.said, accept, request_id)
    extra: list[Field] = [_ALLOW] if isinstance(fault, MethodNotAllowed) else []
    if fault.retry_after is not None:
        extra.append((b"retry-after", b"%d" % fault.retry_after))
    parts = () if request is not None and request.method == "HEAD" else plan.parts
    told = fault.cache_report if isinstance(fault.cache_report, CacheReport) else None
    return Answer(replace(plan, fields=(*plan.fields, *extra), parts=parts), report=told)


async def _error_page(site: Site, request: Request, fault: Fault) -> Answer | None:
    """The page that the mount names for this status; None if there is none or it can't be had."""
    try:
        place = site.places.find(request.path)
        key = place.mount.error_pages.get(fault.status)
        if key is None:
            return None
        want = WHOLE if request.method == "GET" else NO_BODY
        page = await place.origin.open(key, want)
    except Fault:
        return None
    plan = plan_error_page(
        request.method, fault.status, page.representation, _policy(site, request, place)
    )
    return Answer(plan, page, place.mount.origin)


def _with_problem(plan: Plan, request: Request) -> Plan:
    """412 and 416 get a short body like every other error, beside their own fields."""
    if plan.status < 400:
        return plan
    fault = _SAID[plan.status]
    problem = _problem(plan.status, fault, request.fields.get("accept"), request.id)
    own = tuple(field for field in plan.fields if field not in problem.fields)
    return Plan(plan.status, problem.fields + own, problem.parts if request.method == "GET" else ())


_SAID = {
    412: "The file is not the version that was asked for.",
    416: "The file does not reach that far.",
}


def _problem(status: int, said: str, accept: str | None, request_id: str) -> Plan:
    fields, body = _page_of_ours(*render_problem(accept, status, said, request_id))
    return Plan(status, (*fields, (b"cache-control", b"no-store")), (body,))


def _page_of_ours(media_type: str, body: bytes) -> tuple[tuple[Field, ...], bytes]:
    """A page that was chosen by Accept: its fields and its body."""
    fields: list[Field] = [
        (b"content-length", b"%d" % len(body)),
        (b"content-type", media_type.encode("ascii")),
        (b"vary", b"accept"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if media_type.startswith("text/html"):
        fields.append((b"content-security-policy", CONTENT_SECURITY_POLICY.encode("ascii")))
    return tuple(fields), body
