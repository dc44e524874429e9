"""File names in Content-Disposition, read back by a second reading of RFC 6266 and RFC 8187."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.semantics.disposition import MAX_NAME_LENGTH, as_attachment, attachment
from proxy.semantics.fields import safe_value
from tests.semantics.oracle import TCHAR, trim

ATTRIBUTE_CHARACTERS = set(TCHAR) - set("*'%")


def read_disposition(value: str) -> tuple[str, dict[str, str]]:
    """disposition-type *( ";" disposition-parm ), asserting the grammar character by character."""
    assert all("\x20" <= c <= "\x7e" for c in value)
    end = 0
    while end < len(value) and value[end] in TCHAR:
        end += 1
    kind, parameters = value[:end], {}
    assert kind
    while end < len(value):
        assert value[end] == ";"
        end += 1
        while value[end] in " \t":
            end += 1
        equals = value.index("=", end)
        name = value[end:equals].lower()
        assert name
        assert set(name) <= set(TCHAR)
        assert name not in parameters
        parameters[name], end = read_value(value, equals + 1, extended=name.endswith("*"))
    return kind.lower(), parameters


def read_value(value: str, position: int, *, extended: bool) -> tuple[str, int]:
    if value[position] == '"':
        assert not extended
        return read_quoted(value, position + 1)
    end = position
    while end < len(value) and value[end] in TCHAR:
        end += 1
    token = value[position:end]
    assert token
    return (read_extended(token) if extended else token), end


def read_quoted(value: str, position: int) -> tuple[str, int]:
    text = ""
    while value[position] != '"':
        if value[position] == "\\":
            position += 1
        text += value[position]
        position += 1
    return text, position + 1


def read_extended(token: str) -> str:
    charset, _language, encoded = token.split("'")
    assert charset.upper() == "UTF-8"
    octets, position = b"", 0
    while position < len(encoded):
        if encoded[position] == "%":
            octets += bytes([int(encoded[position + 1 : position + 3], 16)])
            position += 3
        else:
            assert encoded[position] in ATTRIBUTE_CHARACTERS
            octets += encoded[position].encode()
            position += 1
    return octets.decode("utf-8")


def saved_name(value: str) -> str:
    """What a browser that knows RFC 8187 calls the file."""
    kind, parameters = read_disposition(value)
    assert kind == "attachment"
    assert set(parameters) <= {"filename", "filename*"}
    return parameters.get("filename*", parameters["filename"])


@pytest.mark.parametrize(
    ("name", "saved", "fallback"),
    [
        ("a.txt", "a.txt", "a.txt"),
        ("a b (1).txt", "a b (1).txt", "a b (1).txt"),
        ("it's.txt", "it's.txt", "it's.txt"),
        ("a;b=c.txt", "a;b=c.txt", "a;b=c.txt"),
        ('"; filename=evil.exe; x="', '"; filename=evil.exe; x="', "_; filename=evil.exe; x=_"),
        ('say "hi".txt', 'say "hi".txt', "say _hi_.txt"),
        ("100%.txt", "100%.txt", "100_.txt"),
        ("%41.txt", "%41.txt", "_41.txt"),
        ("naïve.txt", "naïve.txt", "na_ve.txt"),
        ("😀.png", "😀.png", "_.png"),
        ("日本語.pdf", "日本語.pdf", "___.pdf"),
        ("a+b!#$&^`|~*'.txt", "a+b!#$&^`|~*'.txt", "a+b!#$&^`|~*'.txt"),
        ("é*'()%.txt", "é*'()%.txt", "_*'()_.txt"),
        # No path, whichever way it leans.
        ("/etc/passwd", "passwd", "passwd"),
        ("..\\..\\evil.exe", "evil.exe", "evil.exe"),
        ("C:\\a.txt", "a.txt", "a.txt"),
        ("a/b\\c", "c", "c"),
        # Nothing that ends a line, and nothing unseen.
        ("a\r\nSet-Cookie: x", "aSet-Cookie: x", "aSet-Cookie: x"),
        ("a\0\t\x1b\x7f\x85.txt", "a.txt", "a.txt"),
        ("a\u2028b\u2029.txt", "ab.txt", "ab.txt"),
        ("invoice\u202egnp.exe", "invoicegnp.exe", "invoicegnp.exe"),
        ("\u2066a\u2069\u200b\ufeff\u00ad.txt", "a.txt", "a.txt"),
        ("\ud800a.txt", "a.txt", "a.txt"),
        # Never nothing, never the folder.
        ("", "download", "download"),
        (" ", "download", "download"),
        (".", "download", "download"),
        ("..", "download", "download"),
        ("...", "download", "download"),
        (" .. ", "download", "download"),
        ("a/", "download", "download"),
        ("a/..", "download", "download"),
        ("\r\n", "download", "download"),
        ("\u202e", "download", "download"),
        (" a ", "a", "a"),
        (".htaccess", ".htaccess", ".htaccess"),
        ("a" * 300, "a" * 255, "a" * 255),
        ("é" * 200, "é" * 127, "_" * 127),
        ("😀" * 64, "😀" * 63, "_" * 63),
    ],
)
def test_names(name: str, saved: str, fallback: str) -> None:
    value = attachment(name)
    assert saved_name(value) == saved
    assert read_disposition(value)[1]["filename"] == fallback


@given(st.text(st.sampled_from("\"\\;=%*'\r\n./ \u202eé😀") | st.characters(), max_size=300))
def test_every_name_is_one_file_name(name: str) -> None:
    value = attachment(name)
    saved = saved_name(value)
    assert safe_value(value) == value.encode("ascii")
    assert saved
    assert saved.strip(".") == saved.strip(".").replace("/", "").replace("\\", "")
    assert saved not in (".", "..")
    assert len(saved.encode()) <= MAX_NAME_LENGTH
    assert all(unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in saved)


@given(
    st.text(
        st.characters(categories=["L", "N", "S", "P"], exclude_characters="/\\"),
        min_size=1,
        max_size=60,
    )
)
def test_a_decent_name_is_kept(name: str) -> None:
    expected = name if name.strip(".") else "download"
    assert saved_name(attachment(name)) == expected


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("inline", "attachment"),
        ("INLINE", "attachment"),
        ("attachment", "attachment"),
        ("form-data; name=x", "attachment; name=x"),
        ('inline; filename="a.txt"', 'attachment; filename="a.txt"'),
        (' inline ; filename="a.txt"\t', 'attachment ; filename="a.txt"'),
        ("inline;filename*=UTF-8''%e2%98%83", "attachment;filename*=UTF-8''%e2%98%83"),
        ("", None),
        (" ", None),
        (";", None),
        ("; filename=a", None),
        ('filename="a.txt"', None),
        ("inline filename=a", None),
        ("inline, attachment", None),
        ('"inline"', None),
        ("in(line", None),
        ("inliné", None),
    ],
)
def test_stored_values(stored: str, expected: str | None) -> None:
    assert as_attachment(stored) == expected


def test_a_stored_name_survives() -> None:
    kept = as_attachment(attachment("naïve.txt").replace("attachment", "inline"))
    assert kept is not None
    assert saved_name(kept) == "naïve.txt"
    assert trim(kept) == kept
