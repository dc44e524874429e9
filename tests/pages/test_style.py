"""The frame of all pages: allowed by its own policy, and in need of nothing else."""

from __future__ import annotations

import base64
import hashlib
import re

from proxy.pages.style import CONTENT_SECURITY_POLICY, STYLE, document
from tests.pages.reading import Reader

DIRECTIVES = dict(part.strip().split(" ", 1) for part in CONTENT_SECURITY_POLICY.split(";"))


def test_the_policy_allows_this_style_sheet_and_nothing_else() -> None:
    page = document("t", "<p>b</p>")
    found = re.search(rb"<style>(.*?)</style>", page, re.DOTALL)
    assert found is not None
    digest = base64.b64encode(hashlib.sha256(found[1]).digest()).decode()
    assert {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    } == DIRECTIVES


def test_a_page_needs_nothing_from_elsewhere() -> None:
    addresses = re.findall(r"url\(([^)]{1,8})", STYLE)
    assert addresses
    assert set(addresses) == {'"data:im'}
    assert "@import" not in STYLE
    assert "</" not in STYLE
    reader = Reader(document("t", "<p>b</p>"))
    assert not {"script", "img", "iframe", "object", "form", "base"} & set(reader.tags)
    assert not {"style", "src", "srcset", "action"} & set(reader.attributes)


def test_the_style_is_for_light_and_dark_and_small() -> None:
    assert "prefers-color-scheme:dark" in STYLE
    assert "max-width:40rem" in STYLE
    assert b'name="viewport"' in document("t", "")


def test_every_placeholder_was_filled() -> None:
    assert not re.search(r"FOLDER|FILE|NEXT|\bUP\b", STYLE)
    assert STYLE.count("{") == STYLE.count("}")


def test_a_page_is_whole() -> None:
    page = document("A &amp; b", "<p>é</p>")
    assert page.startswith(b"<!doctype html>\n")
    assert b"<title>A &amp; b</title>" in page
    assert "<main>\n<p>é</p>\n</main>".encode() in page
