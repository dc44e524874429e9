"""Asks whether anything in the locks has a known vulnerability: `just audit`.

An audit that reached no database, or was not told of a package, looks just like one that found
nothing. So a release known to be vulnerable is asked about first and must be reported, and every
pin that applies to this machine must be among the answers.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TypedDict

from packaging.requirements import Requirement

LOCKS = Path("deploy/lock")
# CVE-2021-33503 and several since; old enough never to leave the databases.
_KNOWN_BAD = "urllib3==1.26.4\n"


class Package(TypedDict, total=False):
    """One package of pip-audit's answer."""

    name: str
    version: str
    vulns: list[dict[str, object]]
    skip_reason: str


def main() -> int:
    """0 if all was looked at and nothing found, 1 if something was found, 2 if we can't tell."""
    trial = ask(_KNOWN_BAD)
    if not any(package.get("vulns") for package in trial):
        why = "".join(f" ({one['skip_reason']})" for one in trial if "skip_reason" in one)
        print(f"audit: {_KNOWN_BAD.strip()} is not reported as vulnerable{why}: no audit")
        return 2
    findings: dict[str, str] = {}
    for lock in sorted(LOCKS.glob("*.txt")):
        expected = pins(lock.read_text())
        answers = ask("".join(f"{name}=={version}\n" for name, version in expected.items()))
        missing = expected.keys() - {normal(one["name"]) for one in answers if "vulns" in one}
        if missing:
            print(f"audit: {lock}: no answer about {', '.join(sorted(missing))}")
            return 2
        print(f"audit: {lock}: looked at {len(expected)} packages")
        findings |= {
            f"{one['name']} {one['version']}": _text(one) for one in answers if one["vulns"]
        }
    for package, text in findings.items():
        print(f"audit: {package}: {text}")
    return 1 if findings else 0


def pins(lock: str) -> dict[str, str]:
    """Name to version of each pin in a lock's text that applies to this machine."""
    found = {}
    for line in lock.splitlines():
        if re.match(r"[\w.-]+==", line):
            pin = Requirement(line.rstrip(" \\"))
            if pin.marker is None or pin.marker.evaluate():
                found[normal(pin.name)] = str(pin.specifier).removeprefix("==")
    return found


def normal(name: str) -> str:
    """A package's name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def ask(requirements: str) -> list[Package]:
    """What pip-audit says of these pins; nothing if it could not answer."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(requirements)
        file.flush()
        command = [sys.executable, "-m", "pip_audit", "--requirement", file.name, "--no-deps"]
        command += ["--disable-pip", "--format", "json", "--progress-spinner", "off"]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=_environment()
        )
    try:
        answers: list[Package] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"audit: pip-audit gave no answer: {_last(done.stderr)}")
        return []
    return answers


def _environment() -> dict[str, str]:
    """Ours; where pip was told of a certificate authority, pip-audit is told too."""
    authority = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    return {"REQUESTS_CA_BUNDLE": authority, **os.environ} if authority else dict(os.environ)


def _last(stderr: str) -> str:
    return (stderr.strip().splitlines() or ["(it said nothing)"])[-1]


def _text(package: Package) -> str:
    said = []
    for one in package["vulns"]:
        fixes = one.get("fix_versions") or []
        mended = f"mended in {', '.join(map(str, fixes))}" if isinstance(fixes, list) else ""
        said.append(f"{one.get('id')} ({mended or 'no release mends it'})")
    return ", ".join(said)


if __name__ == "__main__":
    sys.exit(main())
