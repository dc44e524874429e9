"""The effective configuration as TOML, with where each value came from.

Pure. What it gives is a configuration again, but for its secrets, which are masked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from proxy.config.loading import Loaded
from proxy.config.sources import DEFAULT, KeyPath, key_text, path_text


def render(loaded: Loaded) -> Iterator[str]:
    """The lines of `headgate config`, without line ends."""
    yield from _table(loaded, loaded.settings.model_dump(mode="json"), ())


def _table(loaded: Loaded, table: Mapping[str, object], path: KeyPath) -> Iterator[str]:
    """Plain values first, since in TOML what follows a header belongs to it."""
    for key, value in table.items():
        if not _is_table(value) and not _is_array_of_tables(value):
            yield _line(loaded, (*path, key), value)
    for key, value in table.items():
        at = (*path, key)
        if isinstance(value, Mapping) and value:
            if any(not _is_table(below) for below in value.values()):
                yield from ("", f"[{_dotted(at)}]")
            yield from _table(loaded, value, at)
        elif isinstance(value, list) and _is_array_of_tables(value):
            for number, element in enumerate(value):
                yield from ("", f"[[{_dotted(at)}]]")
                yield from _table(loaded, element, (*at, number))


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_array_of_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_table, value))


def _line(loaded: Loaded, path: KeyPath, value: object) -> str:
    source = loaded.sources.get(path, DEFAULT)
    key = key_text(path[-1])
    if value is None:
        return f"# {key} is not set"
    return f"{key} = {toml_value(value)}  # {source}"


def toml_value(value: object) -> str:
    """A string, number, boolean or array of them as TOML writes it."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _dotted(path: KeyPath) -> str:
    """A header's keys; an array's numbers are left out, since TOML means its last element."""
    return path_text(tuple(key for key in path if isinstance(key, str)))
