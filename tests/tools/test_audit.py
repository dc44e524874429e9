"""The audit's judgement. What pip-audit answers is written down here, as it was seen to answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.tools import audit

_BAD: audit.Package = {
    "name": "urllib3",
    "version": "1.26.4",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.26.5"]}],
}


def answer(*packages: audit.Package, trial: audit.Package = _BAD) -> pytest.MonkeyPatch:
    """Lets pip-audit say this of the lock, and `trial` of the release known to be bad."""
    patch = pytest.MonkeyPatch()
    patch.setattr(audit, "ask", lambda asked: [trial] if "1.26.4" in asked else list(packages))
    return patch


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.txt").write_text(
        "# by us\nJust_This==1.0 \\\n    --hash=sha256:00\n    # via headgate\n"
        "never==2 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"
    )
    monkeypatch.setattr(audit, "LOCKS", tmp_path)


@pytest.mark.usefixtures("lock")
@pytest.mark.parametrize(
    ("trial", "found", "code"),
    [
        (_BAD, {"name": "just-this", "version": "1.0", "vulns": []}, 0),
        (_BAD, {"name": "just-this", "version": "1.0", "vulns": [{"id": "X"}]}, 1),
        (_BAD, {"name": "just-this", "skip_reason": "not found"}, 2),
        (_BAD, {"name": "other", "version": "1.0", "vulns": []}, 2),
        ({**_BAD, "vulns": []}, {"name": "just-this", "version": "1.0", "vulns": []}, 2),
        ({"name": "urllib3", "skip_reason": "not found"}, {"name": "just-this", "vulns": []}, 2),
    ],
)
def test_silence_is_not_taken_for_good_news(
    trial: audit.Package, found: audit.Package, code: int
) -> None:
    patch = answer(found, trial=trial)
    try:
        assert audit.main() == code
    finally:
        patch.undo()


def test_pins_are_those_of_this_machine() -> None:
    text = "a==1 \\\n    --hash=sha256:00\nb.c==2 ; sys_platform == 'win32' \\\n"
    text += "D_e==3 ; python_version > '3'\n"
    assert audit.pins(text) == {"a": "1", "d-e": "3"}
