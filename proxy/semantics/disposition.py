"""Content-Disposition: what a file is called when it is saved (RFC 6266, RFC 8187)."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

# attr-char of RFC 8187 §3.2.1, less what quote() keeps anyway.
_ATTRIBUTE_CHARACTERS = "!#$&+^`|"
_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?=[ \t]*(?:;|$))")
# Common file systems' limit for one name, in bytes of UTF-8.
MAX_NAME_LENGTH = 255


def attachment(name: str) -> str:
    """The value that makes a browser save the body under `name`.

    Every client gets a plain ASCII `filename`; those that know RFC 8187 prefer `filename*`,
    which is exact. Neither can end the parameter or the line, whatever the name holds.
    """
    clean = _clean(name)
    fallback = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in clean)
    if fallback == name:
        return f'attachment; filename="{fallback}"'
    encoded = quote(clean, safe=_ATTRIBUTE_CHARACTERS)
    return f"attachment; filename=\"{fallback}\"; filename*=UTF-8''{encoded}"


def as_attachment(stored: str) -> str | None:
    """A stored value with its type made `attachment`, its name kept; None if it has no type."""
    found = _TYPE.match(stored.strip(" \t"))
    return f"attachment{stored.strip(chr(32) + chr(9))[found.end() :]}" if found else None


def _clean(name: str) -> str:
    """A name that is no path, shows what it is, and fits a file system; "download" if none is left.

    Controls and format characters go: among them the bidirectional overrides by which
    "exe.gnp" looks like a picture's name.
    """
    base = re.split(r"[/\\]", name)[-1]
    kept = "".join(c for c in base if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))
    cut = kept.encode()[:MAX_NAME_LENGTH].decode("utf-8", "ignore").strip(" ")
    return cut if cut.strip(".") else "download"
