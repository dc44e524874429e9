"""How names are shown, linked and measured."""

from __future__ import annotations

from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.pages.text import attribute, link_to, plain, shown, size_for_people, utc, well_formed
from tests.pages.hostile import ANY_TEXT


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("", "<bdi></bdi>"),
        ("a b", "<bdi>a b</bdi>"),
        ("<b>&\"'", "<bdi>&lt;b&gt;&amp;&quot;&#x27;</bdi>"),
        ("a\nb", "<bdi>a<i>\\x0a</i>b</bdi>"),
        ("\x00\x1f\x7f\x9f", "<bdi><i>\\x00</i><i>\\x1f</i><i>\\x7f</i><i>\\x9f</i></bdi>"),
        ("photo\u202egnp.exe", "<bdi>photo<i>\\u202e</i>gnp.exe</bdi>"),
        ("\u2066\u200f", "<bdi><i>\\u2066</i><i>\\u200f</i></bdi>"),
        ("a\udcff", "<bdi>a<i>\\udcff</i></bdi>"),
        (" a  b ", "<bdi><i>\\x20</i>a  b<i>\\x20</i></bdi>"),
        ("\u3000", "<bdi><i>\\u3000</i></bdi>"),
        ("👩\u200d👧", "<bdi>👩\u200d👧</bdi>"),
        ("שלום", "<bdi>שלום</bdi>"),
        ("\\x0a", "<bdi>\\x0a</bdi>"),
    ],
)
def test_shown(text: str, markup: str) -> None:
    assert shown(text) == markup
    assert plain(text) == markup[5:-6].replace("<i>", "").replace("</i>", "")


@settings(deadline=None)
@given(ANY_TEXT)
def test_shown_can_always_be_sent(text: str) -> None:
    assert "\n" not in shown(text)
    assert shown(text).encode().startswith(b"<bdi>")
    assert len(plain(text).encode()) >= len(text)


def test_attributes_and_surrogates() -> None:
    assert attribute("?after=a&b='\"<\ud800") == "?after=a&amp;b=&#x27;&quot;&lt;\ufffd"
    assert well_formed("a\ud83d\ude00é\U0001f600") == "a\ufffd\ufffdé\U0001f600"
    assert unescape(attribute("a&amp;b")) == "a&amp;b"


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("a.txt", "./a.txt"),
        ("a/", "./a/"),
        ("javascript:alert(1)", "./javascript%3Aalert%281%29"),
        ("a?b#c%d&e;f", "./a%3Fb%23c%25d%26e%3Bf"),
        ("a b+c", "./a%20b%2Bc"),
        ("%2e%2e", "./%252e%252e"),
        ("é🎉", "./%C3%A9%F0%9F%8E%89"),
        ("a\\b", "./a%5Cb"),
        ("a/b", "./a%2Fb"),
        ("\n", "./%0A"),
        ("...", "./..."),
        ("..a", "./..a"),
        ("a..", "./a.."),
        ("/", ".//"),
        ("", None),
        (".", None),
        ("..", None),
        ("./", None),
        ("../", None),
        ("a\\..", None),
        (".\\a", None),
        ("a/../b", None),
        ("a\x00", None),
        ("a\udcff", None),
    ],
)
def test_link_to(name: str, link: str | None) -> None:
    assert link_to(name) == link


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (10_188, "9.9 KiB"),
        (10_189, "10 KiB"),
        (10_240, "10 KiB"),
        (1_048_063, "1023 KiB"),
        (1_048_064, "1.0 MiB"),
        (1_048_575, "1.0 MiB"),
        (104_857_600, "100 MiB"),
        (5 * 1024**4, "5.0 TiB"),
        (2**63, "8.0 EiB"),
        (5000 * 1024**6, "5000 EiB"),
    ],
)
def test_size_for_people(size: int, said: str) -> None:
    assert size_for_people(size) == said


@settings(deadline=None)
@given(st.integers(0, 2**72))
def test_a_size_is_said_within_a_twentieth(size: int) -> None:
    number, unit = size_for_people(size).split()
    power = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB").index(unit)
    assert abs(float(number) * 1024**power - size) <= size * 0.0501


@pytest.mark.parametrize(
    ("seconds", "moment"),
    [
        (None, None),
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_740_832_496, "2025-03-01T12:34:56Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
        (253_402_300_800, None),
        (2**63, None),
        (-(2**63), None),
    ],
)
def test_utc(seconds: int | None, moment: str | None) -> None:
    assert utc(seconds) == moment
