"""Verdicts: their words, and what several reads come to."""

from __future__ import annotations

from proxy.integrity.verdict import (
    NOT_READ,
    RANGE,
    Verdict,
    together,
    verdict_of,
    verdict_on_all,
)

GOOD = Verdict("verified", "crc32c", bytes=3)
UNKNOWN = Verdict("unverified", reason=RANGE, bytes=5)
BAD = Verdict("mismatch", "sha1", bytes=7)


def test_words() -> None:
    assert str(GOOD) == "crc32c verified"
    assert str(UNKNOWN) == "unverified: range"
    assert str(BAD) == "sha1 mismatch"


def test_the_worse_one_counts_and_all_bytes() -> None:
    assert together(None, GOOD) is GOOD
    for one, other in ((GOOD, UNKNOWN), (UNKNOWN, GOOD)):
        assert together(one, other) == Verdict("unverified", reason=RANGE, bytes=8)
    for one, other in ((BAD, UNKNOWN), (UNKNOWN, BAD)):
        assert together(one, other) == Verdict("mismatch", "sha1", bytes=12)


def test_on_all_bytes_at_once() -> None:
    assert verdict_on_all("crc32c", "", 3) == GOOD
    assert verdict_on_all("", RANGE, 5) == UNKNOWN
    assert verdict_on_all("", RANGE, 5) is verdict_on_all("", RANGE, 5)


def test_the_verdict_of_an_object() -> None:
    class Judged:
        verdict = GOOD

    class Unread:
        verdict = Verdict("unverified", reason=NOT_READ)

    assert verdict_of(Judged()) is GOOD
    assert verdict_of(Unread()) is None
    assert verdict_of(object()) is None
    assert verdict_of(None) is None
