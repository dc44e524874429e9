"""What a client would rather have: Accept and Accept-Encoding (RFC 9110 §12.4.2, §12.5.1, §12.5.3).

A client's list is advice, so nothing here raises: an element that is malformed is dropped, and
a field that is longer than `MAX_FIELD_LENGTH` or has no usable element counts as absent.
Everything is linear in the length of the field. Where a client names the same thing twice, the
first time counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

# Browsers send 150 bytes at most. What is longer than this is no list of preferences.
MAX_FIELD_LENGTH = 4096

_TCHARS = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_NAME = re.compile(rf"{_TCHARS}(?:/{_TCHARS})?")
_PARAMETER = re.compile(rf"({_TCHARS})=({_TCHARS}|{_QUOTED})")
_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
# What stands between two separators. A quoted string may hold one; an open one runs to the end.
# The alternatives begin with different characters, so there is nothing to backtrack into.
_BETWEEN = {
    mark: re.compile(rf'(?:[^"{mark}]|"(?:[^"\\]|\\.)*(?:"|\\?\Z))*', re.DOTALL) for mark in ",;"
}


class Weighted(NamedTuple):
    """One element of a list of preferences.

    Attributes:
        name: a coding, or a media range such as `text/*`; in lower case.
        parameters: names in lower case, values as they mean (without quotes), in order.
        weight: the quality in thousandths, 0 to 1000; 1000 where the client gave none.
    """

    name: str
    parameters: tuple[tuple[str, str], ...] = ()
    weight: int = 1000


class Codings(NamedTuple):
    """What Accept-Encoding means for our offers.

    Attributes:
        accepted: the offers the client takes as gladly as identity or more so, best first. An
            offer that it weighs below an identity it has named is left out: identity is always
            at hand, and it asked for that.
        identity: whether the bytes may be sent without any coding.
    """

    accepted: tuple[str, ...]
    identity: bool


def parse_weighted(value: str | None) -> tuple[Weighted, ...]:
    """Reads a list of preferences in the client's own order, without its malformed elements.

    A parameter named "q" is the weight wherever it stands (§12.4.2, §12.5.1).
    """
    if value is None or len(value) > MAX_FIELD_LENGTH:
        return ()
    elements = (_element(text) for text in _BETWEEN[","].findall(value))
    return tuple(element for element in elements if element is not None)


def preferred_media_type(accept: str | None, offers: Sequence[str]) -> str | None:
    """The offer that suits the client best, or None if it takes none of them (§12.5.1).

    For each offer the most specific range decides. Among offers of equal weight, one that the
    client named goes before one that only `*/*` covers, and then our own order counts. An offer
    may carry parameters: "text/html; charset=utf-8" is met by a range with or without them.
    """
    ranges = [one for one in parse_weighted(accept) if _is_media_range(one.name)]
    if not ranges:
        return offers[0] if offers else None
    best, best_rank = None, (0, (-1, 0))
    for offer in offers:
        rank = _rank(offer, ranges)
        if rank > best_rank and rank[0]:
            best, best_rank = offer, rank
    return best


def acceptable_codings(accept_encoding: str | None, offers: Sequence[str]) -> Codings:
    """Which of our content codings the client takes (§12.5.3).

    Without the field any coding would be acceptable, but who sends none mostly understands none:
    nothing but identity is used then.
    """
    weights: dict[str, int] = {}
    for one in parse_weighted(accept_encoding):
        weights.setdefault("gzip" if one.name == "x-gzip" else one.name, one.weight)
    rest = weights.get("*", 0)
    floor = max(1, weights.get("identity", 1))
    accepted = [offer for offer in offers if weights.get(offer.lower(), rest) >= floor]
    accepted.sort(key=lambda offer: -weights.get(offer.lower(), rest))
    identity = weights.get("identity", weights.get("*", 1)) > 0
    return Codings(tuple(accepted), identity)


def _element(text: str) -> Weighted | None:
    name, *rest = _BETWEEN[";"].findall(text)
    name = name.strip(" \t")
    if not _NAME.fullmatch(name):
        return None
    parameters: list[tuple[str, str]] = []
    weights: list[str] = []
    for part in filter(None, (piece.strip(" \t") for piece in rest)):
        found = _PARAMETER.fullmatch(part)
        if found is None:
            return None
        if found[1].lower() == "q":
            weights.append(found[2])
        else:
            parameters.append((found[1].lower(), _unquoted(found[2])))
    if len(weights) > 1 or not all(map(_WEIGHT.fullmatch, weights)):
        return None
    return Weighted(name.lower(), tuple(parameters), _thousandths(*weights))


def _thousandths(weight: str = "1") -> int:
    whole, _, fraction = weight.partition(".")
    return int(whole + fraction.ljust(3, "0"))


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def _is_media_range(token: str) -> bool:
    kind, slash, subtype = token.partition("/")
    return slash == "/" and (kind != "*" or subtype == "*")


def _rank(offer: str, ranges: Sequence[Weighted]) -> tuple[int, tuple[int, int]]:
    """The weight of the most specific range that covers the offer, and how specific it is."""
    offered = parse_weighted(offer)[0]
    weight, best = 0, (-1, 0)
    for one in ranges:
        specific = _specificity(offered, one)
        if specific is not None and specific > best:
            weight, best = one.weight, specific
    return weight, best


def _specificity(offered: Weighted, one: Weighted) -> tuple[int, int] | None:
    """How narrowly a range covers an offer: by type, then by parameters; None: not at all."""
    kind = offered.name.partition("/")[0]
    level = ("*/*", f"{kind}/*", offered.name)
    if one.name not in level or not _folded(one.parameters) <= _folded(offered.parameters):
        return None
    return level.index(one.name), len(one.parameters)


def _folded(parameters: tuple[tuple[str, str], ...]) -> set[tuple[str, str]]:
    return {(name, value.lower()) for name, value in parameters}
