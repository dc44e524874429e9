"""Dictionaries of structured fields, against a second reading by the letter of RFC 9651 §4.2."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.semantics import structured
from proxy.semantics.structured import MAX_FIELD_LENGTH, Member, read_integers, read_members
from tests.semantics.backtracking import StepCounter, hostile_texts

LOWER = "abcdefghijklmnopqrstuvwxyz"
UPPER = LOWER.upper()
DIGITS = "0123456789"
TCHAR = "!#$%&'*+-.^_`|~" + DIGITS + LOWER + UPPER


class Malformed(Exception):
    pass


class SlowReader:
    """RFC 9651 §4.2, character by character. What is neither Integer nor Boolean is None."""

    def __init__(self, text: str) -> None:
        self.rest = list(text)

    def peek(self) -> str:
        return self.rest[0] if self.rest else ""

    def take(self) -> str:
        if not self.rest:
            raise Malformed
        return self.rest.pop(0)

    def expect(self, character: str) -> None:
        if self.take() != character:
            raise Malformed

    def discard(self, characters: str) -> None:
        while self.rest and self.rest[0] in characters:
            self.rest.pop(0)

    def field(self) -> dict[str, Member]:  # §4.2
        self.discard(" ")
        members = self.dictionary()
        self.discard(" ")
        if self.rest:
            raise Malformed
        return members

    def dictionary(self) -> dict[str, Member]:  # §4.2.2
        members: dict[str, Member] = {}
        while self.rest:
            key = self.key()
            if self.peek() == "=":
                self.take()
                value = self.item_or_inner_list()
            else:
                value = True
                self.parameters()
            members[key] = value
            self.discard(" \t")
            if not self.rest:
                return members
            self.expect(",")
            self.discard(" \t")
            if not self.rest:
                raise Malformed
        return members

    def item_or_inner_list(self) -> Member:  # §4.2.1.1
        if self.peek() != "(":
            return self.item()
        self.inner_list()
        return None

    def inner_list(self) -> None:  # §4.2.1.2
        self.expect("(")
        while self.rest:
            self.discard(" ")
            if self.peek() == ")":
                self.take()
                self.parameters()
                return
            self.item()
            if self.peek() == "" or self.peek() not in " )":
                raise Malformed
        raise Malformed

    def item(self) -> Member:  # §4.2.3
        value = self.bare_item()
        self.parameters()
        return value

    def parameters(self) -> None:  # §4.2.3.2
        while self.peek() == ";":
            self.take()
            self.discard(" ")
            self.key()
            if self.peek() == "=":
                self.take()
                self.bare_item()

    def key(self) -> str:  # §4.2.3.3
        if self.peek() == "" or self.peek() not in LOWER + "*":
            raise Malformed
        key = ""
        while self.rest and self.rest[0] in LOWER + DIGITS + "_-.*":
            key += self.take()
        return key

    def bare_item(self) -> Member:  # §4.2.3.1
        first = self.peek()
        if first == "":
            raise Malformed
        if first in "-" + DIGITS:
            return self.number()
        if first == '"':
            self.string()
        elif first in UPPER + LOWER + "*":
            while self.rest and self.rest[0] in TCHAR + ":/":
                self.take()
        elif first == ":":
            self.byte_sequence()
        elif first == "?":
            self.take()
            if self.peek() == "" or self.peek() not in "01":
                raise Malformed
            return self.take() == "1"
        elif first == "@":
            self.take()
            if self.number() is None:
                raise Malformed
        elif first == "%":
            self.display_string()
        else:
            raise Malformed
        return None

    def number(self) -> int | None:  # §4.2.4
        sign, text, decimal = 1, "", False
        if self.peek() == "-":
            self.take()
            sign = -1
        if self.peek() == "" or self.peek() not in DIGITS:
            raise Malformed
        while self.rest:
            character = self.rest[0]
            if character in DIGITS:
                text += self.take()
            elif not decimal and character == ".":
                if len(text) > 12:
                    raise Malformed
                text += self.take()
                decimal = True
            else:
                break
            if len(text) > (16 if decimal else 15):
                raise Malformed
        if not decimal:
            return sign * int(text)
        if text.endswith(".") or len(text.split(".")[1]) > 3:
            raise Malformed
        return None

    def string(self) -> None:  # §4.2.5
        self.expect('"')
        while True:
            character = self.take()
            if character == "\\":
                if self.take() not in '"\\':
                    raise Malformed
            elif character == '"':
                return
            elif not " " <= character <= "~":
                raise Malformed

    def byte_sequence(self) -> None:  # §4.2.7
        self.expect(":")
        while (character := self.take()) != ":":
            if character not in UPPER + LOWER + DIGITS + "+/=":
                raise Malformed

    def display_string(self) -> None:  # §4.2.10
        self.expect("%")
        self.expect('"')
        octets = bytearray()
        while (character := self.take()) != '"':
            if not " " <= character <= "~":
                raise Malformed
            if character == "%":
                pair = self.take() + self.take()
                if any(one not in DIGITS + "abcdef" for one in pair):
                    raise Malformed
                octets.append(int(pair, 16))
            else:
                octets.append(ord(character))
        try:
            octets.decode()
        except UnicodeDecodeError:
            raise Malformed from None


def slowly(text: str) -> dict[str, Member] | None:
    try:
        return SlowReader(text).field()
    except Malformed:
        return None


def typed(members: Mapping[str, Member] | None) -> dict[str, tuple[type, Member]] | None:
    """With their types, since True is 1 to Python."""
    return None if members is None else {key: (type(one), one) for key, one in members.items()}


def integers_of(members: Mapping[str, Member] | None) -> dict[str, int | None] | None:
    if members is None:
        return None
    return {key: None if one is True or one is False else one for key, one in members.items()}


KEYS = st.sampled_from(["a", "sha-256", "sha-512", "*", "b_.-*1"])
BARE = st.one_of(
    st.integers(-(10**15), 10**15).map(str),
    st.sampled_from(
        [
            *("1.5", "-0.125", "1.", "1.1234", "1234567890123.1", "123456789012.123", "00", "-"),
            *('""', '"a\\"b\\\\"', '"%"', '"\\x"', '%"caf%c3%a9"', '%"%ff"', '%"%C3"', '%""'),
            *("tok/en:%ff", "*", ":YWJj:", "::", ":-:", "?0", "?1", "?2", "@12", "@-1", "@1.5"),
        ]
    ),
)
PARAMETERS = st.lists(
    st.tuples(st.sampled_from([";", "; ", ";  "]), KEYS, st.none() | BARE), max_size=2
).map(lambda found: "".join(f"{mark}{key}{'' if v is None else '=' + v}" for mark, key, v in found))
ITEMS = st.tuples(BARE, PARAMETERS).map("".join)
INNER = st.tuples(
    st.lists(ITEMS, max_size=3),
    st.sampled_from([" ", "  "]),
    st.sampled_from(["", " "]),
    PARAMETERS,
).map(lambda one: f"({one[2]}{one[1].join(one[0])}{one[2]}){one[3]}")
MEMBERS = st.one_of(
    st.tuples(KEYS, PARAMETERS).map("".join),
    st.tuples(KEYS, st.just("="), ITEMS).map("".join),
    st.tuples(KEYS, st.just("="), INNER).map("".join),
)
SEPARATORS = st.sampled_from([",", ", ", "\t,  ", " ,"])
FIELDS = st.tuples(st.lists(MEMBERS, max_size=4), SEPARATORS).map(lambda one: one[1].join(one[0]))
NEAR = st.text(st.sampled_from('a=1.-;:?@%"()\\, \t*f0é'), max_size=14)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A field with one character put in, taken out or changed."""
    text: str = draw(FIELDS)
    at = draw(st.integers(0, len(text)))
    put: str = draw(st.sampled_from([*'a=1,;" ()%:?@\\\t', "", "é"]))
    return text[:at] + put + text[at + draw(st.integers(0, 1)) :]


@given(st.one_of(FIELDS, damaged(), NEAR))
def test_agrees_with_the_slow_reading(text: str) -> None:
    assert typed(read_members(text)) == typed(slowly(text))
    assert typed(read_integers(text)) == typed(integers_of(slowly(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("  ", {}),
        ("sha-256=1", {"sha-256": 1}),
        (" a=1, b=-2 ,\tc=3", {"a": 1, "b": -2, "c": 3}),
        ("a=1, a=2", {"a": 2}),
        ("a=1, a", {"a": None}),
        ("a=1;q=0.5;x, b=(1 2);y=?0", {"a": 1, "b": None}),
        ('a="%";b=x%ff;c="z", d=4', {"a": None, "d": 4}),
        ('a=%"%ff", b=1', None),
        ("a=999999999999999", {"a": 999_999_999_999_999}),
        ("a=9999999999999999", None),
        ("a=1.0", {"a": None}),
        ("a=1 \t ", {"a": 1}),
        ("a=1,", None),
        ("a=1, \t", None),
        ("a=1,,b=1", None),
        ("a =1", None),
        ("A=1", None),
        ("a=", None),
        ("a=1 b=1", None),
        ("a=(1", None),
        ("a=١", None),
        ("\ta=1", None),
    ],
)
def test_fields(text: str, expected: dict[str, int | None] | None) -> None:
    assert typed(read_integers(text)) == typed(expected)
    assert typed(integers_of(slowly(text))) == typed(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no-store", {"no-store": True}),
        ("max-age=60, no-cache;x=?0 , a=?0;b", {"max-age": 60, "no-cache": True, "a": False}),
        ("a=1, a", {"a": True}),
        ("a=?0, a=1", {"a": 1}),
        ("a=?2", None),
        ("a=?", None),
        ('a="?1", b=true, c=(?1), d=(), e=1.0', dict.fromkeys("abcde")),
    ],
)
def test_booleans(text: str, expected: dict[str, Member] | None) -> None:
    assert typed(read_members(text)) == typed(expected)
    assert typed(slowly(text)) == typed(expected)


def test_a_long_field_is_not_read() -> None:
    field = "a=1" + ";b" * ((MAX_FIELD_LENGTH - 3) // 2)
    assert read_integers(field.ljust(MAX_FIELD_LENGTH)) == {"a": 1}
    assert read_integers(field.ljust(MAX_FIELD_LENGTH + 1)) is None


def test_time_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the length takes no more than twice the steps, and a little."""

    def steps(length: int) -> int:
        counters = {
            name: StepCounter(getattr(structured, name)) for name in ("_MEMBER", "_SEPARATOR")
        }
        worst = 0
        for name, counter in counters.items():
            monkeypatch.setattr(structured, name, counter)
        for text in hostile_texts(["a", "1", ";a", ' "', "(1 ", "a=", ",", '%"a'], length):
            before = sum(counter.steps for counter in counters.values())
            read_integers("a=(1" + text)
            read_integers("a=" + text)
            worst = max(worst, sum(counter.steps for counter in counters.values()) - before)
        monkeypatch.undo()
        return worst

    assert steps(120) < 2.5 * steps(60)
