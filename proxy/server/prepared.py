"""A bounded store of small answers that are given again as they are.

An answer is kept when it was made and sent in full, and its origin offers a lease on it: until that
no longer holds, the answer is the one that would be made anew. With a whole answer come the answers
to HEAD and to a client that has this version already. Nothing that fails, nothing that depends on
more than the object and the choosing fields of `proxy.server.hot_requests`, is ever kept.
Why so: docs/decisions/0009-small-answers-are-prepared.md.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy.integrity.digest_memory import DigestMemory, name_of
from proxy.integrity.verdict import Verdict
from proxy.observability import metrics as names
from proxy.observability.hot_tally import Kind, Tally
from proxy.origins.base import Lease, kept_lease
from proxy.semantics.accept import acceptable_codings
from proxy.semantics.digests import read_wishes, repr_digest
from proxy.semantics.fields import Field
from proxy.semantics.plan import make_plan
from proxy.server.delivery import Recipe
from proxy.server.hot import Prepared
from proxy.server.hot_requests import METHODS, Asked, path_of, read_asked

# Bodies above this are read and sent in pieces; what a task costs is little beside them.
MOST_BODY = 64 * 1024
# What a variant takes beside its body, at most: four answers, lease and keys, and their fields as
# pairs and as each protocol writes them. Measured: tests/server/test_prepared.py.
OVERHEAD = 5 * 1024
_COPIES_OF_FIELDS = 8
# What the log says of the cache where it gave the bytes; as of an answer that was not prepared.
FROM_MEMORY = f"{names.CACHE_HIT} (memory)"
# Readings of Accept-Encoding that are remembered; browsers send half a dozen.
_MOST_READINGS = 256

Fields = Sequence[tuple[bytes, bytes]]


class PreparedAnswer(Prepared):
    """A prepared answer, and what the log and the metrics say of it.

    Attributes:
        method, path: what it answers.
        origin, verification, cache, length: as in an access record.
        used: tells the cache that it was given with so many bytes; None where there is no cache.
        verdict: labels of the check of its bytes, or None.
        tallies: where it is counted, by protocol; None before it was given.
        anew: whether its bytes were taken from their origin for this answer (`proxy.server.ways`),
            so that whoever gave them has counted them.
    """

    __slots__ = (
        "anew", "cache", "length", "method", "origin", "path", "tallies", "used", "verdict",
        "verification",
    )  # fmt: skip

    method: str
    path: bytes
    origin: str
    verification: str
    cache: str
    used: Callable[[int], None] | None
    length: int
    verdict: tuple[str, str, str] | None
    tallies: dict[str, Tally] | None
    anew: bool

    def with_body(self, body: bytes, age: Callable[[], int] | None) -> PreparedAnswer:
        """The same answer with a body. It is written once for all that are made of one."""
        made = PreparedAnswer.__new__(PreparedAnswer)
        made.body, made.age = body, age
        made.status, made.fields, made.bodyless = self.status, self.fields, self.bodyless
        made.patience, made.written = self.patience, self.written
        made.method, made.path, made.origin = self.method, self.path, self.origin
        made.length, made.anew, made.used = self.length, self.anew, self.used
        made.verification, made.verdict = self.verification, self.verdict
        made.cache, made.tallies = self.cache, self.tallies
        return made

    def kind(self, protocol: str) -> Kind:
        """What it is counted as."""
        download = self.method == "GET" and self.status == 200
        cache = names.CACHE_HIT if self.cache else ""
        prepared = not self.anew
        return Kind(self.method, self.status, protocol, download, self.verdict, cache, prepared)


@dataclass(slots=True)
class Variant:
    """The answers about one version of one object in one coding.

    Attributes:
        answers: by method; GET is missing when no body was read yet.
        not_modified: likewise, for those who have it.
        tags: the values of If-None-Match that mean this version.
        last_modified: the value of If-Modified-Since that does.
        leases: all must hold.
        digest_name, digest: what Repr-Digest is remembered by, and what it said.
        changes: of the memory of digests, when it said so.
    """

    answers: dict[bytes, PreparedAnswer]
    not_modified: dict[bytes, PreparedAnswer]
    tags: tuple[bytes, ...]
    last_modified: bytes | None
    leases: tuple[Lease, ...]
    digest_name: bytes | None
    digest: bytes | None
    changes: int
    size: int


class _Resource:
    """The variants at one path, by the codings that clients accept."""

    __slots__ = ("codings", "variants")

    def __init__(self, codings: tuple[str, ...]) -> None:
        self.codings = codings
        self.variants: dict[tuple[str, ...], Variant] = {}


@dataclass(frozen=True, slots=True)
class Made:
    """An answer as it was sent: for which path, by which recipe, under which lease.

    `body` is None where none was read.
    """

    path: bytes
    recipe: Recipe
    lease: Lease
    origin: str
    body: bytes | None
    verdict: Verdict | None


class PreparedAnswers:
    """The store. What was asked for last stays longest.

    Args:
        most: bytes that the answers may take.
        max_target: bytes of the longest target that is answered.
        patience: seconds within which a client must have taken an answer.
        memory: what is known of digests.
    """

    def __init__(self, most: int, max_target: int, patience: float, memory: DigestMemory) -> None:
        self._most = most
        self._max_target = max_target
        self._patience = patience
        self._memory = memory
        self._resources: OrderedDict[bytes, _Resource] = OrderedDict()
        self._readings: dict[tuple[bytes | None, tuple[str, ...]], tuple[str, ...]] = {}
        self.size = 0

    def find(self, method: bytes, target: bytes, fields: Fields) -> PreparedAnswer | None:
        """The answer to a request without a body, if there is one and it may be given now."""
        path: bytes | None = target
        resource = self._resources.get(target)
        if resource is None and b"?" in target:
            path = path_of(target, self._max_target)
            resource = self._resources.get(path) if path is not None else None
        if resource is None or path is None or method not in METHODS:
            return None
        asked = read_asked(fields)
        return None if asked is None else self._choose(method, path, resource, asked)

    def _choose(
        self, method: bytes, path: bytes, resource: _Resource, asked: Asked
    ) -> PreparedAnswer | None:
        codings = resource.codings
        accepted = self._accepted(asked.accept_encoding, codings) if codings else ()
        variant = resource.variants.get(accepted)
        if variant is None:
            return None
        if not self._is_current(variant):
            self._drop(path, resource, accepted)
            return None
        self._resources.move_to_end(path)
        if asked.none_match is not None:
            return variant.not_modified[method] if asked.none_match in variant.tags else None
        if asked.modified_since is not None:
            same = asked.modified_since == variant.last_modified
            return variant.not_modified[method] if same else None
        return variant.answers.get(method)

    def takes(self, target: bytes, fields: Fields) -> bytes | None:
        """The path to keep the answer to a GET or HEAD under, or None if it can't be kept."""
        path = path_of(target, self._max_target)
        return path if path is not None and read_asked(fields) is not None else None

    def keep(self, made: Made) -> None:
        """Prepares what an answer was made of, in place of what was kept before."""
        recipe = made.recipe
        leases = [made.lease, *(lease for lease in recipe.absent if lease is not None)]
        if len(leases) != 1 + len(recipe.absent):
            return
        variant = self._variant(made, tuple(leases))
        resource = self._resources.get(made.path)
        if resource is None or resource.codings != recipe.codings:
            self._forget(made.path)
            resource = self._resources[made.path] = _Resource(recipe.codings)
        elif recipe.accepted in resource.variants:
            self.size -= resource.variants[recipe.accepted].size
        resource.variants[recipe.accepted] = variant
        self.size += variant.size
        self._resources.move_to_end(made.path)
        while self.size > self._most:
            self._forget(next(iter(self._resources)))

    # --- what may be given --------------------------------------------------------------------

    def _is_current(self, variant: Variant) -> bool:
        for lease in variant.leases:
            if not lease.holds():
                return False
        if variant.changes != self._memory.changes and variant.digest_name is not None:
            # Somebody asked for digests meanwhile; maybe for this one's.
            known = self._memory.known(variant.digest_name)
            if repr_digest(read_wishes(None), known) != variant.digest:
                return False
            variant.changes = self._memory.changes
        return True

    def _accepted(self, value: bytes | None, codings: tuple[str, ...]) -> tuple[str, ...]:
        accepted = self._readings.get((value, codings))
        if accepted is None:
            text = None if value is None else value.decode("latin-1")
            accepted = acceptable_codings(text, codings).accepted
            if len(self._readings) >= _MOST_READINGS:
                self._readings.clear()
            self._readings[value, codings] = accepted
        return accepted

    def _drop(self, path: bytes, resource: _Resource, accepted: tuple[str, ...]) -> None:
        self.size -= resource.variants.pop(accepted).size
        if not resource.variants:
            del self._resources[path]

    def _forget(self, path: bytes) -> None:
        resource = self._resources.pop(path, None)
        if resource is not None:
            self.size -= sum(variant.size for variant in resource.variants.values())

    # --- preparing ----------------------------------------------------------------------------

    def _variant(self, made: Made, leases: tuple[Lease, ...]) -> Variant:
        recipe = made.recipe
        representation, policy = recipe.representation, recipe.policy
        head = make_plan("HEAD", {}, representation, policy)
        same = make_plan("HEAD", {"if-none-match": "*"}, representation, policy)
        answers = {b"HEAD": self._answer(made, "HEAD", 200, head.fields)}
        if made.body is not None:
            answers[b"GET"] = self._answer(made, "GET", 200, head.fields, made.body)
        etag = representation.etag
        tag = b'"%b"' % etag.opaque.encode("latin-1") if etag is not None else None
        return Variant(
            answers=answers,
            not_modified={
                b"GET": self._answer(made, "GET", 304, same.fields),
                b"HEAD": self._answer(made, "HEAD", 304, same.fields),
            },
            tags=() if tag is None else (tag, b"W/" + tag),
            last_modified=dict(head.fields).get(b"last-modified"),
            leases=leases,
            digest_name=name_of(made.origin, recipe.key, representation),
            digest=policy.repr_digest,
            changes=-1,  # it may have changed since the answer was planned
            size=OVERHEAD
            + _COPIES_OF_FIELDS * sum(len(b"".join(field)) for field in head.fields + same.fields)
            + 4 * len(made.path)
            + len(made.body or b""),
        )

    def _answer(
        self,
        made: Made,
        method: str,
        status: int,
        fields: tuple[Field, ...],
        body: bytes | None = None,
    ) -> PreparedAnswer:
        answer = PreparedAnswer(
            status, fields, body or b"", bodyless=body is None, patience=self._patience
        )
        answer.method, answer.path, answer.origin = method, made.path, made.origin
        answer.length, answer.anew = len(answer.body), False
        answer.verification, answer.verdict, answer.tallies = "", None, None
        answer.cache, answer.used = "", None
        kept = kept_lease(made.lease)
        if kept is not None:
            answer.age, answer.used = kept.age, kept.used
            answer.cache = FROM_MEMORY if answer.length else names.CACHE_HIT
        if body is not None and made.verdict is not None:
            verdict = made.verdict
            answer.verification = str(verdict)
            answer.verdict = (verdict.algorithm or "none", verdict.state, verdict.reason)
        return answer
