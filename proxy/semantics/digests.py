"""Digest fields (RFC 9530): which digests a client wants, and which known ones it gets.

`Repr-Digest` is of the whole selected representation, whatever part of it is sent; it is the same
on 200, 206, 304 and HEAD. `Content-Digest` is of the bytes of one message. A wish is advice (§4):
nothing here raises, a malformed field counts as absent, an unknown algorithm is passed over.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final, Literal, get_args

from proxy.semantics.representation import Representation
from proxy.semantics.structured import read_integers

# The active ones of the registry (§7.2); the others don't withstand an adversary.
Algorithm = Literal["sha-256", "sha-512"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = get_args(Algorithm)

Known = Mapping[Algorithm, bytes]
Wishes = Mapping[Algorithm, int]

NOTHING_KNOWN: Final[Known] = {}
_NO_WISHES: Final[Wishes] = {}
_HIGHEST_WEIGHT = 10


def read_wishes(value: str | None) -> Wishes:
    """Want-Repr-Digest or Want-Content-Digest (§4): weights 1 to 10, or 0 for "not acceptable".

    Empty without the field. A member that is no integer from 0 to 10 is passed over.
    """
    if value is None:
        return _NO_WISHES
    members = read_integers(value) or {}
    found: dict[Algorithm, int] = {}
    for algorithm in ALGORITHMS:
        weight = members.get(algorithm)
        if weight is not None and 0 <= weight <= _HIGHEST_WEIGHT:
            found[algorithm] = weight
    return found


def wanted_of(wishes: Wishes) -> tuple[Algorithm, ...]:
    """The algorithms that are wanted, best first; SHA-256 goes before an equal one."""
    wanted = [algorithm for algorithm in ALGORITHMS if wishes.get(algorithm)]
    return tuple(sorted(wanted, key=lambda algorithm: -wishes[algorithm]))


def known_to_store(representation: Representation) -> Known:
    """What the store's checksums say of the whole; a checksum of checksums says nothing of it."""
    for checksum in representation.checksums:
        if checksum.algorithm == "sha256" and not checksum.composite:
            return {"sha-256": checksum.value}
    return NOTHING_KNOWN


def repr_digest(wishes: Wishes, known: Known) -> bytes | None:
    """Repr-Digest, or None if there is none to send.

    It may be sent unasked (§3), and another one than was wanted (§4): the best that is wanted and
    known, else all that are known, but none the client has called not acceptable.
    """
    if not known:
        return None
    for algorithm in wanted_of(wishes):
        if algorithm in known:
            return field_value({algorithm: known[algorithm]})
    allowed = {key: value for key, value in known.items() if wishes.get(key) != 0}
    return field_value(allowed) if allowed else None


def field_value(digests: Known) -> bytes:
    """A Dictionary of Byte Sequences (RFC 9651 §4.1.2, §4.1.8), SHA-256 first."""
    return b", ".join(
        b"%b=:%b:" % (algorithm.encode("ascii"), base64.b64encode(digests[algorithm]))
        for algorithm in ALGORITHMS
        if algorithm in digests
    )
