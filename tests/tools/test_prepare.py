"""The set-up, run for real on small trees whose locks name one small wheel, made here.

Making an environment takes seconds, so the tests that only need one share it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.environments
_TIMEOUT = 100.0  # making an environment takes 4 s on an idle core


class Tree:
    """A clone, as far as the set-up is concerned, at a path that shells trip over."""

    def __init__(self, top: Path) -> None:
        self.root = top / "it's a clone"
        self.home = top / "home"
        self.home.mkdir()
        (self.root / "deploy" / "lock").mkdir(parents=True)
        shutil.copytree(ROOT / "deploy" / "tools", self.root / "deploy" / "tools")
        self.write_lock("# nothing\n")
        package = self.root / "proxy"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "cli.py").write_text("import sys\ndef main():\n    print(sys.argv[1:])\n")

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    def write_lock(self, text: str) -> None:
        (self.root / "deploy" / "lock" / "runtime.txt").write_text(text)

    def start(self, **more: str) -> subprocess.Popen[str]:
        """The set-up, started from elsewhere with an empty HOME and this Python."""
        environment = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "HEADGATE_PYTHON": sys.executable,
            "PIP_NO_INDEX": "1",
            **more,
        }
        return subprocess.Popen(
            [self.root / "deploy" / "tools" / "prepare", "runtime"],
            cwd=self.home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def prepare(self, **more: str) -> tuple[int, str]:
        """Exit code and what was said; never a word on stdout."""
        with self.start(**more) as process:
            out, said = process.communicate(timeout=_TIMEOUT)
        assert out == ""
        return process.returncode, said


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """One without an environment."""
    return Tree(tmp_path)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """One that has its environment; the tests that share it change its lock."""
    tree = Tree(tmp_path_factory.mktemp("prepared"))
    code, said = tree.prepare()
    assert code == 0, said
    assert "making .venv with Python" in said
    return tree


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def make_wheel(directory: Path) -> str:
    """Writes the wheel of `pebble` 1.0; returns its line in a lock."""
    directory.mkdir(exist_ok=True)
    path = directory / "pebble-1.0-py3-none-any.whl"
    about = "pebble-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("pebble.py", "")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: pebble\nVersion: 1.0\n")
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{about}/WHEEL", tags)
        wheel.writestr(f"{about}/RECORD", "")
    return f"pebble==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def imports_pebble(tree: Tree) -> bool:
    ask = [str(tree.venv / "bin" / "python"), "-c", "import pebble"]
    return subprocess.run(ask, check=False, capture_output=True).returncode == 0


def test_the_environment_starts_the_program_of_this_tree(prepared: Tree) -> None:
    started = subprocess.run(
        [prepared.venv / "bin" / "headgate", "serve", "a b"],
        cwd=prepared.home, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert started.stdout == "['serve', 'a b']\n"


def test_with_an_unchanged_lock_nothing_is_done(prepared: Tree) -> None:
    prepared.prepare()
    assert prepared.prepare() == (0, "")
    assert prepared.prepare(HEADGATE_PYTHON="/nowhere") == (0, "")


def test_only_what_has_the_hash_of_the_lock_is_installed(prepared: Tree, tmp_path: Path) -> None:
    pin = make_wheel(tmp_path / "wheels")
    wheels = {"PIP_FIND_LINKS": str(tmp_path / "wheels")}
    kept = prepared.venv / "kept"
    kept.touch()

    prepared.write_lock(pin.replace("sha256:", "sha256:0000")[:-5] + "\n")
    code, said = prepared.prepare(**wheels)
    assert code == 1
    assert "DO NOT MATCH THE HASHES" in said
    prepared.write_lock("pebble==1.0\n")
    code, said = prepared.prepare(**wheels)
    assert code == 1
    assert "--require-hashes" in said
    assert not imports_pebble(prepared)

    prepared.write_lock(pin)
    code, said = prepared.prepare(**wheels)
    assert code == 0, said
    assert imports_pebble(prepared)
    assert kept.exists(), "the environment was made anew"


def test_what_the_index_does_not_have_is_told(prepared: Tree) -> None:
    prepared.write_lock("pebble==2.0 --hash=sha256:" + 64 * "0" + "\n")
    code, said = prepared.prepare()
    assert code == 1
    assert "offers no wheel" in said
    installed = prepared.venv / "installed" / "runtime.txt"
    assert "2.0" not in installed.read_text()


def test_no_index_is_told_in_words_and_costs_nothing(prepared: Tree) -> None:
    prepared.write_lock("pebble==3.0 --hash=sha256:" + 64 * "0" + "\n")
    code, said = prepared.prepare(
        PIP_NO_INDEX="0", PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="1"
    )
    assert code == 1
    assert "trying again" in said
    assert "could not be reached" in said
    prepared.write_lock("# nothing after all\n")
    code, said = prepared.prepare()
    assert code == 0
    assert "making .venv" not in said


def test_two_at_once_make_one_environment(tree: Tree) -> None:
    with tree.start() as first, tree.start() as second:
        said = [one.communicate(timeout=_TIMEOUT)[1] for one in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], said
    assert sorted("making .venv" in one for one in said) == [False, True]
    assert sorted("waiting for it" in one for one in said) == [False, True]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_after_an_interruption_it_starts_over(tree: Tree, sent: signal.Signals) -> None:
    with tree.start() as process:
        wait_for((tree.venv / "unfinished").exists)
        process.send_signal(sent)
        said = process.communicate(timeout=_TIMEOUT)[1]
    assert process.returncode == (-9 if sent is signal.SIGKILL else 130), said
    left_over = tree.venv / "left over"
    left_over.touch()
    code, said = tree.prepare()
    assert code == 0, said
    assert not left_over.exists()


def test_a_directory_that_is_no_environment_is_left_alone(tree: Tree) -> None:
    tree.venv.mkdir()
    (tree.venv / "thesis.txt").touch()
    code, said = tree.prepare()
    assert code == 1
    assert "is not a virtual environment" in said
    assert (tree.venv / "thesis.txt").exists()


def stub(directory: Path, name: str, script: str) -> None:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def only(directory: Path, *commands: str) -> str:
    """A PATH that has nothing but these commands and what `directory` had."""
    directory.mkdir(exist_ok=True)
    for command in ("sh", "dirname", "cmp", "tail", *commands):
        found = shutil.which(command)
        assert found is not None
        (directory / command).symlink_to(found)
    return str(directory)


def test_an_old_python_is_named(tree: Tree, tmp_path: Path) -> None:
    path = only(tmp_path / "bin")
    stub(tmp_path / "bin", "python3", '[ "$1" = --version ] && echo Python 3.9.2 && exit; exit 1')
    code, said = tree.prepare(PATH=path, HEADGATE_PYTHON="")
    assert code == 1
    assert "needs Python 3.11 or newer" in said
    assert "python3 (Python 3.9.2)" in said


def test_no_python_is_told_with_what_to_install(tree: Tree, tmp_path: Path) -> None:
    code, said = tree.prepare(PATH=only(tmp_path / "bin"), HEADGATE_PYTHON="")
    assert code == 1
    assert "none was found" in said
    assert "apt-get install python3" in said


def test_a_python_without_ensurepip_is_told_with_what_to_install(
    tree: Tree, tmp_path: Path
) -> None:
    # As on Debian without python3-venv: the module is not there at all.
    hide = "import sys, runpy; sys.modules['ensurepip'] = None; sys.argv = sys.argv[1:]; "
    hide += "import importlib.util as u; real = u.find_spec; "
    hide += "u.find_spec = lambda name: None if name == 'ensurepip' else real(name); "
    hide += "runpy.run_path(sys.argv[0], run_name='__main__')"
    script = f'[ "$2" = -c ] && exec "{sys.executable}" "$@"; shift; '
    script += f'exec "{sys.executable}" -I -c "{hide}" "$@"'
    stub(tmp_path / "bin", "python3", script)
    code, said = tree.prepare(HEADGATE_PYTHON=str(tmp_path / "bin" / "python3"))
    assert code == 1
    assert "its module ensurepip is missing" in said
    assert "apt-get install python3-venv" in said
