"""A second reading of RFC 9110 and 9111, slow and simple, to compare the real one with.

Written from the RFCs alone: characters are looked at one by one, numbers are built digit by digit,
and bodies are slices of real bytes. It imports nothing of `proxy`, uses no regular expression,
and prefers length over wit. Where the RFC leaves a choice, the constants below and the functions
named `choice_…` say which was taken; everything else is a rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

DIGITS = "0123456789"
TCHAR = "!#$%&'*+-.^_`|~" + DIGITS + "abcdefghijklmnopqrstuvwxyz" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
OWS = " \t"

DAY_NAMES = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
LONG_DAY_NAMES = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTH_NAMES = ["Jan", "Feb", "Mar", "Apr", "May", "Jun"]
MONTH_NAMES += ["Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Choices, not rules (§14.2, §17.15: a server may ignore what would cost it too much).
LONGEST_RANGE_FIELD = 4096


# --- §5.6.1: lists, and numbers -----------------------------------------------------------------


def trim(text: str) -> str:
    """The text without optional white space (§5.6.3) at its ends."""
    while text and text[0] in OWS:
        text = text[1:]
    while text and text[-1] in OWS:
        text = text[:-1]
    return text


def number(digits: str) -> int | None:
    """1*DIGIT, or None."""
    value = 0
    for character in digits:
        if character not in DIGITS:
            return None
        value = value * 10 + DIGITS.index(character)
    return value if digits else None


# --- §14.1.1, §14.1.2: ranges -------------------------------------------------------------------


def byte_ranges(value: str) -> list[tuple[int | None, int | None]] | None:
    """(first, last), (first, None) or (None, suffix length); None where the field is ignored."""
    if len(value) > LONGEST_RANGE_FIELD:
        return None
    value = trim(value)
    if "=" not in value:
        return None
    unit, _, range_set = value.partition("=")
    # §14.1: unit names are case-insensitive.
    cases = ("bB", "yY", "tT", "eE", "sS")
    if len(unit) != 5 or any(unit[i] not in cases[i] for i in range(5)):
        return None
    found = []
    for element in range_set.split(","):
        text = trim(element)
        if text == "":
            continue  # §5.6.1.2: empty elements do not count
        spec = range_spec(text)
        if spec is None:
            return None
        found.append(spec)
    return found or None  # 1#: at least one


def range_spec(text: str) -> tuple[int | None, int | None] | None:
    """int-range or suffix-range."""
    before, dash, after = text.partition("-")
    if dash == "":
        return None
    if before == "":
        length = number(after)
        return None if length is None else (None, length)
    first = number(before)
    if first is None:
        return None
    if after == "":
        return (first, None)
    last = number(after)
    if last is None or last < first:
        return None  # §14.1.1: invalid
    return (first, last)


def slice_of(spec: tuple[int | None, int | None], body: bytes) -> tuple[int, bytes] | None:
    """Where the range begins in the body, and its bytes; None if it is not satisfiable."""
    first, last = spec
    if first is None:
        length = last or 0
        if length == 0:
            return None
        start = max(0, len(body) - length)
        return start, body[start:]
    if first >= len(body):
        return None
    return first, body[first:] if last is None else body[first : last + 1]


# --- §8.8.3: entity tags ------------------------------------------------------------------------


def entity_tag(text: str) -> tuple[bool, str] | None:
    """(whether weak, opaque tag with its quotes), or None."""
    weak = text[:2] == "W/"
    opaque = text[2:] if weak else text
    if len(opaque) < 2 or opaque[0] != '"' or opaque[-1] != '"':
        return None
    for character in opaque[1:-1]:
        code = ord(character)
        if not (code == 0x21 or 0x23 <= code <= 0x7E or 0x80 <= code <= 0xFF):
            return None
    return weak, opaque


def entity_tags(value: str) -> list[tuple[bool, str]] | None:
    """#entity-tag. A comma may stand within a tag, so elements end at commas outside quotes."""
    elements, current, quoted = [], "", False
    for character in value:
        if character == '"':
            quoted = not quoted
        if character == "," and not quoted:
            elements.append(current)
            current = ""
        else:
            current += character
    elements.append(current)
    tags = []
    for element in elements:
        text = trim(element)
        if text == "":
            continue
        tag = entity_tag(text)
        if tag is None:
            return None
        tags.append(tag)
    return tags


def strongly(a: tuple[bool, str], b: tuple[bool, str]) -> bool:
    """§8.8.3.2: neither is weak, and the text is the same."""
    return not a[0] and not b[0] and a[1] == b[1]


def weakly(a: tuple[bool, str], b: tuple[bool, str]) -> bool:
    """§8.8.3.2."""
    return a[1] == b[1]


# --- §5.6.7: dates ------------------------------------------------------------------------------


def http_date(value: str, this_year: int = 2026) -> int | None:
    """Seconds since the epoch, or None for what is no HTTP-date."""
    text = trim(value)
    for form in (imf_fixdate, rfc850_date, asctime_date):
        parts = form(text, this_year)
        if parts is not None:
            return instant(*parts)
    return None


Parts = tuple[str, str, str, str]  # year, month, day, clock


def imf_fixdate(text: str, _this_year: int) -> Parts | None:
    """Sun, 06 Nov 1994 08:49:37 GMT."""
    if len(text) != 29 or text[:3] not in DAY_NAMES:
        return None
    separators = text[3:5] + text[7] + text[11] + text[16] + text[25:]
    if separators != ",     GMT":
        return None
    return text[12:16], text[8:11], text[5:7], text[17:25]


def rfc850_date(text: str, this_year: int) -> Parts | None:
    """Sunday, 06-Nov-94 08:49:37 GMT."""
    name, comma, rest = text.partition(",")
    if comma == "" or name not in LONG_DAY_NAMES or len(rest) != 23:
        return None
    if rest[0] + rest[3] + rest[7] + rest[10] + rest[19:] != " --  GMT":
        return None
    short = number(rest[8:10])
    if short is None:
        return None
    # This century's year; more than fifty years ahead means the last century's.
    year = this_year - this_year % 100 + short
    if year > this_year + 50:
        year -= 100
    return f"{year:04}", rest[4:7], rest[1:3], rest[11:19]


def asctime_date(text: str, _this_year: int) -> Parts | None:
    """Sun Nov  6 08:49:37 1994."""
    if len(text) != 24 or text[:3] not in DAY_NAMES:
        return None
    if text[3] + text[7] + text[10] + text[19] != "    ":
        return None
    day = text[8:10]
    if day[0] == " ":
        day = "0" + day[1]
    return text[20:24], text[4:7], day, text[11:19]


def instant(year: str, month: str, day: str, clock: str) -> int | None:
    """Seconds since the epoch, if there is such a moment."""
    if month not in MONTH_NAMES or clock[2] != ":" or clock[5] != ":":
        return None
    numbers = [number(part) for part in (year, day, clock[:2], clock[3:5], clock[6:])]
    if None in numbers:
        return None
    y, d, hour, minute, second = (part or 0 for part in numbers)
    if second > 60:
        return None
    leap = second == 60
    try:
        moment = datetime(
            y, MONTH_NAMES.index(month) + 1, d, hour, minute, second - leap, tzinfo=UTC
        )
    except ValueError:
        return None
    return (moment - EPOCH) // timedelta(seconds=1) + leap


# --- §13: preconditions -------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """An object as the oracle knows it: its bytes and validators, tags as they stand in a field."""

    body: bytes
    etag: str | None = None
    last_modified: int | None = None

    @property
    def tag(self) -> tuple[bool, str] | None:
        """The entity tag, read."""
        return None if self.etag is None else entity_tag(self.etag)


def if_match(value: str, stored: Stored) -> bool:
    """§13.1.1. Choice: a malformed field is false, so that versions are never mixed."""
    if trim(value) == "*":
        return True
    tags, own = entity_tags(value), stored.tag
    if tags is None or own is None:
        return False
    return any(strongly(tag, own) for tag in tags)


def if_none_match(value: str, stored: Stored) -> bool:
    """§13.1.2. Choice: a malformed field is true, so that nobody keeps what may be old."""
    if trim(value) == "*":
        return False
    tags, own = entity_tags(value), stored.tag
    if tags is None or own is None:
        return True
    return not any(weakly(tag, own) for tag in tags)


def if_modified_since(value: str, stored: Stored) -> bool:
    """§13.1.3: false only where both dates are known, and ours is not later."""
    date = http_date(value)
    if date is None or stored.last_modified is None:
        return True
    return stored.last_modified > date


def if_unmodified_since(value: str, stored: Stored) -> bool:
    """§13.1.4: false only where both dates are known, and ours is later."""
    date = http_date(value)
    if date is None or stored.last_modified is None:
        return True
    return stored.last_modified <= date


def if_range(value: str, stored: Stored) -> bool:
    """§13.1.5. Choice: a date is strong only where the store's entity tag is (§8.8.2.2)."""
    own = stored.tag
    tag = entity_tag(trim(value))
    if tag is not None:
        return own is not None and strongly(tag, own)
    date = http_date(value)
    if date is None or own is None or own[0]:
        return False
    return stored.last_modified == date


def precondition_status(method: str, fields: Mapping[str, str], stored: Stored) -> int:
    """§13.2.2, steps 1 to 4: 412, 304, or 200 to go on."""
    assert method in ("GET", "HEAD")
    if "if-match" in fields:
        proceed = if_match(fields["if-match"], stored)
    elif "if-unmodified-since" in fields:
        proceed = if_unmodified_since(fields["if-unmodified-since"], stored)
    else:
        proceed = True
    if not proceed:
        return 412
    if "if-none-match" in fields:
        changed = if_none_match(fields["if-none-match"], stored)
    elif "if-modified-since" in fields:
        changed = if_modified_since(fields["if-modified-since"], stored)
    else:
        changed = True
    if not changed:
        return 304
    return 200


# --- §15: the answer ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What a client must see.

    Attributes:
        status: the status code.
        content_range: the field's value, or None where it must be absent.
        body: the content of a 200 or a 206 with one range.
        parts: of a 206 with several ranges: the Content-Range and the bytes of each.
    """

    status: int
    content_range: str | None = None
    body: bytes = b""
    parts: list[tuple[str, bytes]] = field(default_factory=list)


def answer(
    method: str,
    fields: Mapping[str, str],
    stored: Stored,
    *,
    max_ranges: int = 16,
    max_overlapping: int = 2,
) -> Answer:
    """The answer to a request for something that exists."""
    status = precondition_status(method, fields, stored)
    if status != 200:
        return Answer(status)
    if method == "HEAD":
        return Answer(200)  # §14.2: ranges are defined for GET only
    whole = Answer(200, body=stored.body)
    if "range" not in fields:
        return whole
    if "if-range" in fields and not if_range(fields["if-range"], stored):
        return whole
    asked = byte_ranges(fields["range"])
    if asked is None or len(asked) > max_ranges:
        return whole
    return choice_of_slices(asked, stored.body, max_overlapping)


def choice_of_slices(
    asked: list[tuple[int | None, int | None]], body: bytes, max_overlapping: int
) -> Answer:
    """206, 416, or 200 where the ranges would cost more than the whole is worth (§14.2)."""
    slices = [found for spec in asked if (found := slice_of(spec, body)) is not None]
    if not slices:
        return Answer(416, content_range=f"bytes */{len(body)}")
    # Choice: a suffix of nothing is satisfiable, and no Content-Range can name it.
    if any(len(data) == 0 for _, data in slices):
        return Answer(200, body=body)
    if len(slices) == 1:
        start, data = slices[0]
        return Answer(206, content_range=named(start, data, body), body=data)
    # Choice: too much overlap, or more bytes than there are, is answered whole.
    if overlapping(slices) > max_overlapping or sum(len(d) for _, d in slices) > len(body):
        return Answer(200, body=body)
    return Answer(206, parts=[(named(start, data, body), data) for start, data in slices])


def named(start: int, data: bytes, body: bytes) -> str:
    """§14.4."""
    return f"bytes {start}-{start + len(data) - 1}/{len(body)}"


def overlapping(slices: list[tuple[int, bytes]]) -> int:
    """How many slices share a byte with one that comes before them in the body."""
    ordered = sorted(slices, key=lambda found: found[0])
    count = 0
    for index, (start, _) in enumerate(ordered):
        earlier = ordered[:index]
        count += any(start < other + len(data) for other, data in earlier)
    return count


# --- §14.6: multipart/byteranges, read by its lengths -------------------------------------------


def read_multipart(body: bytes, boundary: bytes) -> Iterator[tuple[dict[bytes, bytes], bytes]]:
    """The head and the bytes of each part. Trusts Content-Range for lengths, asserts all else."""
    position = 0

    def expect(text: bytes) -> None:
        nonlocal position
        assert body[position : position + len(text)] == text, (position, text)
        position += len(text)

    if body.startswith(b"\r\n"):
        expect(b"\r\n")
    expect(b"--" + boundary)
    while body[position : position + 2] != b"--":
        expect(b"\r\n")
        end = body.index(b"\r\n\r\n", position)
        head = {}
        for line in body[position:end].split(b"\r\n"):
            name, colon, value = line.partition(b":")
            assert colon
            assert name.lower() not in head
            head[name.lower()] = value.strip(b" \t")
        position = end + 4
        first, last = head[b"content-range"].split(b" ")[1].split(b"/")[0].split(b"-")
        length = int(last) - int(first) + 1
        yield head, body[position : position + length]
        position += length
        expect(b"\r\n--" + boundary)
    expect(b"--")
    assert body[position:] in (b"", b"\r\n")


# --- RFC 9111 §5.2: cache directives ------------------------------------------------------------


def cache_directives(value: str) -> dict[str, tuple[bool, str | None]]:
    """By name in lower case: whether well formed, and the argument without quotes, if any."""
    found: dict[str, tuple[bool, str | None]] = {}
    for element in choice_of_elements(value):
        text = trim(element)
        name = ""
        while text and text[0] in TCHAR:
            name, text = name + text[0], text[1:]
        # §4.2.1: of several the first one counts.
        if name and name.lower() not in found:
            found[name.lower()] = cache_argument(text)
    return found


def choice_of_elements(value: str) -> list[str]:
    """The RFC says nothing of a quote that is not closed: here every comma counts then."""
    elements, current, quoted, escaped = [], "", False, False
    for character in value:
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            elements.append(current)
            current = ""
            continue
        current += character
    return value.split(",") if quoted else [*elements, current]


def cache_argument(text: str) -> tuple[bool, str | None]:
    """What stands behind a name: nothing, "=" token, or "=" quoted-string."""
    if text == "":
        return True, None
    argument = text[1:]
    if text[0] != "=" or argument == "":
        return False, None
    if all(character in TCHAR for character in argument):
        return True, argument
    return quoted_string(argument)


def quoted_string(text: str) -> tuple[bool, str | None]:
    """RFC 9110 §5.6.4."""
    if text[0] != '"':
        return False, None
    content, rest = "", text[1:]
    while rest and rest[0] != '"':
        if rest[0] == "\\":
            rest = rest[1:]
        if rest == "" or not (
            rest[0] == "\t" or " " <= rest[0] <= "~" or 0x80 <= ord(rest[0]) <= 255
        ):
            return False, None
        content, rest = content + rest[0], rest[1:]
    return (True, content) if rest == '"' else (False, None)


def delta_seconds(argument: str | None) -> int | None:
    """§1.2.2: what is too large to hold is 2**31."""
    seconds = None if argument is None else number(argument)
    return None if seconds is None else min(seconds, 2147483648)
