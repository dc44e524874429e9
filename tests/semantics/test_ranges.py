"""The Range field: a table, a differential test against the oracle, and its cost."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.semantics import ranges
from proxy.semantics.ranges import MAX_FIELD_LENGTH, ByteRange, parse_ranges
from proxy.semantics.representation import Span
from tests.semantics import oracle
from tests.semantics.backtracking import StepCounter, hostile_texts
from tests.semantics.strategies import range_fields

IGNORED = "ignored"
UNSATISFIABLE: list[tuple[int, int]] = []
HUGE = "9" * 4000

# text, size, and (start, length) of each range that is met
TABLE: list[tuple[str, int, list[tuple[int, int]] | str]] = [
    ("", 10, IGNORED),
    ("bytes", 10, IGNORED),
    ("bytes=", 10, IGNORED),
    ("bytes= ", 10, IGNORED),
    ("bytes=,", 10, IGNORED),
    ("bytes= , \t,,", 10, IGNORED),
    ("bytes=-", 10, IGNORED),
    ("bytes=7", 10, IGNORED),
    ("bytes= 7 ", 10, IGNORED),
    ("bytes=a-z", 10, IGNORED),
    ("bytes=0-9", 10, [(0, 10)]),
    ("bytes=0-0", 10, [(0, 1)]),
    ("bytes=0-", 10, [(0, 10)]),
    ("bytes=5-", 10, [(5, 5)]),
    ("bytes=9-", 10, [(9, 1)]),
    ("bytes=10-", 10, UNSATISFIABLE),
    ("bytes=0-20", 10, [(0, 10)]),
    ("bytes=15-20", 10, UNSATISFIABLE),
    ("bytes=2-1", 10, IGNORED),
    ("bytes=0-1,5-4", 10, IGNORED),
    ("bytes=20-11", 10, IGNORED),
    ("bytes=-5", 10, [(5, 5)]),
    ("bytes=-15", 10, [(0, 10)]),
    ("bytes=-0", 10, UNSATISFIABLE),
    ("bytes=-00", 10, UNSATISFIABLE),
    ("bytes=-0,-1", 10, [(9, 1)]),
    ("bytes=000-0004", 10, [(0, 5)]),
    ("bytes=1-2,5-", 10, [(1, 2), (5, 5)]),
    ("bytes=5-,1-2", 10, [(5, 5), (1, 2)]),
    ("bytes=0-4,20-", 10, [(0, 5)]),
    ("bytes=0-0,-1", 10, [(0, 1), (9, 1)]),
    ("bytes=0-,0-", 10, [(0, 10), (0, 10)]),
    ("bytes= 0-1", 10, [(0, 2)]),
    ("bytes=0-1 ", 10, [(0, 2)]),
    ("\tbytes=0-1\t", 10, [(0, 2)]),
    ("bytes=,,0-1,\t ,3-4,", 10, [(0, 2), (3, 2)]),
    ("bytes=0-1 \t, \t3-4", 10, [(0, 2), (3, 2)]),
    ("bytes=0 -1", 10, IGNORED),
    ("bytes=0- 1", 10, IGNORED),
    ("bytes=- 1", 10, IGNORED),
    ("bytes=0-1 3-4", 10, IGNORED),
    ("bytes=0-1;3-4", 10, IGNORED),
    ("bytes=0-1-2", 10, IGNORED),
    ("bytes=--1", 10, IGNORED),
    ("bytes=-1-", 10, IGNORED),
    ("bytes=+1-2", 10, IGNORED),
    ("bytes=1_0-20", 100, IGNORED),
    ("bytes=1.0-2", 10, IGNORED),
    ("bytes=0x1-2", 10, IGNORED),
    ("bytes=１-２", 10, IGNORED),
    ("bytes=١-٢", 10, IGNORED),
    ("bytes=²-3", 10, IGNORED),
    ("bytes=0–1", 10, IGNORED),
    ("bytes=0-1\n", 10, IGNORED),
    ("bytes=0-1\u00a0", 10, IGNORED),
    ("bytes=0-1\x0b", 10, IGNORED),
    ("bytes=0-1\0", 10, IGNORED),
    ("BYTES=0-1", 10, [(0, 2)]),
    ("bYtEs=0-1", 10, [(0, 2)]),
    ("byteſ=0-1", 10, IGNORED),
    ("bytes =0-1", 10, IGNORED),
    ("byte=0-1", 10, IGNORED),
    ("items=0-1", 10, IGNORED),
    ("seconds=0-1", 10, IGNORED),
    ("=0-1", 10, IGNORED),
    ("0-1", 10, IGNORED),
    ("bytes:0-1", 10, IGNORED),
    ("bytes=bytes=0-1", 10, IGNORED),
    ("bytes=0-1, bytes=3-4", 10, IGNORED),  # two fields, joined
    ("bytes=*", 10, IGNORED),
    ("bytes=0-1/10", 10, IGNORED),
    ("bytes=0-18446744073709551616", 10, [(0, 10)]),
    ("bytes=18446744073709551616-", 10, UNSATISFIABLE),
    ("bytes=-18446744073709551617", 10, [(0, 10)]),
    ("bytes=-17208,-9223372036854758792", 10, [(0, 10), (0, 10)]),
    ("bytes=0-99999999999999999999", 10, [(0, 10)]),
    (f"bytes=0-{HUGE}", 10, [(0, 10)]),
    (f"bytes={HUGE}-", 10, UNSATISFIABLE),
    (f"bytes=-{HUGE}", 10, [(0, 10)]),
    (f"bytes=0-{HUGE * 2}", 10, IGNORED),
    ("bytes=0-0", 0, UNSATISFIABLE),
    ("bytes=0-", 0, UNSATISFIABLE),
    ("bytes=-1", 0, UNSATISFIABLE),  # `proxy.semantics.plan` answers this one whole
    ("bytes=-1", 1, [(0, 1)]),
    ("bytes=0-0", 1, [(0, 1)]),
    ("bytes=1-1", 1, UNSATISFIABLE),
    ("bytes=0-0,0-0,0-0", 1, [(0, 1), (0, 1), (0, 1)]),
]


@pytest.mark.parametrize(("text", "size", "expected"), TABLE, ids=lambda v: repr(v)[:40])
def test_range_field(text: str, size: int, expected: list[tuple[int, int]] | str) -> None:
    asked = parse_ranges(text)
    if asked is None:
        assert expected == IGNORED
        return
    met = [span for wanted in asked if (span := wanted.meet(size)) is not None]
    assert [(span.start, span.length) for span in met] == expected


def test_absent_field_is_ignored() -> None:
    assert parse_ranges(None) is None


@pytest.mark.parametrize("text", ["0-99", "100-", "-500", "0-0"])
def test_a_range_is_written_as_it_was_read(text: str) -> None:
    asked = parse_ranges("bytes=" + text)
    assert asked is not None
    assert [str(wanted) for wanted in asked] == [text]


@given(range_fields())
def test_parser_agrees_with_the_oracle(text: str) -> None:
    asked = parse_ranges(text)
    ours = None if asked is None else [(wanted.first, wanted.last) for wanted in asked]
    assert ours == oracle.byte_ranges(text)


POSITIONS = st.integers(0, 2**70) | st.integers(0, 40)


@given(
    st.one_of(
        st.builds(ByteRange, st.none(), POSITIONS),
        st.builds(ByteRange, POSITIONS, st.none()),
        st.tuples(POSITIONS, POSITIONS).map(lambda pair: ByteRange(min(pair), max(pair))),
    ),
    st.integers(0, 40),
)
def test_a_span_lies_within_the_size(wanted: ByteRange, size: int) -> None:
    span = wanted.meet(size)
    found = oracle.slice_of((wanted.first, wanted.last), bytes(range(size)))
    if span is None:
        assert found is None or found[1] == b""
        return
    assert 0 <= span.start < span.stop <= size
    assert found == (span.start, bytes(range(size))[span.start : span.stop])


# --- cost ---------------------------------------------------------------------------------------


class _Untouchable(str):
    """A text whose characters may not be looked at."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> object:
        raise AssertionError(f"a field that is too long was read, by {name}")


def test_too_long_a_field_is_refused_at_once() -> None:
    with pytest.raises(AssertionError):
        parse_ranges(_Untouchable("bytes=0-1"))
    for length in (MAX_FIELD_LENGTH + 1, 16_384, 65_536):
        assert parse_ranges(_Untouchable("bytes=" + "0-," * (length // 3))) is None


def test_the_longest_field_is_read() -> None:
    text = "bytes=0-1" + "," * (MAX_FIELD_LENGTH - 9)
    assert parse_ranges(text) == (ByteRange(0, 1),)
    assert parse_ranges(text + ",") is None


def _steps(monkeypatch: pytest.MonkeyPatch, text: str) -> int:
    counter = StepCounter(re.compile(ranges._RANGE.pattern))
    with monkeypatch.context() as patch:
        patch.setattr(ranges, "_RANGE", counter)
        parse_ranges("bytes=" + text)
    return counter.steps


def test_work_grows_no_faster_than_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    alphabet = [" ", "\t", "0", "-", ",", "x", "0-1", "0-,"]
    short = hostile_texts(alphabet, 60)
    long = hostile_texts(alphabet, 120)
    for a, b in zip(short, long, strict=True):
        assert _steps(monkeypatch, b) <= 2.2 * _steps(monkeypatch, a) + 40, b


def test_span_length() -> None:
    assert Span(3, 10).length == 7
