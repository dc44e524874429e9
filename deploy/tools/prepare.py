"""Installs what a lock names into .venv; started by `prepare` when the two differ.

Runs on a bare Python, so it imports the standard library only. It may be stopped at any point:
`.venv/unfinished` stands from before the first change until after the last, and an environment
that has it is made anew. Two at once are safe: the second waits for the first, and pip holds the
lock too, so that it can't outlive it. What it says goes to stderr; stdout belongs to the command.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "deploy" / "lock"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UNFINISHED = VENV / "unfinished"
INSTALLED = VENV / "installed"  # one copy per lock, made when all that it names is there

# Settings of somebody's pip that would send the packages elsewhere or hide what it does.
_FOREIGN_TO_US = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_DRY_RUN", "PIP_QUIET")
# What pip says when it begins to change the environment.
_UNPACKING = "Installing collected packages"
# The guard matters: worker processes are spawned, and read this file again.
_LAUNCHER = """\
#!/bin/sh
'''exec' "$(dirname -- "$0")/python" "$0" "$@"
' '''
# Starts the program from the tree this environment stands in.
import sys

from proxy.cli import main

if __name__ == "__main__":
    sys.exit(main())
"""
_OFFLINE = """\
The package index could not be reached. The first set-up needs it once; later ones only when a
lock changed. Mirrors, proxies and certificates are taken from pip's own settings."""
_NO_WHEEL = """\
The index offers no wheel that fits both the lock and this machine. The locks are for CPython 3.11
to 3.13 on Linux (x86-64, arm64, glibc) and macOS; this is {python} on {platform}."""
_NO_VENV = """\
{python} can't make virtual environments: its module {missing} is missing.
On Debian or Ubuntu, as root: apt-get install python3-venv (or python{version}-venv)"""


class SetupFailed(Exception):
    """What the user reads; it says what to do. `untouched`: nothing in .venv was changed."""

    def __init__(self, words: str, *, untouched: bool = False) -> None:
        super().__init__(words)
        self.untouched = untouched


def say(line: str) -> None:
    """One line to the terminal, at once."""
    print(f"headgate: {line}", file=sys.stderr, flush=True)


def main() -> int:
    """Brings .venv to the lock named by the only argument; 0, or 1 after saying what is wrong."""
    name = sys.argv[1]
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with _alone() as held:
            if not _is_current(name):
                _make_environment(held)
                _install(name, held)
    except KeyboardInterrupt:
        say("set-up was interrupted; the next ./just starts it over")
        return 130
    except (SetupFailed, OSError) as fault:
        say(f"set-up failed. {fault}")
        return 1
    return 0


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _alone() -> Iterator[int]:
    """Holds the lock of this tree, on the directory itself: no file remains that could go stale."""
    held = os.open(LOCKS, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up of this tree is running; waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield held
    finally:
        os.close(held)


def _is_current(name: str) -> bool:
    copy = INSTALLED / f"{name}.txt"
    return (
        not UNFINISHED.exists()
        and PYTHON.exists()
        and copy.exists()
        and copy.read_bytes() == (LOCKS / f"{name}.txt").read_bytes()
    )


def _make_environment(held: int) -> None:
    """A new .venv, unless there is a sound one."""
    if VENV.exists():
        if not UNFINISHED.exists() and _has_pip():
            return
        if not UNFINISHED.exists() and not (VENV / "pyvenv.cfg").exists() and any(VENV.iterdir()):
            raise SetupFailed(f"{VENV} is not a virtual environment; move it away.")
        say("the environment in .venv is unfinished or unusable here; making it anew")
        shutil.rmtree(VENV)
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise SetupFailed(
                _NO_VENV.format(python=sys.executable, missing=module, version=version)
            )
    say(f"making .venv with Python {sys.version.split()[0]} ({sys.executable})")
    VENV.mkdir()
    UNFINISHED.touch()
    _run([sys.executable, "-I", "-m", "venv", str(VENV)], held)


def _has_pip() -> bool:
    try:
        ask = [str(PYTHON), "-I", "-c", "import pip"]
        return subprocess.run(ask, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _install(name: str, held: int) -> None:
    lock = LOCKS / f"{name}.txt"
    content = lock.read_bytes()  # what is installed is what was read, should it change meanwhile
    count = sum(1 for line in content.decode().splitlines() if re.match(r"[\w.-]+==", line))
    say(f"installing {count} package{'s' * (count != 1)} of deploy/lock/{name}.txt into .venv")
    UNFINISHED.touch()
    command = [str(PYTHON), "-I", "-m", "pip", "install", "--require-hashes", "--no-deps"]
    command += ["--only-binary", ":all:", "--no-compile", "--no-input", "--progress-bar", "off"]
    try:
        _run([*command, "--disable-pip-version-check", "-r", str(lock)], held)
    except SetupFailed as fault:
        if fault.untouched:  # being offline must not cost an environment that works
            UNFINISHED.unlink()
        raise
    _add_ourselves()
    INSTALLED.mkdir(exist_ok=True)
    (INSTALLED / lock.name).write_bytes(content)
    UNFINISHED.unlink()
    say(f"deploy/lock/{name}.txt is installed")


def _add_ourselves() -> None:
    """The tree becomes importable and `.venv/bin/headgate` starts it; needs no build, no network.

    Both refer to the tree by relative paths, so a tree that was moved still works.
    """
    ask = [str(PYTHON), "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    Path(packages, "headgate.pth").write_text(os.path.relpath(ROOT, packages) + "\n")
    launcher = VENV / "bin" / "headgate"
    launcher.write_text(_LAUNCHER)
    launcher.chmod(0o755)


def _run(command: list[str], held: int) -> None:
    """Runs `command` and shows its steps; SetupFailed with its last words if it fails."""
    environment = {k: v for k, v in os.environ.items() if k not in _FOREIGN_TO_US}
    said: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        errors="replace",
        pass_fds=(held,),
    ) as process:
        try:
            for line in process.stdout or ():
                said.append(line.rstrip())
                _show_step(line)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        untouched = not any(line.startswith(_UNPACKING) for line in said)
        raise SetupFailed(_explain(said), untouched=untouched)


def _show_step(line: str) -> None:
    if step := re.match(r"\s*(?:Downloading|Using cached) ([\w.]+)-(\d[^-]*)-\S+( \(.*\))?", line):
        say(f"  {step[1]} {step[2]}{step[3] or ''}")
    elif line.startswith(_UNPACKING):
        say("  unpacking")
    elif "Retrying (" in line:
        say("  the package index does not answer; trying again")


def _explain(said: list[str]) -> str:
    """The last words of pip, and what they mean where that is known."""
    words = "\n".join(["The last lines of the command were:", *(f"  {one}" for one in said[-15:])])
    text = "\n".join(said)
    if "Retrying (" in text or "Failed to establish a new connection" in text:
        return f"{words}\n{_OFFLINE}"
    if "No matching distribution" in text:
        python = f"{sys.implementation.name} {sys.version.split()[0]}"
        machine = f"{os.uname().sysname} {os.uname().machine}"
        return f"{words}\n{_NO_WHEEL.format(python=python, platform=machine)}"
    return words


if __name__ == "__main__":
    sys.exit(main())
