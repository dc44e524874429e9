"""Tables that need what is not installed: told with file, line and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config import extras
from tests.config.helpers import ORIGIN, faults, load_text

TELEMETRY = f'{ORIGIN}[telemetry]\nendpoint = "http://127.0.0.1:4318"\n'


def test_what_is_installed_can_be_used(tmp_path: Path) -> None:
    assert load_text(tmp_path, TELEMETRY).settings.telemetry is not None


@pytest.mark.parametrize("module", ["opentelemetry.no_such_part", "no_such_package.part"])
def test_what_is_missing_is_told_with_the_remedy(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "_NEEDED", ((("telemetry",), module, "some-package"),))
    [told] = faults(tmp_path, TELEMETRY)
    assert told.startswith("h.toml:4: telemetry: needs the package some-package: install it with")
    assert "`just extras`" in told
    assert load_text(tmp_path, ORIGIN).settings.telemetry is None
