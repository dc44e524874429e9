"""What the configuration's tests share: files in a directory of the test's own, and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from proxy.config import Loaded, load
from proxy.errors import ConfigurationError

ORIGIN = '[origins.files]\ntype = "directory"\nroot = "."\n'


def write(directory: Path, text: str, name: str = "h.toml") -> Path:
    """A configuration file that only its owner may read."""
    file = directory / name
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return file


def load_text(
    directory: Path,
    text: str,
    environ: Mapping[str, str] | None = None,
    assignments: Sequence[str] = (),
) -> Loaded:
    """What one file says."""
    return load([write(directory, text)], environ or {}, assignments)


def faults(
    directory: Path,
    text: str,
    environ: Mapping[str, str] | None = None,
    assignments: Sequence[str] = (),
) -> list[str]:
    """The lines of the report, with the test's directory taken out."""
    with pytest.raises(ConfigurationError) as caught:
        load_text(directory, text, environ, assignments)
    return str(caught.value).replace(f"{directory}/", "").splitlines()
