"""What clients send, and what they should not: texts for the parsers, made to be nearly right."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

# Characters that a lax parser would take for the right ones.
TRICKY = ' \t,;=-+_.*/"\\\0\n\r\x0b\x7f\x85\xa0\xff０１２٣²–ſ\u2028W'


@st.composite
def mutated(draw: st.DrawFn, base: st.SearchStrategy[str]) -> str:
    """A text with a few of its characters dropped, doubled, replaced or moved."""
    text = draw(base)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        extra = draw(st.sampled_from([*TRICKY, "", text[:at], text[at : at + 3]]))
        text = text[:at] + extra + text[at + draw(st.integers(0, 2)) :]
    return text


# --- ranges -------------------------------------------------------------------------------------

POSITIONS = st.one_of(
    st.integers(0, 12),
    st.integers(0, 320),
    st.sampled_from([2**31, 2**63 - 1, 2**63, 2**64, 10**30]),
).flatmap(lambda n: st.sampled_from([str(n), str(n), str(n), f"00{n}"]))
WHITE = st.sampled_from(["", "", "", " ", "\t", " \t "])


@st.composite
def range_specs(draw: st.DrawFn) -> str:
    """One range, mostly valid."""
    kind = draw(st.integers(0, 9))
    a, b = draw(POSITIONS), draw(POSITIONS)
    if kind < 5:
        return f"{a}-{b}" if int(a) <= int(b) or kind == 0 else f"{b}-{a}"
    if kind < 7:
        return f"{a}-"
    return f"-{a}" if kind < 9 else ""


@st.composite
def valid_range_fields(draw: st.DrawFn) -> str:
    """A Range field by the grammar, with empty elements and white space where they may be."""
    unit = draw(st.sampled_from(["bytes", "bytes", "bytes", "Bytes", "BYTES", "items"]))
    count = draw(st.sampled_from([1, 1, 1, 2, 2, 3, 4, 20]))
    elements = [draw(WHITE) + draw(range_specs()) + draw(WHITE) for _ in range(count)]
    return f"{unit}={','.join(elements)}"


GARBAGE = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=30)
NEAR_RANGES = st.text(st.sampled_from("0123456789-,=bytes \t" + TRICKY), max_size=30)


def range_fields() -> st.SearchStrategy[str]:
    """Range fields: good, damaged, and worthless."""
    return st.one_of(
        valid_range_fields(),
        valid_range_fields(),
        mutated(valid_range_fields()),
        NEAR_RANGES.map("bytes=".__add__),
        GARBAGE,
    )


# --- entity tags --------------------------------------------------------------------------------

# Few and short, so that they meet; with commas and "W/" inside, which break naive lists.
OPAQUE = st.sampled_from(["", "a", "b", "a,b", "W/", ",", "\xe9", "a-gzip", "*", "\\"])


@st.composite
def etags(draw: st.DrawFn) -> str:
    """An entity tag as it stands in a field."""
    return draw(st.sampled_from(["", "", "W/"])) + f'"{draw(OPAQUE)}"'


@st.composite
def etag_lists(draw: st.DrawFn) -> str:
    """A list of them, with empty elements and white space."""
    elements = draw(st.lists(etags() | st.just(""), max_size=4))
    return ",".join(draw(WHITE) + element + draw(WHITE) for element in elements)


def etag_fields() -> st.SearchStrategy[str]:
    """If-Match and If-None-Match: good, damaged, and worthless."""
    near = st.text(st.sampled_from('"W/,* \tab\xe9\0\x7f☃'), max_size=12)
    stars = st.sampled_from(["*", " *\t", "*,*", '*, "a"', '"*"', "W/*"])
    return st.one_of(etag_lists(), etag_lists(), mutated(etag_lists()), stars, near)


# --- dates --------------------------------------------------------------------------------------

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
MOMENTS = st.one_of(
    st.sampled_from([0, 784111777, 784111778, 1_767_225_600]),
    st.integers(-62135596800, 253402300799),
)


@st.composite
def dates(draw: st.DrawFn, moments: st.SearchStrategy[int] = MOMENTS) -> str:
    """A moment in one of the three forms; RFC 850 forgets its century."""
    moment = datetime.fromtimestamp(0, UTC).timestamp() + draw(moments)
    when = datetime.fromtimestamp(moment, UTC)
    day, month, clock = DAYS[when.weekday()], MONTHS[when.month - 1], f"{when:%H:%M:%S}"
    return draw(
        st.sampled_from(
            [
                f"{day[:3]}, {when.day:02} {month} {when.year:04} {clock} GMT",
                f"{day}, {when.day:02}-{month}-{when.year % 100:02} {clock} GMT",
                f"{day[:3]} {month} {when.day:2} {clock} {when.year:04}",
            ]
        )
    )


@st.composite
def impossible_dates(draw: st.DrawFn) -> str:
    """Right by the grammar, but hardly a day of any calendar."""
    two = st.integers(0, 99).map("{:02}".format)
    day, hour, minute, second = (
        draw(st.integers(0, 35).map("{:02}".format)),
        draw(st.integers(0, 26).map("{:02}".format)),
        draw(two),
        draw(st.sampled_from(["00", "59", "60", "61", "99"])),
    )
    year = draw(st.sampled_from(["0000", "0001", "1900", "1999", "2000", "2024", "2100", "9999"]))
    name, month = draw(st.sampled_from(DAYS)), draw(st.sampled_from(MONTHS))
    clock = f"{hour}:{minute}:{second}"
    return draw(
        st.sampled_from(
            [
                f"{name[:3]}, {day} {month} {year} {clock} GMT",
                f"{name}, {day}-{month}-{year[2:]} {clock} GMT",
                f"{name[:3]} {month} {day} {clock} {year}",
            ]
        )
    )


def date_fields(moments: st.SearchStrategy[int] = MOMENTS) -> st.SearchStrategy[str]:
    """Dates: good, damaged, impossible, and worthless."""
    return st.one_of(
        dates(moments),
        dates(moments),
        mutated(dates(moments)),
        impossible_dates(),
        mutated(impossible_dates()),
        GARBAGE,
    )


# --- cache directives ---------------------------------------------------------------------------

RESPONSE_DIRECTIVES = [
    *("max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"),
    *("no-store", "no-cache", "private", "must-revalidate", "proxy-revalidate"),
    *("public", "immutable", "x-other"),
]
REQUEST_DIRECTIVES = [
    *("no-cache", "no-store", "only-if-cached", "max-age", "max-stale", "min-fresh", "x-other"),
]
ARGUMENTS = st.sampled_from(
    [
        *("", "", "", "=0", "=1", "=60", "=0060", '="60"', '="6\\0"', "=2147483648", "=2147483649"),
        *(f"={'9' * 40}", "=-1", "=1.5", "=+1", "=١", "=abc", "=", " = 1", '="', '=""', '="a, b"'),
        *('="a\\"b"', '="a\\', " x", "=1 x"),
    ]
)


@st.composite
def cache_controls(draw: st.DrawFn, names: list[str]) -> str:
    """A Cache-Control field of these directives, mostly valid."""
    cases = st.sampled_from([str.lower, str.lower, str.title, str.upper])
    directive = st.builds(
        lambda name, case, argument: case(name) + argument,
        st.sampled_from(names),
        cases,
        ARGUMENTS,
    )
    elements = draw(st.lists(directive | st.just(""), max_size=5))
    return ",".join(draw(WHITE) + element + draw(WHITE) for element in elements)


def cache_control_fields(names: list[str]) -> st.SearchStrategy[str]:
    """Cache-Control: good, damaged, and worthless."""
    near = st.text(st.sampled_from('max-age=1,0"\\ \t;\0é\x7f☃'), max_size=20)
    return st.one_of(
        cache_controls(names), cache_controls(names), mutated(cache_controls(names)), near
    )
