"""The status page as text; a browser shows it in tests/e2e."""

from __future__ import annotations

import base64
import hashlib
import re

from proxy.admin.page import PAGE, POLICY
from proxy.admin.page_script import SCRIPT
from proxy.admin.page_style import STYLE


def test_nothing_comes_from_elsewhere() -> None:
    assert "//" not in re.sub(r"\s//.*", "", PAGE), "no address of another host"
    assert not re.search(r"\b(?:src|srcset|@import|url\()", PAGE)


def test_the_policy_names_exactly_what_is_there() -> None:
    for text in (SCRIPT, STYLE):
        assert "</" not in text
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in POLICY
    assert "unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none'")
    assert not re.search(r"\son\w+=|style=", PAGE), "what the policy would refuse"


def test_text_never_becomes_markup() -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", SCRIPT)
