"""Resolves pyproject.toml into deploy/lock/: exact versions, their hashes, no index and no path.

    just lock                         keeps what is locked, adds and removes as pyproject.toml says
    just lock --upgrade               newest versions that are at least a week old
    just lock --upgrade-package h2 --exclude-newer-package h2=2026-01-31
                                      one version earlier than that: for a security fix, reviewed

The wait is a defence: packages that were taken over have mostly been found within days. Arguments
go to `uv pip compile` as they are.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

LOCKS = Path("deploy/lock")
_COOLDOWN = "7 days"
# What people work on; a lock with no wheel for one of these is no use to them.
_DEVELOPED_ON = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "aarch64-apple-darwin")
# cryptography, which only HTTP/3 and the tests need, is no longer made for Macs with Intel.
_RUN_ON = (*_DEVELOPED_ON, "x86_64-apple-darwin")
# Alpine, the base of the container image.
_IN_IMAGES = ("x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl")
_PYTHONS = ("3.11", "3.12", "3.13")


def main(extra: list[str]) -> int:
    """Writes the five locks, each with what it takes in; 1 if one can't be made or installed."""
    names = ("just", "runtime", "extras", "develop", "maintain")
    just, runtime, extras, develop, maintain = (LOCKS / f"{name}.txt" for name in names)
    whole = ["pyproject.toml", "--all-extras"]
    # All are installed into one environment, so each agrees with the one before.
    for lock, sources in (
        (just, ["--group", "just"]),
        (runtime, ["pyproject.toml"]),
        (extras, [*whole, "--constraints", str(runtime)]),
        (develop, [*whole, "--group", "develop", "--constraints", str(extras)]),
        (maintain, ["--group", "maintain", "--constraints", str(develop)]),
    ):
        print(f"resolving {lock}", flush=True)
        if _compile(lock, sources, extra) != 0:
            return 1
    found = [_has_wheels(just, _RUN_ON), _has_wheels(runtime, (*_RUN_ON, *_IN_IMAGES))]
    found += [_has_wheels(extras, (*_DEVELOPED_ON, *_IN_IMAGES))]
    found += [_has_wheels(lock, _DEVELOPED_ON) for lock in (develop, maintain)]
    return 0 if all(found) else 1


def _compile(lock: Path, sources: list[str], extra: list[str]) -> int:
    command = [_uv(), "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--custom-compile-command", "./just lock"]
    command += ["--exclude-newer", _COOLDOWN, "--output-file", str(lock), *sources, *extra]
    return subprocess.run(command, check=False).returncode


def _has_wheels(lock: Path, platforms: tuple[str, ...]) -> bool:
    """Whether everything in `lock` has a wheel for each of `platforms` and every Python we name."""
    complete = True
    for platform, python in itertools.product(platforms, _PYTHONS):
        with tempfile.TemporaryDirectory() as nowhere:
            command = [_uv(), "pip", "install", "--dry-run", "--no-deps", "--require-hashes"]
            command += ["--target", nowhere, "--only-binary", ":all:", "--requirements", str(lock)]
            command += ["--python-platform", platform, "--python-version", python]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            complete = False
            print(f"{lock}: not for Python {python} on {platform}:\n{done.stderr}", file=sys.stderr)
    if complete:
        print(f"{lock}: wheels for {len(platforms)} platforms, Python {', '.join(_PYTHONS)}")
    return complete


def _uv() -> str:
    return str(Path(sys.executable).with_name("uv"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
