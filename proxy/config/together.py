"""Rules about several options together: mounts that name origins, keys that come in pairs.

Pure. They look at the plain tree of tables, so that their faults are found even where another
option is already wrong, and all are reported at once. What has the wrong kind is passed over
here: the model says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from proxy.config.fields import DEFAULT_ADMIN_BIND, DEFAULT_BIND, DEFAULT_TLS_BIND, is_local
from proxy.config.sources import KeyPath
from proxy.config.units import parse_size

Model = TypeVar("Model")
Fault = tuple[KeyPath, object, str]  # where, the value there, what is wrong

RULE: Final = "rule"  # the error type of these faults; their message is a whole sentence


def check(data: object, handler: Callable[[object], Model]) -> Model:
    """What `handler` makes of `data`; raises ValidationError with its faults and those of here."""
    if not isinstance(data, Mapping):
        return handler(data)
    errors: list[InitErrorDetails] = []
    made: list[Model] = []
    try:
        made.append(handler(data))
    except ValidationError as error:
        errors += [_again(details) for details in error.errors(include_url=False)]
    errors += [
        InitErrorDetails(
            type=PydanticCustomError(RULE, "{said}", {"said": said}), loc=loc, input=at
        )
        for loc, at, said in _faults(data)
    ]
    if errors:
        raise ValidationError.from_exception_data("Settings", errors, hide_input=True)
    return made[0]


def _again(details: ErrorDetails) -> InitErrorDetails:
    """An error that was reported, as one to report."""
    kept = InitErrorDetails(type=details["type"], loc=details["loc"], input=details["input"])
    if "ctx" in details:
        kept["ctx"] = details["ctx"]
    return kept


def with_default_mount(data: object) -> object:
    """`data` with "/" mounted on its only origin, where nothing else is mounted."""
    if isinstance(data, Mapping) and not data.get("mounts"):
        origins = _table(data.get("origins"))
        if len(origins) == 1:
            return {**data, "mounts": [{"path": "/", "origin": next(iter(origins))}]}
    return data


def _faults(data: Mapping[str, Any]) -> Iterator[Fault]:
    yield from _mount_faults(data)
    yield from _rule_faults(data)
    yield from _bind_faults(data)
    yield from _admin_faults(_table(data.get("admin")))
    yield from _cache_faults(data)
    yield from _telemetry_faults(_table(data.get("telemetry")))
    for name, origin in _table(data.get("origins")).items():
        if _table(origin).get("type") == "s3":
            for key, found, said in _credential_faults(origin):
                yield ("origins", name, *key), found, said


def _table(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _tables(found: object) -> list[Mapping[str, Any]]:
    return [_table(item) for item in found] if isinstance(found, list | tuple) else []


# --- mounts and rules -------------------------------------------------------------------------


def _mount_faults(data: Mapping[str, Any]) -> Iterator[Fault]:
    origins = _table(data.get("origins"))
    if not origins:
        yield (
            ("origins",),
            None,
            'is missing: at least one, such as [origins.files] with type = "directory", root = "…"',
        )
    elif not data.get("mounts"):
        named = ", ".join(sorted(map(str, origins)))
        yield (
            ("mounts",),
            None,
            f"is missing: with several origins ({named}), [[mounts]] must say where each is served",
        )
    yield from _duplicate_mounts(_tables(data.get("mounts")))
    yield from _unknown_origins(data)


def _duplicate_mounts(mounts: list[Mapping[str, Any]]) -> Iterator[Fault]:
    seen: set[str] = set()
    for number, mount in enumerate(mounts):
        path = mount.get("path")
        if isinstance(path, str):
            whole = f"{path.removesuffix('/')}/"
            if whole in seen:
                yield ("mounts", number, "path"), path, "is mounted twice"
            seen.add(whole)


def _unknown_origins(data: Mapping[str, Any]) -> Iterator[Fault]:
    origins = [str(name) for name in _table(data.get("origins"))]
    for number, mount in enumerate(_tables(data.get("mounts"))):
        name = mount.get("origin")
        if isinstance(name, str) and origins and name not in origins:
            near = get_close_matches(name, origins, 1)
            hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(origins)}"
            yield ("mounts", number, "origin"), name, f"names no origin; {hint}"


def _rule_faults(data: Mapping[str, Any]) -> Iterator[Fault]:
    for number, rule in enumerate(_tables(data.get("rules"))):
        if set(rule) == {"path"}:
            yield ("rules", number), None, "says a path but no option for it"


# --- addresses --------------------------------------------------------------------------------


def _bind_faults(data: Mapping[str, Any]) -> Iterator[Fault]:
    server, admin = _table(data.get("server")), _table(data.get("admin"))
    tables: list[tuple[KeyPath, Mapping[str, Any], str]] = [
        (("server", "bind"), server, DEFAULT_BIND),
        (("admin", "bind"), admin, DEFAULT_ADMIN_BIND),
    ]
    if "tls" in server:
        tables.append((("server", "tls", "bind"), _table(server["tls"]), DEFAULT_TLS_BIND))
    seen = {default for _, table, default in tables if "bind" not in table}
    for loc, table, _ in tables:
        for at, bind in _binds(loc, table.get("bind")):
            if bind in seen and not bind.endswith(":0"):
                yield at, bind, "is bound twice"
            seen.add(bind)
    if server.get("bind") in ([], ()) and not _table(server.get("tls")):
        yield ("server", "bind"), server["bind"], "is empty and there is no [server.tls] either"


def _binds(loc: KeyPath, found: object) -> Iterator[tuple[KeyPath, str]]:
    """The addresses that stand at `loc`, one or an array."""
    if isinstance(found, str) and found:
        yield loc, found
    elif isinstance(found, list | tuple):
        yield from (((*loc, number), at) for number, at in enumerate(found) if isinstance(at, str))


def _admin_faults(admin: Mapping[str, Any]) -> Iterator[Fault]:
    bind = admin.get("bind")
    if isinstance(bind, str) and bind and not is_local(bind) and not _given(admin, "token"):
        said = "is reached from other machines: token or token_file is needed"
        yield ("admin", "bind"), bind, said


# --- cache --------------------------------------------------------------------------------------


def _cache_faults(data: Mapping[str, Any]) -> Iterator[Fault]:
    cache = _table(data.get("cache"))
    memory, width = (_bytes(cache.get(name), default) for name, default in _CACHE_DEFAULTS)
    if memory is not None and width is not None and memory < 2 * width:
        said = "is too little: expected room for two slices, one to fill and one to give"
        yield ("cache", "memory"), cache.get("memory", "256MiB"), said
    directory = cache.get("directory")
    for name, origin in _table(data.get("origins")).items():
        root = _table(origin).get("root")
        if isinstance(directory, str) and isinstance(root, str) and _is_within(directory, root):
            said = f"lies within the root of origins.{name}, which would serve what is kept"
            yield ("cache", "directory"), directory, said


_CACHE_DEFAULTS: Final = (("memory", "256MiB"), ("slice", "8MiB"))


def _bytes(found: object, default: str) -> int | None:
    """A size in bytes; None if it can't be read, which the model says."""
    try:
        return parse_size(default if found is None else found)
    except ValueError:
        return None


def _is_within(path: str, root: str) -> bool:
    return PurePath(path).is_relative_to(root)


# --- telemetry ----------------------------------------------------------------------------------


def _telemetry_faults(telemetry: Mapping[str, Any]) -> Iterator[Fault]:
    for name, header in _table(telemetry.get("headers")).items():
        if not _given(_table(header), "value"):
            yield ("telemetry", "headers", name), None, "has neither value nor value_file"


# --- credentials ------------------------------------------------------------------------------


def _credential_faults(origin: Mapping[str, Any]) -> Iterator[Fault]:
    key, secret, token = (
        _given(origin, name) for name in ("access_key_id", "secret_access_key", "session_token")
    )
    if key and not secret:
        yield ("access_key_id",), origin.get(key), "is set without secret_access_key"
    if secret and not key:
        yield (secret,), origin.get(secret), "is set without access_key_id"
    if token and not (key and secret):
        yield (token,), origin.get(token), "is set without access_key_id and secret_access_key"
    if origin.get("unsigned") is True:
        yield from _needless(origin, key or secret or token or _given(origin, "profile"))


def _needless(origin: Mapping[str, Any], given: str | None) -> Iterator[Fault]:
    if given:
        said = f"can't go with {given}: unsigned requests have no credentials"
        yield ("unsigned",), origin["unsigned"], said


def _given(origin: Mapping[str, Any], name: str) -> str | None:
    """`name`, or `name` with "_file", whichever the origin has."""
    return next((key for key in (name, f"{name}_file") if origin.get(key)), None)
