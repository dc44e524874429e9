"""The frame of all pages: allowed by its own policy, and in need of nothing else."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from proxy.pages.style import (
    CONTENT_SECURITY_POLICY,
    LISTING_STYLE,
    PROBLEM_STYLE,
    document,
)
from tests.pages.reading import Reader

DIRECTIVES = dict(part.strip().split(" ", 1) for part in CONTENT_SECURITY_POLICY.split(";"))


STYLES = pytest.mark.parametrize("style", [PROBLEM_STYLE, LISTING_STYLE])


def test_the_policy_allows_these_style_sheets_and_nothing_else() -> None:
    digests = []
    for style in (PROBLEM_STYLE, LISTING_STYLE):
        found = re.search(rb"<style>(.*?)</style>", document("t", style, "<p>b</p>"), re.DOTALL)
        assert found is not None
        digests.append(base64.b64encode(hashlib.sha256(found[1]).digest()).decode())
    assert {
        "default-src": "'none'",
        "style-src": " ".join(f"'sha256-{digest}'" for digest in digests),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    } == DIRECTIVES


@STYLES
def test_a_page_needs_nothing_from_elsewhere(style: str) -> None:
    assert set(re.findall(r"url\(([^)]{1,8})", style)) <= {'"data:im'}
    assert "@import" not in style
    assert "</" not in style
    reader = Reader(document("t", style, "<p>b</p>"))
    assert not {"script", "img", "iframe", "object", "form", "base"} & set(reader.tags)
    assert not {"style", "src", "srcset", "action"} & set(reader.attributes)


@STYLES
def test_the_style_is_for_light_and_dark_and_small(style: str) -> None:
    assert "prefers-color-scheme:dark" in style
    assert "max-width:40rem" in style
    assert b'name="viewport"' in document("t", style, "")


@STYLES
def test_every_placeholder_was_filled(style: str) -> None:
    assert not re.search(r"FOLDER|FILE|NEXT|\bUP\b", style)
    assert style.count("{") == style.count("}")


def test_a_problem_is_a_short_page() -> None:
    assert len(document("404 Not Found", PROBLEM_STYLE, "")) < 2500


def test_a_page_is_whole() -> None:
    page = document("A &amp; b", PROBLEM_STYLE, "<p>é</p>")
    assert page.startswith(b"<!doctype html>\n")
    assert b"<title>A &amp; b</title>" in page
    assert "<main>\n<p>é</p>\n</main>".encode() in page
