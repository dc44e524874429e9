"""Settings to what is served."""

from __future__ import annotations

from pathlib import Path

from proxy.origins.memory import MemoryOrigin
from proxy.site import make_site
from tests.test_assembly import settings_of


def test_every_option_of_mounts_and_rules_arrives(tmp_path: Path) -> None:
    mount = {
        "path": "/m/", "origin": "files", "index": "i.html", "precompressed": ["br"],
        "listing": True, "error_pages": {"404": "404.html"},
    }  # fmt: skip
    rule = {
        "path": "/m/**", "cache_control": "no-cache", "content_security_policy": "sandbox",
        "fallback": "/m/f.html", "download": True,
    }  # fmt: skip
    http = {"max_ranges": 3, "max_overlapping_ranges": 1, "max_target": "1KiB", "listing_page": 7}
    settings = settings_of(tmp_path, mounts=[mount], rules=[rule], http=http)
    site = make_site(settings, {"files": MemoryOrigin()})
    [mounted], [ruled] = site.mounts, site.rules
    assert (mounted.path, mounted.index, mounted.codings) == ("/m/", "i.html", ("br",))
    assert (mounted.listing, mounted.error_pages) == (True, {404: "404.html"})
    assert ruled.pattern.matches("/m/x/y")
    assert (ruled.cache_control, ruled.content_security_policy) == ("no-cache", "sandbox")
    assert (ruled.fallback, ruled.download) == ("/m/f.html", True)
    assert (site.max_ranges, site.max_overlapping_ranges) == (3, 1)
    assert (site.max_target, site.listing_page) == (1024, 7)
