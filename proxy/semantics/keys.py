"""From a request target to a key: each target means exactly one key, or is refused.

The path is percent-decoded once, and nothing is repaired: a target that would need it (a dot
segment, an encoded slash, a broken escape) is refused with 400, because another program on the
way may repair it differently, and then one address has two meanings. Escapes of the same octet
(`a`, `%61`) are the same address (RFC 3986 §6.2.2).
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from proxy.errors import RequestFault, TargetTooLong

# S3's limit for a key, in bytes of UTF-8 (User Guide, "Naming Amazon S3 objects").
MAX_KEY_LENGTH = 1024

# A host is never empty (RFC 9110 §4.2.1), and userinfo is refused (§4.2.4).
_SCHEME_AND_AUTHORITY = re.compile(
    rb"[Hh][Tt][Tt][Pp][Ss]?://(?!:)[!$%&'()*+,;=:._~0-9A-Za-z\[\]-]+(?=/|\Z)"
)
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NOT_VISIBLE_ASCII = re.compile(rb"[^\x21-\x7e]|#")
_SEPARATORS = re.compile(r"[/\\]")


# The same are asked for again and again; the longest of so many are two megabytes.
@lru_cache(256)
def path_of_target(raw_path: bytes, *, max_length: int = 8192) -> str:
    """The path of a target (without its query) as text, always with its leading slash.

    Takes the origin form and, as RFC 9112 §3.2.2 demands, the absolute form. Raises
    `TargetTooLong`, or `RequestFault` with a sentence that says what is wrong.
    """
    if len(raw_path) > max_length:
        raise TargetTooLong(f"a target of {len(raw_path)} bytes, at most {max_length}")
    path = raw_path
    if not path.startswith(b"/"):
        found = _SCHEME_AND_AUTHORITY.match(path)
        if found is None:
            raise RequestFault(said="The address does not begin with a slash.")
        path = path[found.end() :] or b"/"
    if _NOT_VISIBLE_ASCII.search(path):
        raise RequestFault(said="The address holds characters that must be percent-encoded.")
    return _decoded(path) if b"%" in path else _checked(path.decode("ascii"))


def _decoded(path: bytes) -> str:
    if _BROKEN_ESCAPE.search(path):
        raise RequestFault(said="The address holds an incomplete percent-encoding.")
    if b"%2f" in path.lower():
        raise RequestFault(said="The address holds an encoded slash.")
    octets = unquote_to_bytes(path)
    if b"\0" in octets:
        raise RequestFault(said="The address holds a NUL character.")
    try:
        return _checked(octets.decode("utf-8"))
    except UnicodeDecodeError:
        raise RequestFault(said="The address is not UTF-8.") from None


def _checked(path: str) -> str:
    if "." in path:
        # A backslash separates too, for those who will read it so.
        segments = _SEPARATORS.split(path)
        if "." in segments or ".." in segments:
            raise RequestFault(said="The address holds a dot segment.")
    return path


def key_below(path: str, mount: str) -> str:
    """The key of a path under a mount point; both with their slashes, the mount's at its end.

    Raises `TargetTooLong` for a key that no store can hold.
    """
    key = path[len(mount) :]
    if len(key) * 4 > MAX_KEY_LENGTH and len(key.encode()) > MAX_KEY_LENGTH:
        raise TargetTooLong(f"a key of more than {MAX_KEY_LENGTH} bytes")
    return key


def encode_path(path: str) -> str:
    """The path of a URI reference for decoded text; `path_of_target` gives the text back."""
    return quote(path, safe="/~!$&'()*+,;=:@")
