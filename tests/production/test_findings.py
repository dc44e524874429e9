from __future__ import annotations

from proxy.production.findings import error, lines, ok, warning


def test_each_finding_is_a_line_with_its_remedy_below_and_a_count_ends_it() -> None:
    found = [ok("a", "good"), warning("b", "unwise", "do this"), error("c", "bad", "do that")]
    assert list(lines(found)) == [
        "ok       a: good",
        "warning  b: unwise",
        "         -> do this",
        "error    c: bad",
        "         -> do that",
        "errors: 1, warnings: 1, ok: 1",
    ]
