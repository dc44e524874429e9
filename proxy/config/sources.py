"""Where values come from, and the tree they are laid into, one layer over the other.

Pure. Tables merge and everything else replaces, so a later layer says only what differs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

_BARE = re.compile(r"[A-Za-z0-9_-]+")

KeyPath = tuple[str | int, ...]
"""A key path: names of tables, and numbers of array elements from 0."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value was given; its text is what a person needs to find it.

    Attributes:
        kind: which sort of layer.
        name: the file as it was named, the variable, or "--set".
        line: the line in the file from 1, or None elsewhere.
        order: the layer's number; later ones win.
    """

    kind: Literal["default", "file", "environment", "assignment"]
    name: str
    line: int | None = None
    order: int = 0

    def __str__(self) -> str:
        return self.name if self.line is None else f"{self.name}:{self.line}"


DEFAULT = Source("default", "default")
NOWHERE = Source("default", "configuration")  # for what is missing, with no file to add it to


def path_text(path: KeyPath) -> str:
    """`path` as `--set` takes it: "mounts.0.origin"; other than bare keys are quoted."""
    return ".".join(map(key_text, path))


def key_text(key: str | int) -> str:
    """One key as TOML writes it."""
    text = str(key)
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


@dataclass(slots=True)
class Layers:
    """The merged tree, the source of every path in it, and text that may be read again.

    Attributes:
        tree: what all layers so far say together.
        sources: for each path of the tree, the layer that spoke last.
        texts: for values from text (variables and --set), that text. May hold secrets.
    """

    tree: dict[str, Any] = field(default_factory=dict)
    sources: dict[KeyPath, Source] = field(default_factory=dict)
    texts: dict[KeyPath, str] = field(default_factory=dict, repr=False)

    def overlay(self, tree: Mapping[str, Any], sources: Mapping[KeyPath, Source]) -> None:
        """Lays a file's tree over this one."""
        for path, value in leaves(tree):
            self.put(path, value, sources)

    def put(
        self,
        path: KeyPath,
        value: object,
        sources: Mapping[KeyPath, Source],
        text: str | None = None,
    ) -> None:
        """Sets `path` to a value that is no table, or to an empty one.

        `sources` names at least `path` itself, and any paths within and above it. Raises
        IndexError for an element beyond the end of an array.
        """
        table: object = self.tree
        for depth in range(1, len(path)):
            table = _child(table, path[depth - 1], path[depth])
            above = path[:depth]
            if above in sources:
                self.sources.setdefault(above, sources[above])
        key = _key(table, path[-1])
        if value == {} and isinstance(_get(table, key), dict):
            return
        self._forget_below(path)
        _set(table, key, _copy(value))
        self.sources.update({at: sources[at] for at in paths_within(path, value) if at in sources})
        if text is not None:
            self.texts[path] = text

    def source(self, path: KeyPath) -> Source:
        """The source of `path`, or of what is nearest above it, the last file above all."""
        while path and path not in self.sources:
            path = path[:-1]
        return self.sources.get(path, NOWHERE)

    def value(self, path: KeyPath) -> object:
        """What stands at `path`, or None."""
        found: object = self.tree
        for key in path:
            found = _get(found, _key(found, key))
        return found

    def replace(self, path: KeyPath, value: object) -> None:
        """Changes the value at `path`, which stays from the same source."""
        table = self.value(path[:-1])
        _set(table, _key(table, path[-1]), value)

    def _forget_below(self, path: KeyPath) -> None:
        for known in (self.sources, self.texts):
            for at in [at for at in known if at[: len(path)] == path]:
                del known[at]


def leaves(value: object, path: KeyPath = ()) -> Iterator[tuple[KeyPath, object]]:
    """All of `value` that isn't a table with something in it; arrays count as one."""
    if isinstance(value, Mapping) and (value or not path):
        for key, below in value.items():
            yield from leaves(below, (*path, key))
    else:
        yield path, value


def paths_within(path: KeyPath, value: object) -> Iterator[KeyPath]:
    """`path` and all paths of what is in `value`, which stands there."""
    yield path
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from paths_within((*path, key), below)
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from paths_within((*path, number), below)


def _copy(value: object) -> object:
    """`value` with containers of its own, since later layers change them in place."""
    if isinstance(value, Mapping):
        return {key: _copy(below) for key, below in value.items()}
    return [_copy(below) for below in value] if isinstance(value, list) else value


def _child(table: object, key: str | int, then: str | int) -> object:
    """The container at `key`, made (instead of a value that is none) when there isn't one."""
    key = _key(table, key)
    found = _get(table, key)
    if not isinstance(found, dict | list):
        found = [] if then in {"0", 0} else {}
        _set(table, key, found)
    return found


def _key(table: object, key: str | int) -> str | int:
    """`key` as this container is indexed: arrays by number."""
    if isinstance(table, list):
        return int(key) if str(key).isdecimal() else key
    return key


def _get(table: object, key: str | int) -> object:
    if isinstance(table, dict):
        return table.get(key)
    if isinstance(table, list) and isinstance(key, int) and key < len(table):
        return table[key]
    return None


def _set(table: object, key: str | int, value: object) -> None:
    if isinstance(table, dict):
        table[key] = value
    elif isinstance(table, list) and isinstance(key, int) and key <= len(table):
        table[key : key + 1] = [value]
    else:
        raise IndexError(key)
