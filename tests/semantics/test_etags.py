"""Entity tags: tables of single tags and lists, the oracle, and the cost of a list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.semantics import etags
from proxy.semantics.etags import EntityTag, parse_etag, parse_etag_list
from tests.semantics import oracle
from tests.semantics.backtracking import StepCounter, hostile_texts
from tests.semantics.strategies import OPAQUE, etag_fields

A, B, WEAK_A = EntityTag("a"), EntityTag("b"), EntityTag("a", weak=True)
MALFORMED = None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"a"', A),
        ('W/"a"', WEAK_A),
        (' \t"a" ', A),
        ('""', EntityTag("")),
        ('W/""', EntityTag("", weak=True)),
        ('"a,b"', EntityTag("a,b")),
        ('"!#~"', EntityTag("!#~")),
        ('"\\"', EntityTag("\\")),  # no escapes in a tag
        ('"\xe9\xff\x80"', EntityTag("\xe9\xff\x80")),
        ('w/"a"', MALFORMED),
        ('W/ "a"', MALFORMED),
        ("W/a", MALFORMED),
        ("W/", MALFORMED),
        ("a", MALFORMED),
        ('"', MALFORMED),
        ("", MALFORMED),
        ("'a'", MALFORMED),
        ('"a', MALFORMED),
        ('a"', MALFORMED),
        ('"a"b', MALFORMED),
        ('"a"b"', MALFORMED),
        ('"a b"', MALFORMED),
        ('"a\tb"', MALFORMED),
        ('"a\0"', MALFORMED),
        ('"a\x7f"', MALFORMED),
        ('"a"\n', MALFORMED),
        ('"☃"', MALFORMED),
        ("“a”", MALFORMED),
        ('"a", "b"', MALFORMED),
        ("*", MALFORMED),
    ],
)
def test_one_tag(text: str, expected: EntityTag | None) -> None:
    assert parse_etag(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        (" ", ()),
        (",", ()),
        (", ,\t,", ()),
        ('"a"', (A,)),
        ('"a","b"', (A, B)),
        ('"a" , W/"a"', (A, WEAK_A)),
        (' ,,"a",\t,"b", ', (A, B)),
        ('"a", "a"', (A, A)),
        ('"a,b", "b"', (EntityTag("a,b"), B)),
        ('"a,","b"', (EntityTag("a,"), B)),
        ('",", ","', (EntityTag(","), EntityTag(","))),
        ('"W/", W/"W/"', (EntityTag("W/"), EntityTag("W/", weak=True))),
        ('"a" "b"', MALFORMED),
        ('"a""b"', MALFORMED),
        ('"a"W/"b"', MALFORMED),
        ('"a";"b"', MALFORMED),
        ('"a", b', MALFORMED),
        ('a, "b"', MALFORMED),
        ('"a", *', MALFORMED),
        ("*", MALFORMED),
        ('"a', MALFORMED),
        ('"a, "b"', MALFORMED),
        ('"a","b', MALFORMED),
        ('"a", w/"b"', MALFORMED),
        ('"a",\n"b"', MALFORMED),
        ('"a"\xa0,"b"', MALFORMED),
    ],
)
def test_lists(text: str, expected: tuple[EntityTag, ...] | None) -> None:
    assert parse_etag_list(text) == expected


@given(etag_fields())
def test_parsers_agree_with_the_oracle(text: str) -> None:
    tags = parse_etag_list(text)
    ours = None if tags is None else [(tag.weak, f'"{tag.opaque}"') for tag in tags]
    assert ours == oracle.entity_tags(text)
    one = parse_etag(text)
    assert (one and (one.weak, f'"{one.opaque}"')) == oracle.entity_tag(oracle.trim(text))


TAGS = st.builds(EntityTag, OPAQUE, st.booleans())


@given(TAGS)
def test_a_tag_is_written_as_it_was_read(tag: EntityTag) -> None:
    assert parse_etag(str(tag)) == tag
    assert parse_etag_list(f"{tag}, {tag}") == (tag, tag)


@pytest.mark.parametrize(
    # The table of §8.8.3.2.
    ("one", "other", "strong", "weak"),
    [
        ('W/"1"', 'W/"1"', False, True),
        ('W/"1"', 'W/"2"', False, False),
        ('W/"1"', '"1"', False, True),
        ('"1"', '"1"', True, True),
        ('"1"', '"2"', False, False),
    ],
)
def test_comparison(one: str, other: str, strong: bool, weak: bool) -> None:
    a, b = parse_etag(one), parse_etag(other)
    assert a is not None
    assert b is not None
    assert a.matches_strongly(b) is b.matches_strongly(a) is strong
    assert a.matches_weakly(b) is b.matches_weakly(a) is weak


def _steps(monkeypatch: pytest.MonkeyPatch, text: str) -> int:
    tag, separator = StepCounter(etags._TAG), StepCounter(etags._SEPARATOR)
    with monkeypatch.context() as patch:
        patch.setattr(etags, "_TAG", tag)
        patch.setattr(etags, "_SEPARATOR", separator)
        parse_etag_list(text)
    return tag.steps + separator.steps


def test_work_grows_no_faster_than_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    # Besides these steps a list costs one look at each separator: none is looked at twice.
    alphabet = [" ", "\t", '"', ",", "a", "W/", '"a"', '"a",', ", "]
    for a, b in zip(hostile_texts(alphabet, 60), hostile_texts(alphabet, 120), strict=True):
        assert _steps(monkeypatch, b) <= 2.2 * _steps(monkeypatch, a) + 60, b
