from __future__ import annotations

from pathlib import Path

import pytest

from proxy.samples import make


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with all samples, to be read only."""
    directory = tmp_path_factory.mktemp("samples")
    make(directory, say=lambda _: None)
    return directory


@pytest.fixture(scope="session")
def clip(samples: Path) -> bytes:
    return (samples / "clip.mp4").read_bytes()
