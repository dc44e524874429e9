"""Which requests may be answered with what was prepared: those of which nothing is unknown.

A field counts when it is named here: as one that changes no answer, or as one that chooses among
the prepared ones. Whoever makes an answer depend on another field has to look for it here; a test
holds the fields that are read anywhere against the first kind. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

METHODS = frozenset({b"GET", b"HEAD"})

# What browsers, proxies and scripts send, and what changes none of our answers.
_WITHOUT_EFFECT = frozenset(
    b"accept accept-charset accept-language cache-control cdn-loop connection cookie dnt "
    b"early-data forwarded from host keep-alive origin pragma priority purpose referer save-data "
    b"true-client-ip upgrade-insecure-requests user-agent via x-correlation-id x-forwarded-for "
    b"x-forwarded-host x-forwarded-port x-forwarded-proto x-forwarded-server x-purpose x-real-ip "
    b"x-request-id x-requested-with".split()
)
_PREFIX_WITHOUT_EFFECT = b"sec-"
# Known not to matter from their first sight on. Bounded, since clients choose names.
_seen: set[bytes] = set(_WITHOUT_EFFECT)
_MOST_SEEN = 256


class Asked(NamedTuple):
    """What chooses among prepared answers: values as they were sent, or None."""

    accept_encoding: bytes | None = None
    none_match: bytes | None = None
    modified_since: bytes | None = None


PLAIN = Asked()


def read_asked(fields: Sequence[tuple[bytes, bytes]]) -> Asked | None:
    """What a request's fields choose; None where any of them could mean something else."""
    others = [field for field in fields if field[0] not in _seen]
    return _read_others(others) if others else PLAIN


def _read_others(others: Sequence[tuple[bytes, bytes]]) -> Asked | None:
    found: dict[bytes, bytes] = {}
    for name, value in others:
        if name in _CHOOSE and name not in found:
            found[name] = value
        elif not has_no_effect(name, value):
            return None
    return Asked(*map(found.get, _CHOOSE))


_CHOOSE = (b"accept-encoding", b"if-none-match", b"if-modified-since")


def has_no_effect(name: bytes, value: bytes) -> bool:
    """Whether a field changes no answer."""
    if name in _WITHOUT_EFFECT or name.startswith(_PREFIX_WITHOUT_EFFECT):
        if len(_seen) < _MOST_SEEN:
            _seen.add(name)
        return True
    # Firefox says so with every request; it counts only together with a wish for a digest.
    return name == b"te" and value == b"trailers"


def path_of(target: bytes, most: int) -> bytes | None:
    """The path of a target whose query changes nothing; None if it does, or could.

    `most`: bytes of the longest target that is answered. Only `download` means something in the
    query of an object.
    """
    path, _, query = target.partition(b"?")
    if query and (b"download" in query or b"%" in query or b"+" in query):
        return None
    return path if len(path) + len(query) <= most else None
