"""An object that goes past the cache, since it may not be kept: its origin's, with a report."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.cache.rules.standing import Standing
from proxy.origins.base import OpenObject
from proxy.semantics.cache_status import CacheReport
from proxy.semantics.representation import Span


class PassedObject:
    """As the object it is given; whoever opened it calls `aclose`.

    It has no slots: to `isinstance` with a protocol, one that is not set is there all the same.
    """

    def __init__(self, opened: OpenObject) -> None:
        self.representation = opened.representation
        self.read = opened.read
        self.aclose = opened.aclose
        part_sizes = getattr(opened, "part_sizes", None)
        if part_sizes is not None:
            self.part_sizes = part_sizes
        part_sums = getattr(opened, "part_sums", None)
        if part_sums is not None:
            self.part_sums = part_sums
        self.standing = Standing("passed")

    async def cache_report(self, spans: Sequence[Span]) -> CacheReport:
        """What the cache did: nothing."""
        del spans
        return CacheReport(fwd="bypass")
