"""Faults of a configuration in plain words: where, which key, what was found, what was expected.

Pure. One fault is one line. A secret is never shown, nor a value under an unknown key that might
be a misspelt secret, nor what is inside a table or an array.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, cast

from annotated_types import Ge, Le
from pydantic import PlainSerializer
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from proxy.config.fields import MASK
from proxy.config.shape import field_at, is_secret, is_table, keys_at, marker, types_at
from proxy.config.sources import KeyPath, Layers, Source, path_text
from proxy.config.together import RULE

_LONGEST_SHOWN: Final = 80
_SOUNDS_SECRET: Final = re.compile(r"secret|token|passw|key|credential|auth", re.IGNORECASE)
_USER_IN_URL: Final = re.compile(r"(?<=//)[^/@\s]*@")

_EXPECTED: Final = {
    "bool_type": "true or false",
    "dict_type": "a table",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "path_type": "a path",
    "string_type": "a string",
    "tuple_type": "an array",
    "list_type": "an array",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        source: where the value was given.
        path: the key it is about, or () for the whole source.
        said: what is wrong and what was expected; holds no secret.
        shown: the value that was found, as it may be shown, or "".
    """

    source: Source
    path: KeyPath
    said: str
    shown: str = ""

    def __str__(self) -> str:
        key = path_text(self.path) + (f" = {self.shown}" if self.shown else "")
        return f"{self.source}: {key}: {self.said}" if key else f"{self.source}: {self.said}"


def text_of(faults: Iterable[Fault]) -> str:
    """All faults, a line each, in the order of the layers and of the lines within them."""

    def rank(fault: Fault) -> tuple[int, int, str]:
        return fault.source.order, fault.source.line or 0, fault.source.name

    ranked = sorted(dict.fromkeys(faults), key=rank)
    return "\n".join(map(str, ranked))


def faults_of(errors: Sequence[ErrorDetails], layers: Layers) -> Iterator[Fault]:
    """The errors of a `ValidationError` in our words."""
    for error in errors:
        if error["type"] == "default_factory_not_called":
            continue  # it hangs on an option that has a fault of its own
        path, of_name = plain_path(error["loc"])
        field = field_at(layers.tree, path) if path else None
        source = layers.source(path)
        if of_name:
            yield Fault(source, path, f"can't be named so: expected {_expected(error, field)}")
        elif error["type"] == "missing":
            yield Fault(source, path, f"is missing: {_first_sentence(field)}")
        elif error["type"] == "extra_forbidden":
            yield _unknown(path, source, error["input"], layers)
        elif error["type"] == RULE:
            yield Fault(source, path, error["ctx"]["said"], _shown(error["input"], field))
        elif error["type"] in {"union_tag_invalid", "union_tag_not_found"}:
            yield _wrong_kind(path, error["input"], layers)
        else:
            expected, found = _expected(error, field), error["input"]
            shown = _kind_of(found) if expected == "a table" else _shown(found, field)
            yield Fault(source, path, f"expected {expected}", shown)


def plain_path(loc: Sequence[str | int]) -> tuple[KeyPath, bool]:
    """A location in the models as a path in the tree, and whether it is about the key itself.

    pydantic puts an origin's type after its name, and "[key]" after the key of a table.
    """
    path = list(loc)
    of_name = bool(path) and path[-1] == "[key]"
    if of_name:
        path.pop()
    if len(path) > 2 and path[0] == "origins" and path[2] in {"s3", "directory"}:
        del path[2]
    return tuple(path), of_name


def _wrong_kind(path: KeyPath, found: object, layers: Layers) -> Fault:
    """An origin whose `type` is missing or unknown."""
    kinds = " or ".join(json.dumps(name) for name in types_at(layers.tree, path))
    at = (*path, "type")
    if not isinstance(found, Mapping):
        return Fault(layers.source(path), path, "expected a table", _kind_of(found))
    if "type" not in found:
        return Fault(layers.source(path), at, f"is missing: expected {kinds}")
    return Fault(layers.source(at), at, f"expected {kinds}", _shown(found["type"], None))


def _unknown(path: KeyPath, source: Source, found: object, layers: Layers) -> Fault:
    name = str(path[-1])
    known = keys_at(layers.tree, path[:-1])
    near = get_close_matches(name.lower(), known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    quiet = any(map(_SOUNDS_SECRET.search, (name, *near)))
    return Fault(
        source, path, f"is not a known key; {hint}", f'"{MASK}"' if quiet else _shown(found, None)
    )


# --- words ------------------------------------------------------------------------------------


def _expected(error: ErrorDetails, field: FieldInfo | None) -> str:
    kind = error["type"]
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "literal_error":
        return str(error["ctx"]["expected"]).replace("'", '"')
    if kind in {"greater_than_equal", "less_than_equal"}:
        return _bounds(error["ctx"], field)
    return _EXPECTED.get(kind, str(error["msg"]))


def _bounds(context: Mapping[str, object], field: FieldInfo | None) -> str:
    """Both bounds of the option where it has them, in its unit."""
    low = marker(field, Ge) if field else None
    high = marker(field, Le) if field else None
    writer = marker(field, PlainSerializer) if field else None
    write = cast("Callable[[object], str]", writer.func if writer else str)
    if low and high:
        return f"from {write(low.ge)} to {write(high.le)}"
    name, words = ("ge", "at least") if "ge" in context else ("le", "at most")
    return f"{words} {write(context[name])}"


def _first_sentence(field: FieldInfo | None) -> str:
    """What the option is, from its own description."""
    return ((field and field.description) or "").split(". ")[0].removesuffix(".").replace("\n", " ")


def _shown(found: object, field: FieldInfo | None) -> str:
    """A value as it may stand in a message."""
    if found is None:
        return ""
    if field is not None and is_secret(field):
        return f'"{MASK}"'
    if isinstance(found, Mapping | list | tuple) or (field and is_table(field.annotation)):
        return _kind_of(found)
    text = json.dumps(found, ensure_ascii=False, default=str)
    text = _USER_IN_URL.sub(f"{MASK}@", text)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def _kind_of(found: object) -> str:
    if isinstance(found, Mapping):
        return "(a table)"
    if isinstance(found, list | tuple):
        return "(an array)"
    return "(a string)" if isinstance(found, str) else "(a value)"
