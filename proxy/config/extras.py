"""What is optional to install: whether an option that needs it can be used.

Nothing is imported but the packages' outermost parts, which hold no code.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

from proxy.config.report import Fault
from proxy.config.sources import KeyPath, Layers

# A table that needs a package, the module that it needs of it, and the package's name.
_NEEDED: Final[tuple[tuple[KeyPath, str, str], ...]] = (
    (("telemetry",), "opentelemetry.proto.trace.v1", "opentelemetry-proto"),
)


def missing_extras(layers: Layers) -> Iterator[Fault]:
    """A fault for each table whose package is not installed."""
    for path, module, package in _NEEDED:
        if layers.value(path) is not None and not _is_there(module):
            said = f"needs the package {package}: install it with `just extras`, or leave it out"
            yield Fault(layers.source(path), path, said)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor is the package it would lie in
        return False
