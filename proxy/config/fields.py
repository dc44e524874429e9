"""The kinds of value that settings are made of, each with its rule in plain words.

Pure: nothing here looks at the file system or the network. A `ValueError` raised here completes
the sentence "expected …".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainSerializer,
    SecretStr,
    SerializationInfo,
    Strict,
    WithJsonSchema,
)

MASK: Final = "********"
DEFAULT_BIND: Final = "127.0.0.1:8080"
DEFAULT_TLS_BIND: Final = "127.0.0.1:8443"
DEFAULT_ADMIN_BIND: Final = "127.0.0.1:9090"
IN_CLEAR: Final = "secrets in clear"  # the context key under which a dump holds real secrets

Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]


@dataclass(frozen=True, slots=True)
class RelativeToSource:
    """Marks a path that is relative to the file that says it (or to the working directory)."""


def _check_path(found: object) -> object:
    if isinstance(found, str) and (not found or not found.isprintable()):
        raise ValueError("a path")
    return found


FilePath = Annotated[Path, BeforeValidator(_check_path), RelativeToSource()]
"""A path; absolute once it has been loaded."""


# --- secrets ----------------------------------------------------------------------------------


def _check_secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("ASCII characters without spaces or line breaks")
    return secret


def _check_secret_text(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text.isascii() or not text.isprintable() or text != text.strip():
        raise ValueError("ASCII characters without line breaks, and no spaces at its ends")
    return secret


def _write_secret(secret: SecretStr | None, info: SerializationInfo) -> str | None:
    if secret is None:
        return None
    return secret.get_secret_value() if (info.context or {}).get(IN_CLEAR) else MASK


Secret = Annotated[SecretStr, AfterValidator(_check_secret)]

T = TypeVar("T")


def _empty_is_none(found: T) -> T | None:
    return None if found == "" else found


UNSET_IF_EMPTY: Final = BeforeValidator(_empty_is_none)

OptionalFile = Annotated[FilePath | None, UNSET_IF_EMPTY]
OptionalText = Annotated[str | None, UNSET_IF_EMPTY]
OptionalSecret = Annotated[
    Secret | None, UNSET_IF_EMPTY, PlainSerializer(_write_secret, return_type=str | None)
]

OptionalSecretText = Annotated[
    Annotated[SecretStr, AfterValidator(_check_secret_text)] | None,
    UNSET_IF_EMPTY,
    PlainSerializer(_write_secret, return_type=str | None),
]
"""A secret of several words, as the value of a field is."""


# --- addresses --------------------------------------------------------------------------------

_BIND_WORDS: Final = '"host:port", "[IPv6 address]:port" or "unix:/absolute/path"'
_BIND: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


def _check_bind(found: str) -> str:
    if found.startswith("unix:"):
        usable = found.startswith("unix:/") and "\0" not in found and not found.endswith("/")
    else:
        match = _BIND.fullmatch(found)
        usable = match is not None and int(match[1]) <= 65535
    if not usable:
        raise ValueError(_BIND_WORDS)
    return found


Bind = Annotated[
    str,
    AfterValidator(_check_bind),
    WithJsonSchema({"type": "string", "examples": ["127.0.0.1:8080", "unix:/run/headgate.sock"]}),
]
"""An address to listen on; port 0 is any free one."""

BindOrOff = Annotated[str, AfterValidator(lambda found: _check_bind(found) if found else found)]


def is_local(bind: str) -> bool:
    """Whether only this machine reaches an address; a name other than localhost may be any."""
    if bind.startswith("unix:"):
        return True
    host = bind.rpartition(":")[0].strip("[]").partition("%")[0].lower()
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _check_endpoint(found: str | None) -> str | None:
    if found is None:
        return None
    if not _is_endpoint(found):
        raise ValueError('"http://host:port" or "https://host", without user, query or fragment')
    return found.rstrip("/")


def _is_endpoint(found: str) -> bool:
    try:
        parts = urlsplit(found)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and port != 0
        and not (parts.query or parts.fragment or "@" in parts.netloc)
        and found.isascii()
        and found.isprintable()
        and " " not in found
    )


RequiredEndpoint = Annotated[str, AfterValidator(_check_endpoint)]
Endpoint = Annotated[str | None, AfterValidator(_check_endpoint), UNSET_IF_EMPTY]


def _check_workers(found: object) -> object:
    if found == "auto" or (type(found) is int and 1 <= found <= 1024):
        return found
    raise ValueError('a whole number from 1 to 1024, or "auto"')


Workers = Annotated[
    int | str,
    BeforeValidator(_check_workers),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}),
]


# --- names, keys and public paths -------------------------------------------------------------


def _rule(words: str, usable: Callable[[str], object]) -> AfterValidator:
    """A validator that refuses text for which `usable` is false."""

    def check(found: str) -> str:
        if not usable(found):
            raise ValueError(words)
        return found

    return AfterValidator(check)


def _has_plain_segments(path: str) -> bool:
    """Whether no segment is empty, "." or ".." and nothing in it is a control character."""
    segments = path.split("/")
    return path.isprintable() and not any(segment in {"", ".", ".."} for segment in segments)


OriginName = Annotated[
    str,
    _rule(
        "lower-case letters and digits, in parts joined by a single - or _",
        re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*").fullmatch,
    ),
]

Bucket = Annotated[
    str,
    _rule(
        "the name of a bucket (or the ARN of an access point), without a path",
        re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}|arn:[A-Za-z0-9:/._-]+").fullmatch,
    ),
]

Prefix = Annotated[
    str,
    _rule(
        'the start of keys without a leading "/" or empty, "." and ".." parts, such as "site/v1/"',
        lambda found: not found or _has_plain_segments(found.removesuffix("/")),
    ),
    AfterValidator(lambda found: f"{found.removesuffix('/')}/" if found else ""),
]

MountPath = Annotated[
    str,
    _rule(
        'a path that starts with "/" and has no empty, "." or ".." part, such as "/media/"',
        lambda found: (
            found == "/"
            or (found.startswith("/") and _has_plain_segments(found[1:].removesuffix("/")))
        ),
    ),
    AfterValidator(lambda found: f"{found.removesuffix('/')}/"),
]

PublicPath = Annotated[
    str,
    _rule(
        'a path that starts with "/", such as "/index.html"',
        lambda found: found.startswith("/") and found.isprintable(),
    ),
]


def _has_whole_stars(pattern: str) -> bool:
    return all("**" not in part or part == "**" for part in pattern.split("/"))


Glob = Annotated[
    str,
    _rule(
        'a pattern over the public path that starts with "/": * within a part, ** for whole parts',
        lambda found: found.startswith("/") and found.isprintable() and _has_whole_stars(found),
    ),
]

FileName = Annotated[
    str,
    _rule(
        'a file name without "/", such as "index.html"',
        lambda found: "/" not in found and _has_plain_segments(found),
    ),
]

Key = Annotated[
    str,
    _rule(
        'a key in the origin without a leading "/", such as "errors/404.html"',
        _has_plain_segments,
    ),
]


def _check_status(found: object) -> int:
    if str(found).isdecimal() and 400 <= int(str(found)) <= 599:
        return int(str(found))
    raise ValueError("a status from 400 to 599")


ErrorStatus = Annotated[int, BeforeValidator(_check_status)]


def _is_header_value(found: str) -> bool:
    """RFC 9110 §5.5: visible characters, inner spaces and obs-text; nothing that ends a line."""
    inner = all(char == "\t" or " " <= char <= "~" or "\x80" <= char <= "\xff" for char in found)
    return bool(found) and inner and found == found.strip(" \t")


FieldName = Annotated[
    str,
    _rule(
        "the name of a header in lower case, other than those of HTTP's own framing",
        lambda found: (
            re.fullmatch(r"[a-z0-9!#$%&'*+.^_`|~-]+", found) is not None
            and found not in {"host", "content-length", "content-type", "transfer-encoding"}
        ),
    ),
]

ServiceName = Annotated[
    str,
    _rule(
        "a name of at most 255 printable characters",
        lambda found: 0 < len(found) <= 255 and found.isprintable() and found.strip() == found,
    ),
]

HeaderValue = Annotated[
    str,
    _rule(
        "the value of one header: Latin-1, no control characters, no spaces at its ends",
        _is_header_value,
    ),
]
