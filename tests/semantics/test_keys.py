"""Targets and keys: each target is one key, or is refused, in every spelling."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.errors import RequestFault, TargetTooLong
from proxy.semantics import keys
from proxy.semantics.keys import MAX_KEY_LENGTH, encode_path, key_below, path_of_target


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/", "/"),
        (b"/a", "/a"),
        (b"/a/", "/a/"),
        (b"/a//", "/a//"),
        (b"//", "//"),
        (b"//a", "//a"),
        (b"//evil.example/a", "//evil.example/a"),
        (b"/a//b", "/a//b"),
        (b"/%61", "/a"),
        (b"/%7e~", "/~~"),
        (b"/a%20b", "/a b"),
        (b"/a+b", "/a+b"),
        (b"/a%2Bb", "/a+b"),
        (b"/100%25", "/100%"),
        (b"/a(1).txt", "/a(1).txt"),
        (b"/a%281%29", "/a(1)"),
        (b"/it's", "/it's"),
        (b"/%22q%22", '/"q"'),
        (b'/"q"', '/"q"'),
        (b"/a;x", "/a;x"),
        (b"/a%3Bx", "/a;x"),
        (b"/a%3fx=1", "/a?x=1"),
        (b"/a%23b", "/a#b"),
        (b"/a=b&c,d:e@f!$*", "/a=b&c,d:e@f!$*"),
        (b"/%F0%9F%98%80.png", "/😀.png"),
        (b"/%c3%a9", "/é"),
        (b"/e%cc%81", "/e\u0301"),  # decomposed: another key than the one above
        (b"/%ef%bb%bfa", "/\ufeffa"),
        (b"/%0a", "/\n"),
        (b"/%7f", "/\x7f"),
        (b"/a%5cb", "/a\\b"),
        (b"/a\\b", "/a\\b"),
        # Dots that are no dot segments.
        (b"/...", "/..."),
        (b"/.hidden", "/.hidden"),
        (b"/a.", "/a."),
        (b"/a..b", "/a..b"),
        (b"/..a/b..", "/..a/b.."),
        (b"/..;/a", "/..;/a"),
        (b"/.%20/a", "/. /a"),
        (b"/%ef%bc%8e%ef%bc%8e/a", "/．．/a"),
        # Decoded once, never twice.
        (b"/%252e%252e/a", "/%2e%2e/a"),
        (b"/a%252fb", "/a%2fb"),
        (b"/%2500", "/%00"),
        (b"/%25zz", "/%zz"),
        # The absolute form (RFC 9112 §3.2.2).
        (b"http://a", "/"),
        (b"http://a/", "/"),
        (b"http://a/b", "/b"),
        (b"HTTPS://a:8443/b%20c", "/b c"),
        (b"http://[::1]:80/b", "/b"),
        (b"http://a//b", "//b"),
        (b"http://a/http://b/", "/http://b/"),
        (b"/http://b/", "/http://b/"),
    ],
)
def test_one_key(target: bytes, path: str) -> None:
    assert path_of_target(target) == path


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"*",
        b"a",
        b"a/b",
        b"?",
        b"\\a",
        b"%2f",
        b" /",
        b"@evil",
        b":80/a",
        # Dot segments, in every spelling.
        b"/.",
        b"/..",
        b"/./",
        b"/../",
        b"/a/.",
        b"/a/..",
        b"/a/./b",
        b"/a/../b",
        b"/../../etc/passwd",
        b"/%2e",
        b"/%2E.",
        b"/.%2e/a",
        b"/%2e%2e/a",
        b"/%2E%2e/%2e%2E/a",
        b"/a/%2e%2e",
        b"//..//",
        b"/..\\a",
        b"/a\\..\\b",
        b"/a\\.",
        b"/..%5c..%5ca",
        b"/..%5C",
        b"/%2e%2e%5ca",
        b"/a/..\\",
        b"http://a/..",
        b"http://a/%2e%2e/b",
        # An encoded slash.
        b"/%2f",
        b"/a%2Fb",
        b"/..%2f..%2fa",
        b"/%2e%2e%2fa",
        # NUL.
        b"/%00",
        b"/a%00.png",
        b"/%00/..",
        # Broken escapes.
        b"/%",
        b"/%2",
        b"/a%2",
        b"/%zz",
        b"/%0",
        b"/%-1",
        b"/%+1",
        b"/% 1",
        b"/%u002e",
        b"/%%32%65",
        # No UTF-8: overlong forms, surrogates, stray octets, beyond Unicode.
        b"/%c0%ae%c0%ae/a",
        b"/%c0%af",
        b"/%e0%80%ae",
        b"/%f0%80%80%af",
        b"/%c1%81",
        b"/%ed%a0%80",
        b"/%ed%a0%bd%ed%b8%80",
        b"/%80",
        b"/%ff",
        b"/%c3",
        b"/%f4%90%80%80",
        b"/%fe%ff",
        # Not encoded, but must be.
        b"/a b",
        b"/a\tb",
        b"/\0",
        b"/a\r\nX: 1",
        b"/a\n",
        b"/\x7f",
        b"/\xc3\xa9",
        b"/\xff",
        b"/a#b",
        # Tricks with the absolute form.
        b"http:",
        b"http:/a",
        b"http:a",
        b"http://",
        b"http:///",
        b"http:///a",
        b"http://:80/a",
        b"http:\\\\x",
        b"http:\\\\x/a",
        b"http://x\\a",
        b"http://x\\@y/a",
        b"http://a@b/",
        b"http://a:b@c/",
        b"http://a#b/",
        b"http://a?b/",
        b"http://a b/",
        b"http://a\n/b",
        b"http://a\n",
        b"http://\0/b",
        b"http://\xe9/b",
        b"ftp://a/b",
        b"file:///etc/passwd",
        b"httpx://a/b",
        b" http://a/b",
        b"javascript:alert(1)",
        b"a.example:443",
    ],
)
def test_refused(target: bytes) -> None:
    with pytest.raises(RequestFault) as caught:
        path_of_target(target)
    assert caught.value.status == 400
    assert caught.value.said.endswith(".")


def test_too_long_a_target() -> None:
    assert path_of_target(b"/" + b"a" * 99, max_length=100)
    for target in (b"/" + b"a" * 100, b"%" * 101):
        with pytest.raises(TargetTooLong) as caught:
            path_of_target(target, max_length=100)
        assert caught.value.status == 414


# --- there and back -----------------------------------------------------------------------------

# Slashes, dots and whatever a URI treats as its own, more often than chance has them.
CHARACTERS = st.sampled_from("/.\\%?#+; ~\"'()é😀\n\x7f") | st.characters(exclude_categories=["Cs"])
PATHS = st.text(CHARACTERS.filter(lambda c: c != "\0"), max_size=40).map("/".__add__)


def has_dot_segment(path: str) -> bool:
    return any(segment in (".", "..") for segment in path.replace("\\", "/").split("/"))


@given(PATHS)
def test_a_path_comes_back(path: str) -> None:
    encoded = encode_path(path).encode("ascii")
    assert re.fullmatch(rb"[!$&-;=@A-Z_a-z~]([!$%&-;=@A-Z_a-z~])*", encoded)
    if has_dot_segment(path):
        with pytest.raises(RequestFault):
            path_of_target(encoded)
    else:
        assert path_of_target(encoded) == path
        assert path_of_target(b"http://a.example" + encoded) == path


@given(PATHS, st.data())
def test_every_spelling_is_the_same_key(path: str, data: st.DataObject) -> None:
    assume(not has_dot_segment(path))
    spellings = [
        data.draw(st.sampled_from(["%{:02x}", "%{:02X}", "plain"])) for _ in path[1:].encode()
    ]
    spelled = b"/"
    for octet, spelling in zip(path[1:].encode(), spellings, strict=True):
        plain = 0x21 <= octet < 0x7F and octet not in b"%#"
        must_stay = octet == 0x2F
        may_stay = spelling == "plain" and plain
        form = "%{:02X}" if spelling == "plain" else spelling
        spelled += bytes([octet]) if must_stay or may_stay else form.format(octet).encode()
    assert path_of_target(spelled) == path


@given(st.binary(max_size=30) | st.text("/.%2eEfF5cC0\\", max_size=20).map(str.encode))
def test_what_is_read_is_safe(target: bytes) -> None:
    try:
        path = path_of_target(b"/" + target)
    except RequestFault:
        return
    assert path.startswith("/")
    assert "\0" not in path
    assert not has_dot_segment(path)
    assert path_of_target(encode_path(path).encode()) == path


# --- keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "mount", "key"),
    [
        ("/", "/", ""),
        ("/a", "/", "a"),
        ("//a", "/", "/a"),
        ("/m/", "/m/", ""),
        ("/m", "/m/", ""),
        ("/m/a/b", "/m/", "a/b"),
        ("/m//a", "/m/", "/a"),
    ],
)
def test_key_below(path: str, mount: str, key: str) -> None:
    assert key_below(path, mount) == key


@pytest.mark.parametrize("character", ["a", "é", "☃", "😀"])
def test_longest_key(character: str) -> None:
    longest = character * (MAX_KEY_LENGTH // len(character.encode()))
    filled = longest + "x" * (MAX_KEY_LENGTH - len(longest.encode()))
    assert key_below("/" + filled, "/") == filled
    with pytest.raises(TargetTooLong):
        key_below("/" + filled + "x", "/")


def test_patterns_have_nothing_to_back_up_over() -> None:
    """One repeat in all of them, and it ends where a character is none of its set."""
    for pattern in (keys._BROKEN_ESCAPE, keys._NOT_VISIBLE_ASCII, keys._SCHEME_AND_AUTHORITY):
        outside_sets = re.sub(rb"\[(?:[^\\\]]|\\.)*\]", b".", pattern.pattern)
        repeats = re.findall(rb"[*+]", outside_sets)
        assert repeats == ([b"+"] if pattern is keys._SCHEME_AND_AUTHORITY else [])
    assert keys._SEPARATORS.pattern == r"[/\\]"
