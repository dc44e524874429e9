"""Writes the bill of materials, CycloneDX 1.6 in JSON: `just sbom [--image NAME] [FILE]`.

It lists what the runtime lock installs, as read from an environment that holds just that, with
licences and who needs whom. With an image, also the Python and the base's packages that ended up
in it; the image itself says which. SOURCE_DATE_EPOCH gives its date; without, it has none, and the
same lock gives the same file.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.tools.audit import normal, pins
from deploy.tools.container import engine

LOCK = Path("deploy/lock/runtime.txt")
_IN_IMAGE = "opt/headgate/base-packages.json"
_PURL = {
    "deb": "pkg:deb/debian/{name}@{version}?arch={architecture}",
    "apk": "pkg:apk/alpine/{name}@{version}",
    "generic": "pkg:generic/{name}@{version}",
}


def main(arguments: list[str]) -> int:
    """Writes the file and says what is in it; 1 if it lacks anything that the lock installs."""
    parser = argparse.ArgumentParser(prog="just sbom")
    parser.add_argument("--image", help="an image made by `just container`")
    parser.add_argument("file", nargs="?", type=Path, default=Path("build/sbom.json"))
    parsed = parser.parse_args(arguments)
    materials = installed()
    if lacking := missing(materials, LOCK.read_text()):
        print(f"sbom: {', '.join(sorted(lacking))}: locked, but not in the bill", file=sys.stderr)
        return 1
    if parsed.image:
        materials["components"] += [component(row) for row in in_image(parsed.image)]
    parsed.file.parent.mkdir(parents=True, exist_ok=True)
    parsed.file.write_text(json.dumps(materials, indent=1, ensure_ascii=False) + "\n")
    print(f"sbom: {len(materials['components'])} components in {parsed.file}")
    return 0


def installed() -> dict[str, Any]:
    """The bill of what the runtime lock installs."""
    with tempfile.TemporaryDirectory() as directory:
        venv.create(directory, with_pip=True)
        pip = [f"{directory}/bin/python", "-m", "pip", "--disable-pip-version-check"]
        install = [*pip, "install", "--quiet", "--require-hashes", "--no-deps", "--no-compile"]
        subprocess.run([*install, "--only-binary", ":all:", "-r", str(LOCK)], check=True)
        subprocess.run([*pip, "uninstall", "--quiet", "--yes", "setuptools", "pip"], check=True)
        reader = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"]
        reader += ["--sv", "1.6", "--of", "JSON", "--pyproject", "pyproject.toml", directory]
        done = subprocess.run(reader, check=True, capture_output=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def missing(materials: Mapping[str, Any], lock: str) -> set[str]:
    """What a lock installs here, as name and version, that the bill does not list."""
    listed = {(normal(one["name"]), one["version"]) for one in materials["components"]}
    return {f"{name} {version}" for name, version in pins(lock).items() - listed}


def in_image(image: str) -> list[dict[str, str]]:
    """What the image says of the packages it took from its base."""
    made = subprocess.run([engine(), "create", image], check=True, capture_output=True, text=True)
    container = made.stdout.strip()
    try:
        copy = [engine(), "cp", f"{container}:/{_IN_IMAGE}", "-"]
        archive = subprocess.run(copy, check=True, capture_output=True).stdout
    finally:
        subprocess.run([engine(), "rm", container], check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        file = opened.extractfile(Path(_IN_IMAGE).name)
        if file is None:
            raise SystemExit(f"sbom: {image} has no {_IN_IMAGE}")
        rows: list[dict[str, str]] = json.load(file)
    return rows


def component(row: Mapping[str, str]) -> dict[str, str]:
    """A package of the base as a component."""
    purl = _PURL[row["type"]].format(**row)
    return {
        "type": "library",
        "bom-ref": purl,
        "name": row["name"],
        "version": row["version"],
        "purl": purl,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
