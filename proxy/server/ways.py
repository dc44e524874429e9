"""Small answers that are made anew without a task: by the way that led to the one before.

A way is what the application found out when it was called for a path: which object of which origin,
what is known of it, and the head that follows from that. No body is kept. For the next request the
object is taken from its origin anew, through all layers (`proxy.origins.whole`), and if it is still
the same version, its bytes and that head are the answer. What is not so simple goes the long way:
fields that could mean something (`proxy.server.hot_requests`), codings, bytes that are not at hand.
Why so: docs/decisions/0016-small-answers-are-made-without-a-task.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proxy.integrity.digest_memory import DigestMemory, name_of
from proxy.integrity.verdict import verdict_of
from proxy.origins.whole import Whole, taker_of
from proxy.semantics.digests import NOTHING_KNOWN
from proxy.semantics.plan import Plan
from proxy.semantics.representation import Span
from proxy.server.delivery import Recipe
from proxy.server.hot_requests import PLAIN, path_of, read_asked
from proxy.server.places import Place, Planned
from proxy.server.prepared import FROM_MEMORY, PreparedAnswer
from proxy.server.zero_copy import FEWEST_LENT

# Ways that are remembered, about 3 kB each. The first that was noted goes first.
MOST_WAYS: Final = 1024
# What clients say to caches: it is for the application to heed, where that is configured.
_DEMANDS: Final = frozenset({b"cache-control", b"pragma"})

Fields = Sequence[tuple[bytes, bytes]]


class Way:
    """From a path to an answer, for requests that are plain.

    Attributes:
        recipe: what the answer's plan was made of.
        answer: the answer without its body.
    """

    __slots__ = (
        "_changes", "_key", "_known", "_name", "_take", "_verdict", "_want", "answer", "recipe",
    )  # fmt: skip

    def __init__(
        self, path: bytes, place: Place, recipe: Recipe, planned: Planned, patience: float
    ) -> None:
        self.recipe = recipe
        self.answer = _without_body(path, place, planned.plan, patience)
        self._key, self._want, self._take = place.key, place.want, taker_of(place.origin)
        self._verdict: object = None
        # The digests that the plan was made with, and as of which state of the memory.
        self._known, self._changes = planned.known, -1
        self._name = name_of(place.mount.origin, recipe.key, recipe.representation)

    def is_current(self, memory: DigestMemory) -> bool:
        """Whether the plan is still what would be made of the object: no digest of it was learnt
        or forgotten since."""
        if self._changes != memory.changes:
            known = memory.known(self._name) if self._name is not None else NOTHING_KNOWN
            if known != self._known:
                return False
            self._changes = memory.changes
        return True

    def take(self) -> Whole | None:
        """The object, if it is at hand, and the version that the answer was planned for."""
        take = self._take
        if take is None:
            return None
        return take(self._key, self._want, self.recipe.representation, sealed=False)

    def answer_of(self, whole: Whole) -> PreparedAnswer:
        """The answer with these bytes."""
        answer = self.answer
        if whole.verdict is not self._verdict:  # mostly it is the one before
            self._verdict, answer.verification = whole.verdict, str(verdict_of(whole) or "")
        cache = FROM_MEMORY if whole.age is not None else ""
        if cache != answer.cache:
            answer.cache, answer.tallies = cache, None
        return answer.with_body(whole.body, whole.age)


def _without_body(path: bytes, place: Place, plan: Plan, patience: float) -> PreparedAnswer:
    answer = PreparedAnswer(plan.status, plan.fields, patience=patience)
    answer.method, answer.path, answer.origin = "GET", path, place.mount.origin
    answer.length, answer.anew = plan.length, True
    answer.verification, answer.cache = "", ""
    answer.used = answer.verdict = answer.tallies = None
    return answer


class Ways:
    """The ways of a site, by the raw paths that they begin with.

    Args:
        max_target: bytes of the longest target that is answered.
        memory: what is known of digests.
    """

    def __init__(self, max_target: int, memory: DigestMemory) -> None:
        self._max_target = max_target
        self._memory = memory
        self._ways: dict[bytes, Way] = {}

    def __len__(self) -> int:
        return len(self._ways)

    def find(self, method: bytes, target: bytes, fields: Fields) -> Way | None:
        """The way to the answer to a GET without a body, if there is one."""
        way = self._ways.get(target)
        if way is None and b"?" in target:
            path = path_of(target, self._max_target)
            way = self._ways.get(path) if path is not None else None
        if way is None or method != b"GET":
            return None
        asked = read_asked(fields)
        if asked is None or asked[1:] != PLAIN[1:]:  # no coding is looked for
            return None
        if not way.is_current(self._memory) or any(name in _DEMANDS for name, _ in fields):
            return None
        return way

    def takes(self, target: bytes, recipe: Recipe, plan: Plan) -> Place | None:
        """The place of an answer that is yet to be sent, if its way is worth noting."""
        place, size = recipe.place, recipe.representation.size
        if place is None or place.planned is None or place.planned.plan is not plan:
            return None  # it is not what a plain request would be answered
        small = plan.status == 200 and plan.parts == (Span(0, size),) and size < FEWEST_LENT
        if not small or place.mount.codings or taker_of(place.origin) is None:
            return None
        way = self._ways.get(target)
        return place if way is None or way.answer.fields is not plan.fields else None

    def note(self, path: bytes, way: Way) -> None:
        """Remembers a way in place of one that began there before."""
        self._ways.pop(path, None)
        self._ways[path] = way
        if len(self._ways) > MOST_WAYS:
            del self._ways[next(iter(self._ways))]
