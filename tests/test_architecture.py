"""The rooms of the package: who knows whom, and that nothing in them grows out of hand.

The rules themselves are the import contracts in pyproject.toml; here they are run, and shown to
bite on a tree that breaks each of them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.tools import shape

ROOT = Path(__file__).resolve().parents[1]
MODULES = shape.read(ROOT / "proxy")


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    """What import-linter says of the package in `tree`."""
    run = "from importlinter.cli import lint_imports_command as run; run(['--no-cache'])"
    return subprocess.run(
        [sys.executable, "-c", run], cwd=tree, check=False, capture_output=True, text=True
    )


def test_imports_go_down_only() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def spoiled(tree: Path, lines: Sequence[tuple[str, str]]) -> str:
    """What is said of a copy of the package in `tree` whose modules have these lines too."""
    shutil.copy(ROOT / "pyproject.toml", tree)
    shutil.copytree(ROOT / "proxy", tree / "proxy", ignore=shutil.ignore_patterns("__pyc*"))
    for module, line in lines:
        path = tree / "proxy" / module
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.write(f"\n{line}\n")
    done = lint_imports(tree)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_imports_the_rules_forbid_are_found(tmp_path: Path) -> None:
    forbidden = [
        ("semantics/etags.py", "proxy.origins.base"),
        ("semantics/etags.py", "asyncio"),
        ("semantics/etags.py", "starlette"),
        ("pages/text.py", "os"),
        ("origins/base.py", "proxy.server.app"),
        ("origins/base.py", "aiohttp"),
        ("origins/base.py", "hypercorn"),
        ("server/app.py", "proxy.admin"),
        ("server/app.py", "proxy.config"),
        ("server/app.py", "botocore"),
        ("admin/__init__.py", "proxy.samples"),
        ("config/__init__.py", "proxy.origins.base"),
    ]
    said = spoiled(tmp_path, [(module, f"import {name}") for module, name in forbidden])
    for module, name in forbidden:
        importer = "proxy." + module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        assert f"{importer} -> {name} " in said, (importer, name, said)


def test_a_room_without_a_place_is_found(tmp_path: Path) -> None:
    assert "- proxy.annex" in spoiled(tmp_path, [("annex/__init__.py", "import proxy.errors")])


def test_no_module_imports_itself_in_a_circle() -> None:
    assert shape.cycles(MODULES, {"runtime", "late", "type-only"}) == []


def test_modules_and_functions_stay_small() -> None:
    assert [module.name for module in MODULES if module.lines > 400] == []
    long = [
        (module.name, function.name)
        for module in MODULES
        for function in module.functions
        if module.code_length(function) > 50
    ]
    assert long == []


def test_public_names_are_explained() -> None:
    public = [one for module in MODULES if module.code_lines for one in module.public()]
    assert [name for name, explained in public if not explained] == []


def test_what_is_kept_from_the_type_checker_is_named_and_rare() -> None:
    everything = [*MODULES, *shape.read(ROOT / "tests"), *shape.read(ROOT / "deploy")]
    suppressed = [(module.name, one) for module in everything for one in module.suppressions]
    assert all("[" in one and one.count("#") > 1 for _, one in suppressed), suppressed
    assert len(suppressed) <= 5, suppressed
