"""Cache-Status, Server-Timing and the words for a log: tables, and what is written read back."""

from __future__ import annotations

from math import inf, nan
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.semantics.cache_status import (
    MAX_TEXT_LENGTH,
    CacheReport,
    Forwarded,
    cache_status,
    server_timing,
    summary,
)
from proxy.semantics.fields import safe_value
from tests.semantics.oracle import TCHAR
from tests.semantics.strategies import GARBAGE
from tests.semantics.test_structured import SlowReader


@pytest.mark.parametrize(
    ("report", "field", "words"),
    [
        (CacheReport(), b"headgate", ""),
        (CacheReport(hit=True), b"headgate; hit", "hit"),
        (CacheReport(hit=True, ttl=30), b"headgate; hit; ttl=30", "hit"),
        (
            CacheReport(hit=True, ttl=30, detail="memory"),
            b"headgate; hit; ttl=30; detail=memory",
            "hit (memory)",
        ),
        (CacheReport(hit=True, ttl=0, age=60), b"headgate; hit; ttl=0", "hit"),
        (CacheReport(hit=True, ttl=-412), b"headgate; hit; ttl=-412", "stale hit"),
        (
            CacheReport(hit=True, ttl=-1, detail="disk"),
            b"headgate; hit; ttl=-1; detail=disk",
            "stale hit (disk)",
        ),
        (CacheReport(fwd="uri-miss"), b"headgate; fwd=uri-miss", "miss"),
        (
            CacheReport(fwd="uri-miss", stored=True, ttl=60),
            b"headgate; fwd=uri-miss; stored; ttl=60",
            "miss",
        ),
        (
            CacheReport(fwd="uri-miss", collapsed=True),
            b"headgate; fwd=uri-miss; collapsed",
            "collapsed",
        ),
        (CacheReport(fwd="miss"), b"headgate; fwd=miss", "miss"),
        (CacheReport(fwd="request"), b"headgate; fwd=request", "request"),
        (CacheReport(fwd="bypass"), b"headgate; fwd=bypass", "bypass"),
        (
            CacheReport(fwd="bypass", detail="no room"),
            b'headgate; fwd=bypass; detail="no room"',
            "bypass (no room)",
        ),
        (CacheReport(fwd="stale", fwd_status=200), b"headgate; fwd=stale; fwd-status=200", "stale"),
        (
            CacheReport(fwd="stale", fwd_status=304, ttl=300),
            b"headgate; fwd=stale; fwd-status=304; ttl=300",
            "revalidated",
        ),
        (
            CacheReport(fwd="stale", fwd_status=304, collapsed=True, ttl=300),
            b"headgate; fwd=stale; fwd-status=304; collapsed; ttl=300",
            "collapsed",
        ),
        (
            CacheReport(fwd="partial", fwd_status=206, stored=True),
            b"headgate; fwd=partial; fwd-status=206; stored",
            "partial",
        ),
        # The two exclude each other (§2.1), and the rest says something only of the second.
        (CacheReport(hit=True, fwd="partial"), b"headgate; fwd=partial", "partial"),
        (
            CacheReport(hit=True, stored=True, collapsed=True, fwd_status=200),
            b"headgate; hit",
            "hit",
        ),
        (CacheReport(hit=True, detail="a\r\nb: \xe9"), b'headgate; hit; detail="a??b: ?"', None),
        (CacheReport(hit=True, detail='"\\"'), b'headgate; hit; detail="\\"\\\\\\""', None),
        (CacheReport(hit=True, detail="a:b/c"), b"headgate; hit; detail=a:b/c", None),
        (CacheReport(hit=True, detail="1st"), b'headgate; hit; detail="1st"', None),
        (CacheReport(hit=True, detail="*"), b"headgate; hit; detail=*", None),
        (
            CacheReport(hit=True, ttl=10**20),
            b"headgate; hit; ttl=999999999999999",
            None,
        ),
        (
            CacheReport(hit=True, ttl=-(10**20)),
            b"headgate; hit; ttl=-999999999999999",
            None,
        ),
        (
            CacheReport(hit=True, detail="x" * 1000),
            b"headgate; hit; detail=" + b"x" * MAX_TEXT_LENGTH,
            None,
        ),
    ],
)
def test_reports(report: CacheReport, field: bytes, words: str | None) -> None:
    assert cache_status(report) == field
    if words is not None:
        assert summary(report) == words


@pytest.mark.parametrize(
    ("cache", "name"),
    [
        ("edge-1.example", b"edge-1.example"),
        ("Example Cache", b'"Example Cache"'),
        ("10.0.0.7", b'"10.0.0.7"'),
        ("", b'""'),
    ],
)
def test_names(cache: str, name: bytes) -> None:
    assert cache_status(CacheReport(hit=True), cache) == name + b"; hit"


def test_words_hold_nothing_that_ends_a_line() -> None:
    assert summary(CacheReport(hit=True, detail="a\nb\x1b[0m\u2028")) == "hit (a?b?[0m?)"


# --- read back ----------------------------------------------------------------------------------

Bare = bool | int | str


class ItemReader(SlowReader):
    """One member of a List with the values of its parameters (RFC 9651 §4.2.3)."""

    def value(self) -> Bare:
        before = list(self.rest)
        found = self.bare_item()
        text = "".join(before[: len(before) - len(self.rest)])
        if found is not None:
            return found
        if text.startswith('"'):
            return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        assert text[0].isalpha() or text[0] == "*"
        return text

    def member(self) -> tuple[Bare, dict[str, Bare]]:
        name = self.value()
        parameters: dict[str, Bare] = {}
        while self.rest:
            self.expect(";")
            self.discard(" ")
            key = self.key()
            assert key not in parameters
            parameters[key] = True
            if self.peek() == "=":
                self.take()
                parameters[key] = self.value()
        return name, parameters


REPORTS = st.builds(
    CacheReport,
    hit=st.booleans(),
    fwd=st.none() | st.sampled_from(get_args(Forwarded)),
    fwd_status=st.none() | st.integers(100, 599),
    ttl=st.none() | st.integers() | st.integers(-100, 100),
    stored=st.booleans(),
    collapsed=st.booleans(),
    detail=st.sampled_from(["", "memory", "disk", 'a "b\\', "two words"]) | GARBAGE,
    age=st.none() | st.integers(0, 100),
)


@given(REPORTS, st.just("headgate") | GARBAGE)
def test_it_can_be_read_back(report: CacheReport, cache: str) -> None:
    field = cache_status(report, cache)
    assert safe_value(field.decode("ascii")) == field
    name, found = ItemReader(field.decode("ascii")).member()
    forwarded = report.fwd is not None
    expected: dict[str, Bare | None] = {
        "hit": report.hit and not forwarded,
        "fwd": report.fwd,
        "fwd-status": report.fwd_status if forwarded else None,
        "stored": forwarded and report.stored,
        "collapsed": forwarded and report.collapsed,
        "ttl": None if report.ttl is None else max(-(10**15) + 1, min(report.ttl, 10**15 - 1)),
        "detail": printable(report.detail) or None,
    }
    present = {
        key: value for key, value in expected.items() if value is not None and value is not False
    }
    assert found == present
    assert list(found) == [key for key in expected if key in present]
    assert name == printable(cache)
    assert summary(report).isprintable()


def printable(text: str) -> str:
    return "".join(one if " " <= one <= "~" else "?" for one in text)


# --- Server-Timing ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ([], b""),
        ([("origin", 0.0123), ("cache", 0.0001)], b"origin;dur=12.3, cache;dur=0.1"),
        ([("total", 0.0)], b"total;dur=0.0"),
        ([("total", -1.0)], b"total;dur=0.0"),
        ([("total", 75.0)], b"total;dur=75000.0"),
        ([("a b", 1.0), ("", 1.0), ("\xe9", 1.0), ("a\n", 1.0), ("ok", 1.0)], b"ok;dur=1000.0"),
        ([("a", inf), ("b", nan), ("c", -inf)], b""),
    ],
)
def test_server_timing(parts: list[tuple[str, float]], field: bytes) -> None:
    assert server_timing(parts) == field


@given(st.lists(st.tuples(st.sampled_from(["a", "b-c"]) | GARBAGE, st.floats()), max_size=4))
def test_timings_can_be_read_back(parts: list[tuple[str, float]]) -> None:
    field = server_timing(parts).decode("ascii")
    for member in filter(None, field.split(", ")):
        name, key, value = member.replace("=", ";").split(";")
        assert name
        assert all(character in TCHAR for character in name)
        assert key == "dur"
        assert all(character in TCHAR for character in value)
        assert float(value) >= 0
