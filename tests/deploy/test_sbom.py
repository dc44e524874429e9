"""The bill of materials: what of it needs no environment made for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.tools.audit import pins
from deploy.tools.sbom import component, missing

LOCK = (Path(__file__).parents[2] / "deploy/lock/runtime.txt").read_text()


@pytest.mark.parametrize(
    ("row", "purl"),
    [
        (
            {"type": "deb", "name": "libc6", "version": "2.41-12", "architecture": "amd64"},
            "pkg:deb/debian/libc6@2.41-12?arch=amd64",
        ),
        ({"type": "apk", "name": "musl", "version": "1.2.5-r9"}, "pkg:apk/alpine/musl@1.2.5-r9"),
        ({"type": "generic", "name": "python", "version": "3.13.5"}, "pkg:generic/python@3.13.5"),
    ],
)
def test_a_package_of_the_base_has_its_address(row: dict[str, str], purl: str) -> None:
    made = component(row)
    assert (made["name"], made["version"], made["purl"]) == (row["name"], row["version"], purl)


def test_what_is_locked_must_be_listed() -> None:
    components = [{"name": name, "version": version} for name, version in pins(LOCK).items()]
    assert missing({"components": components}, LOCK) == set()
    gone = components.pop()
    assert missing({"components": components}, LOCK) == {f"{gone['name']} {gone['version']}"}
    components.append({**gone, "version": "0"})
    assert missing({"components": components}, LOCK), "another version is another package"
