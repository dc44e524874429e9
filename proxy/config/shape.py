"""What the models say about a key path: its option, and which keys are known beside it.

Pure. Paths are those of the plain tree; where a table's kind hangs on its `type` (an origin), the
tree says which one it is.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from proxy.config.settings import Settings
from proxy.config.sources import KeyPath

Kind = Any  # an annotation: a class, or one of the many forms of `typing`
Note = TypeVar("Note")


@dataclass(frozen=True, slots=True)
class Place:
    """An option of the models that the tree has a value for."""

    path: KeyPath
    field: FieldInfo
    value: object


def places(tree: object, kind: Kind = Settings, path: KeyPath = ()) -> Iterator[Place]:
    """All options of `tree` that the models know, tables before what is in them."""
    model = _model(kind, tree)
    for key, value in _items(tree):
        at = (*path, key)
        if model is None:
            yield from places(value, _element(kind), at)
        elif isinstance(key, str) and (field := model.model_fields.get(key)):
            yield Place(at, field, value)
            yield from places(value, field.annotation, at)


def field_at(tree: object, path: KeyPath) -> FieldInfo | None:
    """The option at `path`, whether or not the tree has it; None for what isn't known."""
    kind, field = _follow(tree, path[:-1])
    model = _model(kind, field)
    return model.model_fields.get(str(path[-1])) if model and path else None


def keys_at(tree: object, path: KeyPath) -> list[str]:
    """The keys that are known in the table at `path`."""
    model = _model(*_follow(tree, path))
    return list(model.model_fields) if model else []


def types_at(tree: object, path: KeyPath) -> list[str]:
    """What `type` may be in the table at `path`, one of several kinds."""
    kind, _ = _follow(tree, path)
    fields = [model.model_fields["type"] for model in _models(kind)]
    return [name for field in fields for name in get_args(field.annotation)]


def is_table(kind: Kind) -> bool:
    """Whether an annotation stands for a table or an array of them, rather than one value."""
    return bool(_models(kind)) or _form(kind) is dict


def is_secret(field: FieldInfo) -> bool:
    """Whether the option's value must never be shown."""
    return SecretStr in _parts(field.annotation)


def marker(field: FieldInfo, kind: type[Note]) -> Note | None:
    """The note of type `kind` that is attached to the option or its annotation, or None."""
    attached = (*field.metadata, *_parts(field.annotation))
    return next((note for note in attached if isinstance(note, kind)), None)


def _follow(tree: object, path: KeyPath) -> tuple[Kind, object]:
    """The annotation and the value at `path`; the annotation is None where nothing is known."""
    kind: Kind = Settings
    for key in path:
        model = _model(kind, tree)
        if model is None:
            kind = _element(kind)
        else:
            field = model.model_fields.get(str(key))
            kind = field.annotation if field else None
        tree = dict(_items(tree)).get(key)
    return kind, tree


def _items(tree: object) -> Iterator[tuple[str | int, object]]:
    if isinstance(tree, Mapping):
        yield from tree.items()
    elif isinstance(tree, list | tuple):
        yield from enumerate(tree)


def _model(kind: Kind, value: object) -> type[BaseModel] | None:
    """The table that `kind` stands for; among several, the one whose `type` is the value's."""
    models = _models(kind)
    if len(models) < 2:
        return models[0] if models else None
    named = value.get("type") if isinstance(value, Mapping) else None
    return next(
        (one for one in models if named in get_args(one.model_fields["type"].annotation)), None
    )


def _models(kind: Kind) -> list[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    if _form(kind) is Annotated:
        return _models(get_args(kind)[0])
    if _form(kind) in {Union, types.UnionType}:
        return [model for part in get_args(kind) for model in _models(part)]
    return []


def _element(kind: Kind) -> Kind:
    """What a table of tables or an array holds."""
    arguments = get_args(kind)
    if _form(kind) is dict:
        return arguments[1]
    return arguments[0] if _form(kind) is tuple else None


def _parts(kind: Kind) -> list[Any]:
    """An annotation and everything it is made of."""
    return [kind, *(part for inner in get_args(kind) for part in _parts(inner))]


def _form(kind: Kind) -> object:
    """What `kind` is parametrised from: dict for dict[str, int]; None for a plain class."""
    return get_origin(kind)
