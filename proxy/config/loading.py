"""From files, environment and command line to one `Settings`, with all faults at once.

Every value keeps its source: docs/decisions/0003-configuration-tells-all-its-faults.md says why
pydantic-settings is not used for this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from proxy.config.extras import missing_extras
from proxy.config.files import settle, warnings_of
from proxy.config.reading import read_assignments, read_environment, read_file
from proxy.config.report import Fault, faults_of, plain_path, text_of
from proxy.config.settings import Settings
from proxy.config.sources import KeyPath, Layers, Source
from proxy.config.together import RULE
from proxy.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings that are valid, and where they came from.

    Attributes:
        settings: all options, with absolute paths.
        sources: where each key path was given; what isn't in it is a default.
        warnings: lines for the operator about what is allowed but unwise.
    """

    settings: Settings
    sources: Mapping[KeyPath, Source]
    warnings: tuple[str, ...] = ()


def load(
    files: Sequence[Path], environ: Mapping[str, str], assignments: Sequence[str] = ()
) -> Loaded:
    """The settings that `files` say in order, `environ` over them, and `assignments` over all.

    Relative paths in a file are relative to it, elsewhere to the working directory. Raises
    `ConfigurationError` whose text has one line for each fault.
    """
    layers = Layers()
    faults: list[Fault] = []
    for order, file in enumerate(files, 1):
        faults += read_file(layers, file, order)
    partial = bool(faults)
    faults += read_environment(layers, environ, len(files) + 1)
    faults += read_assignments(layers, assignments, len(files) + 2)
    faults += settle(layers, Path.cwd())
    faults += missing_extras(layers)
    settings, errors = _validate(layers)
    if partial:  # what is missing may stand in the file that couldn't be read
        errors = [error for error in errors if error["type"] not in {"missing", RULE}]
    faults += faults_of(errors, layers)
    if settings is None or faults:
        raise ConfigurationError(text_of(faults))
    return Loaded(settings, dict(layers.sources), tuple(warnings_of(layers)))


def _validate(layers: Layers) -> tuple[Settings | None, list[ErrorDetails]]:
    """The settings, or else the errors."""
    while True:
        try:
            return Settings.model_validate(layers.tree), []
        except ValidationError as error:
            errors = error.errors(include_url=False)
            if not _read_again(layers, errors):
                return None, errors


def _read_again(layers: Layers, errors: Sequence[ErrorDetails]) -> bool:
    """Takes text as text where a string is wanted ("2024" is a name too), and as the one element
    where an array is; true when this changed something."""
    changed = False
    for error in errors:
        path, _ = plain_path(error["loc"])
        text = layers.texts.pop(path, None)
        if text is not None and error["type"] in {"string_type", "tuple_type"}:
            layers.replace(path, text if error["type"] == "string_type" else [text])
            changed = True
    return changed
