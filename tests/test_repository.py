"""What a clone promises before any code of ours runs: locks, commands, documents."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deploy.tools import audit, shape
from tests.servers.process import program

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = sorted((ROOT / "deploy" / "lock").glob("*.txt"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def named(group: list[str]) -> set[str]:
    """The packages that a list of requirements names."""
    return {audit.normal(Requirement(one).name) for one in group}


RUNTIME = named(PROJECT["project"]["dependencies"])
OPTIONAL = named(
    [one for extra in PROJECT["project"]["optional-dependencies"].values() for one in extra]
)
GROUPS = {name: named(group) for name, group in PROJECT["dependency-groups"].items()}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_holds_no_address_and_no_path(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert "file:" not in text
    assert not re.search(
        r"^\s*-", re.sub(r"^ +--hash=sha256:[0-9a-f]{64}", "", text, flags=re.MULTILINE)
    )


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_pin_has_a_hash(lock: Path) -> None:
    pins = re.findall(r"^[\w.-]+==.*?(?=^\S|\Z)", lock.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert pins
    assert [pin for pin in pins if "--hash=sha256:" not in pin] == []


@pytest.mark.parametrize(
    ("lower", "upper"),
    [("runtime", "extras"), ("extras", "develop"), ("develop", "maintain"), ("just", "maintain")],
)
def test_locks_of_one_environment_agree(lower: str, upper: str) -> None:
    below, above = (
        audit.pins((ROOT / f"deploy/lock/{name}.txt").read_text()) for name in (lower, upper)
    )
    both = below.keys() & above.keys()
    assert {name: below[name] for name in both} == {name: above[name] for name in both}
    if upper in {"extras", "develop"}:
        assert below.keys() <= above.keys()


@pytest.mark.parametrize(
    ("lock", "names"),
    [
        ("runtime", RUNTIME),
        ("extras", OPTIONAL),
        *((name, group) for name, group in GROUPS.items()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_lock_has_what_the_project_asks_for(lock: str, names: set[str]) -> None:
    assert names <= audit.pins((ROOT / f"deploy/lock/{lock}.txt").read_text()).keys()


def test_each_dependency_has_a_row_and_each_row_a_dependency() -> None:
    text = (ROOT / "docs/dependencies.md").read_text()
    rows = re.findall(r"^\| ([\w-]+) \|", text, flags=re.MULTILINE)
    assert sorted(set(rows) - {"package", "---"}) == sorted(
        RUNTIME.union(OPTIONAL, *GROUPS.values())
    )
    assert f"{len(audit.pins((ROOT / 'deploy/lock/runtime.txt').read_text()))} wheels" in text


def test_the_package_imports_only_what_it_declares() -> None:
    foreign = {
        name.split(".")[0]
        for module in shape.read(ROOT / "proxy")
        for name, _ in module.imports
        if name.split(".")[0] not in {*sys.stdlib_module_names, "proxy"}
    }
    # The S3 client's own client is not ours to choose: aiobotocore pins it. And the packages of
    # OpenTelemetry share their outermost name.
    declared = RUNTIME | OPTIONAL | {"botocore", "opentelemetry"}
    assert {audit.normal(name) for name in foreign} <= declared


@functools.cache
def recipes() -> dict[str, dict[str, object]]:
    """What `just` knows of its recipes."""
    dump = subprocess.run(
        [program("just"), "--justfile", ROOT / "justfile", "--dump", "--dump-format", "json"],
        check=True,
        capture_output=True,
    )
    found: dict[str, dict[str, object]] = json.loads(dump.stdout)["recipes"]
    return found


def test_the_list_of_commands_is_a_table_of_contents() -> None:
    shown = {name: recipe for name, recipe in recipes().items() if not recipe["private"]}
    assert {"run", "serve", "cert", "test", "check", "shape", "lock"} <= shown.keys()
    for name, recipe in shown.items():
        assert recipe["doc"], name
        assert "group" in json.dumps(recipe["attributes"]), name


def test_the_readme_opens_with_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    block = re.search(r"```\n(.*?)```", text, flags=re.DOTALL)
    assert block is not None
    assert text.index("```") < 20
    assert re.findall(r"^(\S+ \S+)", block[1], flags=re.MULTILINE) == ["./just run", "./just test"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert [one for one in targets if not (document.parent / one).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_exist(document: Path) -> None:
    words = set(re.findall(r"(?:\./|`)just ([a-z][a-z-]+)", document.read_text()))
    assert words <= recipes().keys()


@pytest.mark.parametrize(
    "script", ["just", ".ci/run", "deploy/tools/prepare", "deploy/tools/system-packages"]
)
def test_scripts_can_be_started_and_parsed(script: str) -> None:
    path = ROOT / script
    assert os.access(path, os.X_OK)
    shell = path.read_text().splitlines()[0].split("/")[-1].split()[-1]
    assert subprocess.run([shell, "-n", path], check=False).returncode == 0


def test_the_set_up_needs_nothing_installed() -> None:
    script = next(one for one in shape.read(ROOT / "deploy") if one.name.endswith(".prepare"))
    assert {name.split(".")[0] for name, _ in script.imports} <= sys.stdlib_module_names


def test_the_licence_is_the_one_we_name() -> None:
    assert PROJECT["project"]["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
