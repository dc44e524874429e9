from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.origins import media_types
from proxy.origins.media_types import media_type_of

HTML = "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("index.html", HTML),
        ("a/b/INDEX.HTM", HTML),
        ("app.min.js", "text/javascript; charset=utf-8"),
        ("module.mjs", "text/javascript; charset=utf-8"),
        ("data.json", "application/json"),
        ("feed.xml", "application/xml; charset=utf-8"),
        ("logo.svg", "image/svg+xml"),
        ("photo.JPeG", "image/jpeg"),
        ("clip.mp4", "video/mp4"),
        ("seg/0001.ts", "video/mp2t"),
        ("types/index.d.ts", "text/plain; charset=utf-8"),
        ("list.m3u8", "application/vnd.apple.mpegurl"),
        ("sound.opus", "audio/ogg"),
        ("type.woff2", "font/woff2"),
        ("backup.tar.gz", "application/gzip"),
        ("backup.TAR.ZST", "application/zstd"),
        ("app.js.br", "application/x-brotli"),
        ("paper.pdf", "application/pdf"),
        ("notes.txt", "text/plain; charset=utf-8"),
        ("readme.v2.md", "text/markdown; charset=utf-8"),
        ("naïve…ü.png", "image/png"),
        ("a.b/c", None),
        ("noextension", None),
        ("unknown.zzz", None),
        ("trailing.png.", None),
        (".png", None),
        ("dir/.gz", None),
        (".hidden.png", "image/png"),
        ("..png", "image/png"),
        (".d.ts", "video/mp2t"),
        ("a.png/", None),
        ("", None),
        ("/", None),
        ("png", None),
    ],
)
def test_by_name(key: str, expected: str | None) -> None:
    assert media_type_of(key) == expected


def test_every_extension_has_one_type() -> None:
    every = [e for extensions in media_types._TABLE.values() for e in extensions.split()]
    assert sorted(every) == sorted(set(every))
    assert all(e == e.lower() for e in every)


def test_every_type_is_well_formed_and_only_text_has_a_charset() -> None:
    for value in media_types._BY_EXTENSION.values():
        assert re.fullmatch(r"[a-z]+/[a-z0-9.+-]+(; charset=utf-8)?", value)
        if value.startswith("text/"):
            assert value.endswith("; charset=utf-8")


@given(st.text())
def test_any_text_is_taken(key: str) -> None:
    assert media_type_of(key) in {None, *media_types._BY_EXTENSION.values()}


@given(st.text(), st.sampled_from(sorted(media_types._BY_EXTENSION)))
def test_what_stands_before_the_last_dot_does_not_matter(stem: str, extension: str) -> None:
    expected = media_types._BY_EXTENSION[extension]
    assert media_type_of(f"{stem}/x-.{extension}") == expected
