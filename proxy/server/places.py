"""Where requests lead: from a path to a mount, a key, and what the rules say.

All of that is the same for each request of a path, and so is the plan of a plain one as long as the
object is the same. Both are remembered for paths that led to an object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from proxy.errors import NotFound
from proxy.origins.base import Origin, Want
from proxy.semantics.digests import Known
from proxy.semantics.freshness import Terms
from proxy.semantics.keys import key_below
from proxy.semantics.plan import Plan, Policy
from proxy.semantics.representation import Representation
from proxy.semantics.routing import Mount, Rule, Treatment, find_mount, treatment_of

# About 2 kB each, with what is known of the object; a path has 8 KiB at most.
_MOST = 1024


class Planned(NamedTuple):
    """The plan of a plain request for the whole of an object, and what it was made of: what is
    known of the object, and its digests."""

    representation: Representation
    known: Known
    policy: Policy
    plan: Plan


@dataclass(slots=True, eq=False)
class Place:
    """Where a path leads: the key below a mount, and what the rules say of the path.

    Attributes:
        want: what a plain request wants of the origin.
        planned: the last plan that was made for one.
        index: the place of the folder's index, where that was looked for.
    """

    mount: Mount
    origin: Origin
    key: str
    treatment: Treatment
    want: Want
    planned: Planned | None = None
    index: Place | None = None

    def with_key(self, key: str) -> Place:
        """Another object, under the same rules."""
        return replace(self, key=key, planned=None, index=None)

    def plan_for(self, representation: Representation, known: Known) -> Planned | None:
        """The plan of a plain request, if one was made for just this."""
        planned = self.planned
        if planned is None or planned.representation is not representation:
            return None
        return planned if planned.known == known else None

    def of_index(self, name: str) -> Place:
        """The index of the folder that this is."""
        if self.index is None:
            self.index = self.with_key(self.key + name)
        return self.index


class Places:
    """The places of a site, by their paths. `terms` are those where no rule says otherwise."""

    def __init__(
        self,
        mounts: Sequence[Mount],
        rules: Sequence[Rule],
        origins: Mapping[str, Origin],
        terms: Terms,
    ) -> None:
        self._mounts, self._rules, self._origins, self._terms = mounts, rules, origins, terms
        self._known: dict[str, Place] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def find(self, path: str) -> Place:
        """Where a path leads; raises `NotFound` where no mount serves it."""
        return self._known.get(path) or self._found(path)

    def _found(self, path: str) -> Place:
        mount = find_mount(path, self._mounts)
        if mount is None:
            raise NotFound(f"no mount for {path!r}")
        key = key_below(path, mount.path)
        origin = self._origins[mount.source or mount.origin]
        treatment = treatment_of(path, self._rules)
        return Place(mount, origin, key, treatment, _want_on(_terms_of(treatment, self._terms)))

    def keep(self, path: str, place: Place) -> None:
        """Remembers a place that led to an object; the first that was kept goes first."""
        if path not in self._known:
            self._known[path] = place
            if len(self._known) > _MOST:
                del self._known[next(iter(self._known))]


def _terms_of(treatment: Treatment, usual: Terms) -> Terms:
    """For how long a cache may give the object again, as far as the path's rules say."""
    if treatment.cache_ttl is None and treatment.cache_control is None:
        return usual
    return replace(usual, ttl=treatment.cache_ttl, cache_control=treatment.cache_control)


# One value for all paths under the same rule, so that layers see at a glance that it is the same.
@lru_cache(64)
def _want_on(terms: Terms) -> Want:
    return Want(terms=terms)
