"""Accept and Accept-Encoding: tables, and a slow second reading to compare with."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.semantics.accept import (
    MAX_FIELD_LENGTH,
    Codings,
    Weighted,
    acceptable_codings,
    parse_weighted,
    preferred_media_type,
)

CODINGS = ("br", "zstd", "gzip")
CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"
    "*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
)
FIREFOX_IMAGE = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, []),
        ("", []),
        (" , ,\t,", []),
        ("gzip", [("gzip", (), 1000)]),
        ("GZip;Q=0.5", [("gzip", (), 500)]),
        ("gzip ; q=0.123\t, br", [("gzip", (), 123), ("br", (), 1000)]),
        ("a;q=0, b;q=0., c;q=0.0, d;q=1., e;q=1.000", [*"abcde"]),
        ("text/html;Level=1;q=0.4;X=Y", [("text/html", (("level", "1"), ("x", "Y")), 400)]),
        ('a/b;t="x, y;z\\"\\q";q=0.1, c', [("a/b", (("t", 'x, y;z"q'),), 100), ("c", (), 1000)]),
        ("a;;q=0.2; ,b;", [("a", (), 200), ("b", (), 1000)]),
        # Each of these drops one element and leaves its neighbour.
        ("a;q=1.001, b", ["b"]),
        ("a;q=0.1234, b", ["b"]),
        ("a;q=.5, b", ["b"]),
        ("a;q=-1, b", ["b"]),
        ("a;q=, b", ["b"]),
        ("a;q, b", ["b"]),
        ("a;q=1e0, b", ["b"]),
        ("a;q=٠, b", ["b"]),
        ('a;q="1", b', ["b"]),
        ("a;q=1;q=1, b", ["b"]),
        ("a;q = 1, b", ["b"]),
        ("a/b/c, b", ["b"]),
        ("/b, b", ["b"]),
        ("a b, b", ["b"]),
        (";a, b", ["b"]),
        ('"a", b', ["b"]),
        ("a\n, b", ["b"]),
        ('b, a;x="open, c', ["b"]),
        ('b, a;x="open\\', ["b"]),
    ],
)
def test_parse_weighted(value: str | None, expected: list[object]) -> None:
    found = parse_weighted(value)
    if all(isinstance(one, str) for one in expected):
        assert [one.name for one in found] == expected
    else:
        assert list(found) == [Weighted(*one) for one in expected if isinstance(one, tuple)]


def test_weights_of_all_spellings() -> None:
    found = parse_weighted("a;q=0, b;q=0., c;q=0.5, d;q=0.05, e;q=0.005, f;q=1., g;q=1.000")
    assert [one.weight for one in found] == [0, 0, 500, 50, 5, 1000, 1000]


def test_a_field_that_is_too_long_counts_as_absent() -> None:
    fits = "gzip" + " " * (MAX_FIELD_LENGTH - 4)
    assert parse_weighted(fits) == (Weighted("gzip"),)
    assert parse_weighted(fits + " ") == ()
    assert acceptable_codings(fits + " ", CODINGS) == Codings((), identity=True)
    assert preferred_media_type("text/plain" + " " * MAX_FIELD_LENGTH, ("a/b",)) == "a/b"


PROBLEM = ("application/problem+json", "text/html")
LISTING = ("text/html; charset=utf-8", "application/json")


@pytest.mark.parametrize(
    ("accept", "offers", "expected"),
    [
        (None, PROBLEM, PROBLEM[0]),
        ("", PROBLEM, PROBLEM[0]),
        ("nonsense", PROBLEM, PROBLEM[0]),
        ("*", PROBLEM, PROBLEM[0]),
        ("*/html", PROBLEM, PROBLEM[0]),
        ("*/*", PROBLEM, PROBLEM[0]),
        (CHROME, PROBLEM, "text/html"),
        (FIREFOX_IMAGE, PROBLEM, PROBLEM[0]),
        ("text/html, */*", PROBLEM, "text/html"),
        ("text/*, */*", PROBLEM, "text/html"),
        ("*/*, text/html", PROBLEM, "text/html"),
        ("text/html;q=0.1, */*", PROBLEM, PROBLEM[0]),
        ("TEXT/HTML", PROBLEM, "text/html"),
        ("application/json", PROBLEM, None),
        ("text/html;q=0", PROBLEM, None),
        ("text/html;q=0, */*;q=0.1", PROBLEM, PROBLEM[0]),
        ("text/*;q=0, text/html;q=0.1", PROBLEM, "text/html"),
        ("text/html;q=0.2, text/*;q=0.9, application/*;q=0.3", PROBLEM, PROBLEM[0]),
        ("text/html;level=1, application/*;q=0.1", PROBLEM, PROBLEM[0]),
        ("application/json", LISTING, "application/json"),
        ("application/json, */*", LISTING, "application/json"),
        ("*/*", LISTING, LISTING[0]),
        ("text/html", LISTING, LISTING[0]),
        ('text/html;charset="UTF-8"', LISTING, LISTING[0]),
        ("text/html;charset=latin1", LISTING, None),
        ("text/html;q=0.9;charset=utf-8, text/html;q=0.1, */*;q=0.5", LISTING, LISTING[0]),
        ("text/html, text/html;charset=utf-8;q=0, application/json;q=0.1", LISTING, LISTING[1]),
        ("text/html, text/html;q=0", PROBLEM, "text/html"),
        ("text/html", (), None),
        (None, (), None),
    ],
)
def test_preferred_media_type(
    accept: str | None, offers: tuple[str, ...], expected: str | None
) -> None:
    assert preferred_media_type(accept, offers) == expected


@pytest.mark.parametrize(
    ("value", "accepted", "identity"),
    [
        (None, (), True),
        ("", (), True),
        ("gzip, deflate, br, zstd", ("br", "zstd", "gzip"), True),
        ("gzip, deflate", ("gzip",), True),
        ("GZIP", ("gzip",), True),
        ("x-gzip", ("gzip",), True),
        ("X-GZip;q=0, *", ("br", "zstd"), True),
        ("gzip;q=1.0, br;q=0.5, zstd;q=0.7", ("gzip", "zstd", "br"), True),
        ("*", ("br", "zstd", "gzip"), True),
        ("*;q=0.5, gzip", ("gzip", "br", "zstd"), True),
        ("br;q=0, *", ("zstd", "gzip"), True),
        ("*;q=0", (), False),
        ("*;q=0, identity;q=0.001", (), True),
        ("*;q=0, gzip", ("gzip",), False),
        ("gzip, identity;q=0", ("gzip",), False),
        ("identity;q=0", (), False),
        ("identity;q=0, *", ("br", "zstd", "gzip"), False),
        ("identity;q=1, *;q=0", (), True),  # a browser's media request
        ("identity", (), True),
        ("identity;q=0.5, gzip;q=0.4, br;q=0.5", ("br",), True),
        ("gzip;q=0, gzip", (), True),
        ("gzip;q=2, br", ("br",), True),
        ("bro", (), True),
    ],
)
def test_acceptable_codings(value: str | None, accepted: tuple[str, ...], identity: bool) -> None:
    assert acceptable_codings(value, CODINGS) == Codings(accepted, identity)


def test_an_offer_keeps_its_own_spelling() -> None:
    assert acceptable_codings("br", ("BR",)).accepted == ("BR",)


# --- a second reading, character by character --------------------------------------------------

TCHAR = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def slow_split(text: str, mark: str) -> list[str]:
    pieces, quoted, escaped = [""], False, False
    for character in text:
        if character == mark and not quoted:
            pieces.append("")
            continue
        pieces[-1] += character
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
    return pieces


def slow_token(text: str) -> bool:
    return bool(text) and all(character in TCHAR for character in text)


def slow_value(text: str) -> str | None:
    if slow_token(text):
        return text
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return None
    inner, out, position = text[1:-1], "", 0
    while position < len(inner):
        if inner[position] == '"':
            return None
        if inner[position] == "\\":
            position += 1
            if position == len(inner):
                return None
        code = ord(inner[position])
        if code != 9 and not 32 <= code <= 126 and not 128 <= code <= 255:
            return None
        out += inner[position]
        position += 1
    return out


def slow_weight(text: str) -> int | None:
    digits = text.replace(".", "", 1)
    if not digits.isascii() or not digits.isdigit() or len(text) > 5 or text[0] not in "01":
        return None
    if len(text) > 1 and text[1] != ".":
        return None
    weight = Decimal(text) * 1000
    return int(weight) if weight <= 1000 else None


def slow_element(text: str) -> Weighted | None:
    name, *rest = (piece.strip(" \t") for piece in slow_split(text, ";"))
    halves = name.split("/")
    if len(halves) > 2 or not all(slow_token(half) for half in halves):
        return None
    parameters, weight = [], None
    for part in rest:
        if not part:
            continue
        key, equals, raw = part.partition("=")
        value = slow_value(raw)
        if not equals or not slow_token(key) or value is None:
            return None
        if key.lower() != "q":
            parameters.append((key.lower(), value))
        elif weight is not None or (weight := slow_weight(raw)) is None:
            return None
    return Weighted(name.lower(), tuple(parameters), 1000 if weight is None else weight)


def slow_parse(text: str) -> list[Weighted]:
    found = [slow_element(piece) for piece in slow_split(text, ",")]
    return [one for one in found if one is not None]


def slow_media_type(accept: str, offers: tuple[str, ...]) -> str | None:
    """Tries the levels of §12.5.1 one after the other; offers here have no parameters."""
    ranges = [
        one
        for one in slow_parse(accept)
        if one.name.count("/") == 1 and (one.name == "*/*" or not one.name.startswith("*/"))
    ]
    if not ranges:
        return offers[0]
    marks = []
    for place, offer in enumerate(offers):
        for level, token in enumerate((offer, offer.split("/")[0] + "/*", "*/*")):
            same = [one for one in ranges if one.name == token and not one.parameters]
            if same:
                marks.append((-same[0].weight, level, place))
                break
    marks = [mark for mark in sorted(marks) if mark[0]]
    return offers[marks[0][2]] if marks else None


def slow_codings(value: str, offers: tuple[str, ...]) -> Codings:
    def weight(coding: str) -> int | None:
        names = {coding, "x-gzip"} if coding == "gzip" else {coding}
        return next((one.weight for one in slow_parse(value) if one.name in names), None)

    rest, identity = weight("*"), weight("identity")
    accepted = []
    for place, offer in enumerate(offers):
        own = weight(offer)
        own = (rest or 0) if own is None else own
        if own > 0 and (identity is None or own >= identity):
            accepted.append((-own, place, offer))
    refused = identity == 0 or (identity is None and rest == 0)
    return Codings(tuple(offer for *_, offer in sorted(accepted)), not refused)


ELEMENTS = "q=0 ;q=0.5 ;q=1 ;q=0. gzip x-gzip br identity text html text/html text/* */* a/b ;c=d"
pieces = st.sampled_from([*',,,;;;=="" \t\\/*.019q\x00éĀ', ';c="d,e"', *ELEMENTS.split()])
fields = st.one_of(st.lists(pieces, max_size=24).map("".join), st.text(max_size=40))

weights = st.sampled_from(["", ";q=0", ";q=0.3", "; q=0.5", ";Q=0.50", ";q=1", ";q=1.1", ";x=y"])


def lists_of(*names: str) -> st.SearchStrategy[str]:
    one = st.builds("{}{}".format, st.sampled_from(names), weights)
    return st.lists(one, max_size=6).map(", ".join)


@given(fields)
def test_the_parser_reads_as_the_slow_one(value: str) -> None:
    assert list(parse_weighted(value)) == slow_parse(value)


@given(st.one_of(fields, lists_of("gzip", "x-gzip", "br", "Zstd", "identity", "*", "deflate")))
def test_codings_agree_with_the_slow_reading(value: str) -> None:
    assert acceptable_codings(value, CODINGS) == slow_codings(value, CODINGS)


@given(st.one_of(fields, lists_of("text/html", "text/*", "*/*", "a/b", "a/*", "Text/HTML", "*")))
def test_media_types_agree_with_the_slow_reading(value: str) -> None:
    offers = ("a/b", "text/html", "text/plain")
    assert preferred_media_type(value, offers) == slow_media_type(value, offers)


@given(st.sampled_from(['"', "\\", ",", ";", '"\\', 'a;b="', "a;", "a,", "q=", " ", "a/"]))
def test_the_longest_field_is_read_at_once(piece: str) -> None:
    parse_weighted((piece * MAX_FIELD_LENGTH)[:MAX_FIELD_LENGTH])
