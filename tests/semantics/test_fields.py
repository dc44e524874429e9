"""Field values: every byte, and what is no byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.semantics.fields import MAX_VALUE_LENGTH, safe_value

FORBIDDEN = {*range(0x20), 0x7F} - {0x09}


@pytest.mark.parametrize("code", range(256))
def test_every_byte(code: int) -> None:
    character = chr(code)
    inside = safe_value(f"a{character}b")
    alone, before, after = (
        safe_value(character),
        safe_value(character + "b"),
        safe_value("a" + character),
    )
    if code in FORBIDDEN:
        assert (inside, alone, before, after) == (None, None, None, None)
    else:
        assert inside == b"a%cb" % code
        is_space = character in " \t"
        assert alone == (None if is_space else bytes([code]))
        assert before == (b"b" if is_space else b"%cb" % code)
        assert after == (b"a" if is_space else b"a%c" % code)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "\t \t",
        "a\r\nSet-Cookie: x=1",
        "a\rb",
        "a\nb",
        "a\n",
        "a\r\n b",  # obs-fold
        "\0",
        "a\x0bb",
        "Ā",
        "☃",
        "😀",
        "\u2028",
        "\ud800",
        "č\u010a\u010d",  # low bytes are LF and CR
        "a" * (MAX_VALUE_LENGTH + 1),
    ],
)
def test_never_sent(value: str | None) -> None:
    assert safe_value(value) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("max-age=60", b"max-age=60"),
        (" \ta b\t ", b"a b"),
        ("a\tb", b"a\tb"),
        ("caf\xe9\xa0", b"caf\xe9\xa0"),  # a no-break space is no white space here
        # An encoded word stays what it is: nobody decodes it into a line's end.
        ("=?UTF-8?Q?=0D=0AX: 1?=", b"=?UTF-8?Q?=0D=0AX: 1?="),
        ("%0d%0aX: 1", b"%0d%0aX: 1"),
        ("a" * MAX_VALUE_LENGTH, b"a" * MAX_VALUE_LENGTH),
    ],
)
def test_sent(value: str, expected: bytes) -> None:
    assert safe_value(value) == expected


@given(st.text(max_size=30))
def test_what_is_sent_is_what_was_meant(value: str) -> None:
    sent = safe_value(value)
    if sent is None:
        assert not value.strip(" \t") or any(ord(c) > 255 or ord(c) in FORBIDDEN for c in value)
    else:
        assert sent.decode("latin-1") == value.strip(" \t")
        assert not FORBIDDEN & set(sent)
