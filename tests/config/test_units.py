"""Durations and sizes: what is read, what is refused, and that all reads back as it was."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.units import (
    LARGEST,
    LONGEST,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0.0),
        ("500ms", 0.5),
        ("0.1s", 0.1),
        ("30s", 30.0),
        ("1.5 s", 1.5),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("8784h", LONGEST),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "found",
    [
        "",
        "30",
        30,
        1.5,
        None,
        True,
        "s",
        "-1s",
        "1 hour",
        "1M",
        "1s2",
        "٣s",
        "1e3s",
        "30s\n",
        ".5s",
    ],
)
def test_what_is_no_duration(found: object) -> None:
    with pytest.raises(ValueError, match=r"^a duration with its unit"):
        parse_duration(found)


@pytest.mark.parametrize("text", ["8784.01h", "99999999999999999999h"])
def test_durations_beyond_a_year(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a duration of at most a year$"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("found", "size"),
    [
        (0, 0),
        (1234, 1234),
        ("512B", 512),
        ("1kB", 1000),
        ("1KB", 1000),
        ("1 KiB", 1024),
        ("8MiB", 8 * 1024 * 1024),
        ("10GB", 10**10),
        ("1.5GiB", 3 * 2**29),
        ("0.001kB", 1),
        ("2TiB", 2**41),
        (LARGEST, LARGEST),
    ],
)
def test_sizes(found: object, size: int) -> None:
    assert parse_size(found) == size


@pytest.mark.parametrize(
    "found", ["", "8", "8mib", "8Mb", "1.5B", "0.3kB1", "-1B", 1.0, True, None, "B", "８MiB"]
)
def test_what_is_no_size(found: object) -> None:
    with pytest.raises(ValueError, match=r"^a size with its unit"):
        parse_size(found)


@pytest.mark.parametrize("found", [-1, LARGEST + 1, "99999999TiB"])
def test_sizes_out_of_bounds(found: object) -> None:
    with pytest.raises(ValueError, match=r"^a size from 0 to"):
        parse_size(found)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.5, "500ms"), (30.0, "30s"), (90.0, "90s"), (120.0, "2m"), (7200.0, "2h")],
)
def test_durations_are_written_in_the_usual_unit(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (513, "513B"), (1000, "1kB"), (2**23, "8MiB"), (10**10, "10GB")],
)
def test_sizes_are_written_in_the_largest_unit(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.floats(min_value=1e-9, max_value=LONGEST).map(lambda value: round(value, 12)))
def test_a_duration_reads_back_as_it_was(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(0, LARGEST))
def test_a_size_reads_back_as_it_was(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.decimals(0, 1000, places=6), st.sampled_from(["ms", "s", "m", "h"]))
def test_durations_are_decimal(number: Decimal, unit: str) -> None:
    factor = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}[unit]
    assert parse_duration(f"{number:f}{unit}") == float(number * factor)


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none()))
def test_anything_else_is_refused_in_words(found: object) -> None:
    for parse in (parse_duration, parse_size):
        try:
            said = None if parse(found) >= 0 else "negative"
        except ValueError as error:
            said = str(error)
        assert said is None or said.startswith("a ")
