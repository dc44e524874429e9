"""Reads the layers: files, environment variables, and --set.

What can't be read becomes a fault and leaves the rest to be read, so that all are reported.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from proxy.config.locate import locate
from proxy.config.report import Fault
from proxy.config.sources import KeyPath, Layers, Source, leaves, paths_within

PREFIX: Final = "HEADGATE_"
LARGEST_FILE: Final = 1 << 20  # ours have a few KiB; a slip (a device, an image) shall not be read

_POSITION: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

_TOO_DEEP: Final = "is nested too deeply"

# Kubernetes puts these into every container of a namespace that has a service named "headgate";
# PYTHON names the interpreter that ./just makes its environment with.
_OF_OTHERS: Final = re.compile(r"(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT(?:_\d+_\w+)?|PYTHON)")


def read_file(layers: Layers, file: Path, order: int) -> Iterator[Fault]:
    """Lays the TOML file over `layers`; gives a fault when it can't."""
    source = Source("file", str(file), None, order)
    try:
        with file.open("rb") as opened:
            raw = opened.read(LARGEST_FILE + 1)
    except OSError as error:
        yield Fault(source, (), f"can't be read: {error.strerror or error}")
        return
    if len(raw) > LARGEST_FILE:
        yield Fault(source, (), "is larger than 1MiB, so it can't be a configuration")
        return
    try:
        text = raw.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        yield Fault(Source("file", str(file), line, order), (), "is not UTF-8 text")
        return
    try:
        tree = tomllib.loads(text)
        lines = locate(text.replace("\r\n", "\n"))
        layers.overlay(
            tree, {path: Source("file", str(file), line, order) for path, line in lines.items()}
        )
        layers.sources[()] = source
    except (ValueError, RecursionError) as error:
        yield _syntax_fault(file, text, order, error)


def _syntax_fault(file: Path, text: str, order: int, error: Exception) -> Fault:
    """`tomllib` says "… (at line 3, column 7)" or "… (at end of document)" at the end."""
    line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
    said = str(error)
    if match := _POSITION.search(said):
        said = said[: match.start()]
        line, column = int(match[1] or line), int(match[2] or column)
    elif isinstance(error, RecursionError):
        return Fault(Source("file", str(file), None, order), (), _TOO_DEEP)
    name = f"{file}:{line}:{column}"
    return Fault(Source("file", name, None, order), (), f"not TOML: {said}")


def read_environment(layers: Layers, environ: Mapping[str, str], order: int) -> Iterator[Fault]:
    """Lays all HEADGATE_ variables over `layers`; "__" stands between the keys of a path."""
    for variable in sorted(environ, key=_natural):
        name = variable.removeprefix(PREFIX)
        if name == variable or not name or _is_foreign(name):
            continue
        source = Source("environment", variable, None, order)
        path = _as_known(layers, tuple(name.lower().split("__")))
        yield from _put(layers, path, environ[variable], source)


def _natural(variable: str) -> list[tuple[int, str]]:
    """Sorts MOUNTS__2 before MOUNTS__10, and a table before what is in it."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in variable.split("__")]


def _is_foreign(name: str) -> bool:
    return _OF_OTHERS.fullmatch(name) is not None


def _as_known(layers: Layers, path: KeyPath) -> KeyPath:
    """`path` with "_" read as "-" where only so there is such an origin: variables have no "-"."""
    origins = layers.tree.get("origins")
    if len(path) < 2 or path[0] != "origins" or not isinstance(origins, dict):
        return path
    if path[1] in origins:
        return path
    name = next((one for one in origins if one.replace("-", "_") == path[1]), path[1])
    return (path[0], name, *path[2:])


def read_assignments(layers: Layers, assignments: Sequence[str], order: int) -> Iterator[Fault]:
    """Lays each "key.path=value" over `layers`."""
    source = Source("assignment", "--set", None, order)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        path = tuple(key.strip().split("."))
        if not equals or not all(path):
            yield Fault(source, (), "expected KEY.PATH=VALUE, such as server.workers=2")
        else:
            yield from _put(layers, path, text.strip(), source)


def _put(layers: Layers, path: KeyPath, text: str, source: Source) -> Iterator[Fault]:
    if not all(path):
        yield Fault(source, (), "expected names of keys with __ between them")
        return
    value = value_of(text)
    above = {path[:depth]: source for depth in range(1, len(path))}
    try:
        for at, leaf in leaves(value, path):
            within = dict.fromkeys(paths_within(at, leaf), source)
            layers.put(at, leaf, above | within, text if at == path else None)
    except IndexError:
        yield Fault(source, path, "there is no such element in the array")
    except RecursionError:
        yield Fault(source, path, _TOO_DEEP)


def value_of(text: str) -> object:
    """`text` as TOML or JSON reads it where it is a number, true, false, array, table or quoted
    string; otherwise the text itself, as for dates and null, which no option takes."""
    for read in (_toml, json.loads):
        try:
            value = read(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, bool | int | float | str | list | dict):
            return value
    return text


def _toml(text: str) -> object:
    table = tomllib.loads(f"value = {text}")
    return table["value"] if len(table) == 1 else None
