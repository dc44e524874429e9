"""The JSON Schema: draft 2020-12, with every option described and defaults as they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

from proxy.config.schema import json_schema
from proxy.config.units import parse_duration

Part = dict[str, object]


def parts(schema: object) -> Iterator[Part]:
    """The schema and all schemas in it."""
    if isinstance(schema, dict):
        yield schema
        for below in schema.values():
            yield from parts(below)
    elif isinstance(schema, list):
        for below in schema:
            yield from parts(below)


def test_dialect() -> None:
    assert json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_reference_leads_somewhere() -> None:
    schema = json_schema()
    references = [part["$ref"] for part in parts(schema) if isinstance(part.get("$ref"), str)]
    assert references
    assert {str(at).removeprefix("#/$defs/") for at in references} <= set(schema["$defs"])


def test_unknown_keys_are_refused_and_options_described() -> None:
    for name, table in json_schema()["$defs"].items():
        assert table["additionalProperties"] is False
        for option, said in table["properties"].items():
            assert said.get("description"), (name, option)


def test_defaults_are_as_they_are_written() -> None:
    durations = [
        part for part in parts(json_schema()) if "default" in part and "(?:ms|s" in str(part)
    ]
    written = [part for part in durations if isinstance(part.get("pattern"), str)]
    assert len(written) >= 6
    for part in written:
        default = cast("str", part["default"])
        assert re.fullmatch(cast("str", part["pattern"]), default)
        assert parse_duration(default) >= 0


def test_toml_has_no_null() -> None:
    for part in parts(json_schema()):
        assert part.get("type") != "null"
        assert part.get("default", "") is not None
