"""What a purge is about: a key, all keys below a prefix, or all objects with a tag. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Purge:
    """Which objects are no more to be given as they are kept.

    Attributes:
        kind: whether `value` is a key, the beginning of keys, or a tag.
        value: compared as it is.
        origin: only this origin's; "" for all.
        soft: they may be validated and given again; else they are removed.
    """

    kind: Literal["key", "prefix", "tag"]
    value: str
    origin: str = ""
    soft: bool = False

    def matches(self, origin: str, key: str, tags: Iterable[str]) -> bool:
        """Whether an object is meant."""
        if self.origin and origin != self.origin:
            return False
        if self.kind == "tag":
            return self.value in tags
        return key == self.value if self.kind == "key" else key.startswith(self.value)
