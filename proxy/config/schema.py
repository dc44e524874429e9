"""The JSON Schema of the configuration, for editors that complete and check TOML by one.

Pure. The models' own schema, with defaults as they are written ("30s", not 30.0), and without
the null that TOML does not have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from pydantic import PlainSerializer
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from proxy.config.settings import Settings
from proxy.config.shape import marker
from proxy.config.table import Table

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class _Generator(GenerateJsonSchema):
    """The generator of pydantic, but for what TOML can't say."""

    schema_dialect = DIALECT

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if made.get("default") is None:
            made.pop("default", None)
        return made


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    made = Settings.model_json_schema(schema_generator=_Generator)
    models = {model.__name__: model for model in Table.__subclasses__()}
    for name, part in {**made["$defs"], "Settings": made}.items():
        _tidy(part["properties"], models[name])
    return {"$schema": DIALECT, **made, "title": "Headgate's configuration"}


def _tidy(properties: dict[str, dict[str, Any]], model: type[Table]) -> None:
    """Writes each default as it stands in a file, and drops titles, which repeat the name."""
    for name, said in properties.items():
        said.pop("title", None)
        field = model.model_fields[name]
        writer = marker(field, PlainSerializer)
        if isinstance(field.default, Table):
            said.pop("default", None)
        elif writer and "default" in said:
            said["default"] = cast("Callable[[object], str]", writer.func)(field.default)
