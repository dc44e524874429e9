"""Digests of whole objects that were computed once, remembered for as long as there is room.

A store that keeps no SHA-256 of an object makes us hash all of it to know one, which is done when a
client asks for it and the whole body passes anyway. What is kept is of one version: its name
holds the strong validator, so that a replaced object has another name. Nothing is ever removed
because it is stale, only because others were used later.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from proxy.semantics.digests import NOTHING_KNOWN, Algorithm, Known
from proxy.semantics.representation import Representation

# About 450 bytes each, whatever the key's length: 7 MiB for a worker that has hashed so many
# objects whole. An object that falls out costs one more hashing.
MOST_REMEMBERED = 16_384

_NAME_LENGTH = 32


def name_of(origin: str, key: str, representation: Representation) -> bytes | None:
    """The short name of one version of one object; None without a strong validator.

    `key` is what was opened, so that a coding in a file of its own has its own digest.
    """
    etag = representation.etag
    if etag is None or etag.weak:
        return None
    name = hashlib.blake2b(digest_size=_NAME_LENGTH)
    for part in (origin, key, etag.opaque, str(representation.size), representation.version or ""):
        encoded = part.encode("utf-8", "surrogatepass")
        name.update(b"%d:%b" % (len(encoded), encoded))
    return name.digest()


class DigestMemory:
    """A bounded memory of digests; what was used last stays longest.

    `most` is how many versions are remembered. Not for several threads at once.

    Attributes:
        changes: grows whenever something else is remembered than before.
    """

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._digests: OrderedDict[bytes, Known] = OrderedDict()
        self.changes = 0

    def __len__(self) -> int:
        return len(self._digests)

    def known(self, name: bytes) -> Known:
        """What is remembered under a name of `name_of`."""
        found = self._digests.get(name)
        if found is None:
            return NOTHING_KNOWN
        self._digests.move_to_end(name)
        return found

    def remember(self, name: bytes, algorithm: Algorithm, digest: bytes) -> bool:
        """Keeps the digest of a whole body. False, if another one was known.

        Two digests of one version mean that one of the two bodies was corrupt, and not which one:
        then nothing is known of it any more.
        """
        self.changes += 1
        before = self._digests.pop(name, NOTHING_KNOWN)
        if before.get(algorithm, digest) != digest:
            return False
        self._digests[name] = {**before, algorithm: digest}
        if len(self._digests) > self._most:
            self._digests.popitem(last=False)
        return True
