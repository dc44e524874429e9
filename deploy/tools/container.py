"""Builds the container image, and tries one: `just container`, `just container-check`.

    container build [--base IMAGE] [--tag TAG]     from an image of Python: Alpine's by default
    container check [--base IMAGE]                 builds it and runs tests/deploy/test_image.py

Without `--base`, `check` asks no image registry: its base is a Debian put together from Debian's
own packages, kept by the engine for the next run. So it shows that the Containerfile, the hashes
and the image's confinement are right, and says nothing of Alpine, whose wheels `just lock` checks.

Podman is used where there is one, otherwise Docker. The image's time is that of the last commit,
so that the same commit gives the same layers.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from proxy import __version__

ROOT = Path(__file__).resolve().parents[2]
SUITE = "trixie"
LOCAL_BASE = f"localhost/headgate-base:{SUITE}"
_INCLUDED = "python3,python3-venv,ca-certificates"


def main(arguments: list[str]) -> int:
    """The exit code of what was asked for."""
    parser = argparse.ArgumentParser(prog="just container")
    commands = parser.add_subparsers(required=True, dest="command")
    for name in ("build", "check"):
        command = commands.add_parser(name)
        command.add_argument("--base", help="image of Python to build on, best with its digest")
        command.add_argument("--extras", action="store_true", help="HTTP/3 and OpenTelemetry too")
        command.add_argument("--tag", default=f"localhost/headgate:{__version__}", help="its name")
    parsed = parser.parse_args(arguments)
    chosen = ("--build-arg", "LOCK=extras") if parsed.extras else ()
    if parsed.command == "build":
        return build(parsed.base, parsed.tag, *chosen)
    return build(parsed.base or _local_base(), parsed.tag, *chosen) or _check(parsed.tag)


def engine() -> str:
    """Podman or Docker. SystemExit, with what to install, if there is neither."""
    for name in ("podman", "docker"):
        if found := shutil.which(name):
            return found
    raise SystemExit("container: needs podman (on Debian: apt-get install podman) or docker")


def build(base: str | None, tag: str, *extra: str) -> int:
    """Builds the image under that name; the engine's exit code."""
    command = [engine(), "build", "--file", "Containerfile", "--tag", tag, *extra]
    command += ["--build-arg", f"VERSION={__version__}", "--build-arg", f"REVISION={_revision()}"]
    if base:
        command += ["--build-arg", f"BASE_IMAGE={base}"]
    if authority := os.environ.get("PIP_CERT"):  # the build sees no other part of this machine
        command += ["--secret", f"id=ca,src={authority}"]
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct") or "0"
    if Path(command[0]).name == "podman":
        # Docker's format, since that of the OCI has no health check. The builder's own sandbox is
        # the plain one where this runs in a sandbox already and may not make another.
        command += ["--format", "docker", "--timestamp", epoch]
        command += ["--isolation", "chroot"] if os.geteuid() == 0 else []
    else:
        command += ["--build-arg", f"SOURCE_DATE_EPOCH={epoch}"]
    return subprocess.run([*command, "."], cwd=ROOT, check=False).returncode


def _revision() -> str:
    return _git("rev-parse", "HEAD") or "unknown"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()


def _local_base() -> str:
    """The base made of Debian's packages, made now if the engine does not have it yet."""
    there = [engine(), "image", "inspect", LOCAL_BASE]
    if subprocess.run(there, check=False, capture_output=True).returncode == 0:
        return LOCAL_BASE
    print(f"container: making {LOCAL_BASE} of Debian's packages", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        archive = f"{directory}/base.tar"
        make = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={_INCLUDED}"]
        subprocess.run([*make, SUITE, archive], check=True)
        subprocess.run([engine(), "import", archive, LOCAL_BASE], check=True, capture_output=True)
    return LOCAL_BASE


def _check(tag: str) -> int:
    command = [sys.executable, "-m", "pytest", "-p", "tests.plugins.no_skips"]
    command += ["tests/deploy/test_image.py"]
    environment = {**os.environ, "HEADGATE_IMAGE": tag}
    return subprocess.run(command, cwd=ROOT, check=False, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
