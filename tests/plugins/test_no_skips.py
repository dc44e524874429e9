"""The plugin, in a pytest of its own: what is skipped passes by hand and fails where CI is set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_FILES = {
    "in_a_test": "import pytest\ndef test_a(): pytest.skip('no reason')\n",
    "by_a_mark": "import pytest\n@pytest.mark.skip\ndef test_a(): pass\n",
    "expected": "import pytest\n@pytest.mark.xfail\ndef test_a(): assert 0\n",
    "whole": "import pytest\npytest.skip('all', allow_module_level=True)\n",
    "good": "def test_a(): pass\n",
}


@pytest.mark.parametrize(
    ("environment", "closing_line"),
    [
        ({}, r"1 passed, 3 skipped, 1 xfailed"),
        ({"CI": "true"}, r"2 failed, 1 passed, 2 errors"),
    ],
)
def test_a_skip_fails_where_ci_is_set(
    tmp_path: Path, environment: dict[str, str], closing_line: str
) -> None:
    for name, text in _FILES.items():
        (tmp_path / f"test_{name}.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "tests.plugins.no_skips"]
    command += ["-p", "no:cacheprovider", "--continue-on-collection-errors"]
    command += ["--rootdir", str(tmp_path), "-c", os.devnull, str(tmp_path)]
    inherited = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=inherited | environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert closing_line in done.stdout.splitlines()[-1]
