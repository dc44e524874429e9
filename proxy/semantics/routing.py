"""Which mount serves a path, and which rules apply to it: values and pure look-ups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from proxy.semantics.globs import Glob

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Mount:
    """A place in the public tree where an origin's objects appear.

    Attributes:
        path: begins and ends with a slash.
        origin: the origin's name.
        index: the object served for a path that ends in a slash, or None.
        codings: content codings looked for as siblings (`app.js.br`), in the order preferred.
        listing: whether a path that ends in a slash may be listed.
        error_pages: status to key, in this mount.
        source: which of the origin's stacks of layers serves it, where it has several; "" is the
            origin's name.
    """

    path: str
    origin: str
    index: str | None = None
    codings: tuple[str, ...] = ()
    listing: bool = False
    error_pages: dict[int, str] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """What the configuration says of the paths that match; None leaves the matter to others."""

    pattern: Glob
    cache_control: str | None = None
    content_security_policy: str | None = None
    fallback: str | None = None
    download: bool | None = None
    cache_ttl: float | None = None


@dataclass(frozen=True, slots=True)
class Treatment:
    """All rules of one path taken together: for each matter, the first rule that speaks of it.

    Attributes:
        cache_control: sent where the object says nothing of its own.
        content_security_policy: sent with every answer.
        fallback: the public path served instead of a missing object, or None.
        download: whether bodies are offered as downloads.
        cache_ttl: for how many seconds our own cache gives the object again without asking,
            whatever it says of itself; None: as it says.
    """

    cache_control: str | None = None
    content_security_policy: str | None = None
    fallback: str | None = None
    download: bool = False
    cache_ttl: float | None = None


PLAIN = Treatment()


def find_mount(path: str, mounts: Sequence[Mount]) -> Mount | None:
    """The mount with the longest path that `path` lies in. `/a` lies in `/a/`, and is its root."""
    best: Mount | None = None
    for mount in mounts:
        is_in = path.startswith(mount.path) or path == mount.path[:-1]
        if is_in and (best is None or len(mount.path) > len(best.path)):
            best = mount
    return best


def treatment_of(path: str, rules: Sequence[Rule]) -> Treatment:
    """What the rules say of a decoded public path."""
    matching = [rule for rule in rules if rule.pattern.matches(path)]
    if not matching:
        return PLAIN
    return Treatment(
        cache_control=_first([rule.cache_control for rule in matching]),
        content_security_policy=_first([rule.content_security_policy for rule in matching]),
        fallback=_first([rule.fallback for rule in matching]),
        download=next((rule.download for rule in matching if rule.download is not None), False),
        cache_ttl=_first([rule.cache_ttl for rule in matching]),
    )


def _first(values: Sequence[Value | None]) -> Value | None:
    return next((value for value in values if value is not None), None)
