"""What a target of `headgate verify` means: a key, a prefix, or a public path. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from proxy.errors import RequestFault
from proxy.semantics.keys import encode_path, key_below, path_of_target
from proxy.semantics.routing import Mount, find_mount


@dataclass(frozen=True, slots=True)
class Target:
    """A key of an origin, or all keys below a prefix ("" or ending in "/")."""

    origin: str
    key: str


class NoTarget(ValueError):
    """The text names nothing that could be checked; it says why in one line."""


def target_of(
    text: str, mounts: Sequence[Mount], origins: Collection[str], chosen: str | None
) -> Target:
    """Reads one target; raises NoTarget.

    A URL, or a text that begins with a slash, is a public path and leads through the mounts. All
    else is a key, or a prefix, of the origin `chosen`, or of the only one there is.
    """
    if chosen is not None and chosen not in origins:
        raise NoTarget(f"there is no origin {chosen!r}; known here: {', '.join(sorted(origins))}")
    if text.startswith(("http://", "https://")) or (text.startswith("/") and chosen is None):
        return _below_mount(text, mounts)
    if chosen is None and len(origins) != 1:
        named = ", ".join(sorted(origins))
        raise NoTarget(f"say by --origin which of {named} has {text!r}")
    return Target(chosen or next(iter(origins)), text)


def _below_mount(text: str, mounts: Sequence[Mount]) -> Target:
    address = text.partition("?")[0].partition("#")[0]
    try:
        # As browsers and people write it: what must be encoded, is.
        path = path_of_target(_encoded(address).encode("ascii"), max_length=64 * 1024)
        mount = find_mount(path, mounts)
        if mount is None:
            raise NoTarget(f"nothing is mounted at {path!r}")
        return Target(mount.origin, key_below(path, mount.path))
    except RequestFault as fault:
        raise NoTarget(f"{text!r} is no address: {fault.said}") from None


def _encoded(address: str) -> str:
    """With what is not ASCII, and spaces, percent-encoded; what is encoded already stays."""
    return "".join(char if "!" <= char <= "~" else encode_path(char) for char in address)
