"""Names of what is kept: by hash, so that no key can lead out of the directory or collide.

Pure. The whole key stands in each file beside and is compared, so that a name is a way to look, not
a proof.

    ab/ab12….head                       what is known of an object
    ab/ab12….0f3e….17                   slice 17 of one version of it
    tmp/ab12….open                      held locked by who asks the origin about the object
    tmp/ab12….0f3e….17                  held locked by who fills the slice
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from proxy.semantics.representation import Representation

HEAD = ".head"
OPENING = ".open"


# Hashing takes longer than all else that finds an object that is known.
@lru_cache(1024)
def object_name(origin: str, key: str) -> str:
    """32 hexadecimal digits for an origin's key."""
    return _hash((origin, key), 16)


def version_name(representation: Representation, width: int) -> str:
    """16 hexadecimal digits for a version, and the width of the slices it is cut into."""
    tag = representation.etag
    parts = (str(tag or ""), representation.version or "", str(representation.size), str(width))
    return _hash(parts, 8)


def slice_name(object_: str, version: str, index: int) -> str:
    """The name of a slice's file."""
    return f"{object_}.{version}.{index}"


def path_of(name: str) -> str:
    """Where a file that is complete lies, below the root."""
    return f"{name[:2]}/{name}"


def _hash(parts: tuple[str, ...], size: int) -> str:
    """Each part with its length before it, so that no two lists of parts are hashed alike."""
    digest = hashlib.blake2b(digest_size=size)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:%b" % (len(encoded), encoded))
    return digest.hexdigest()
