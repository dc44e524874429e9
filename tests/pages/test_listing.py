"""Listings: hostile names go through unharmed, and both forms say the same."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote, unquote, urljoin

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.errors import RequestFault
from proxy.origins.base import Entry, Page
from proxy.pages.listing import (
    HTML,
    JSON,
    Listing,
    listing_html,
    listing_json,
    render_listing,
)
from proxy.pages.text import link_to
from proxy.semantics.keys import path_of_target
from tests.pages.hostile import ANY_TEXT
from tests.pages.reading import Reader

BASE = "http://example.test/a%20b/%C3%A9/"
NAMES = st.text(st.characters(exclude_characters="\0/"), min_size=1)
HOSTILE = [
    "<script>alert(1)</script>",
    "--><img src=x onerror=alert(1)>",
    '"onmouseover="alert(1)',
    "'><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "&lt;b&gt;",
    "&#x3c;",
    "</title></style></table>",
    "a?b#c%41",
    "//evil.test",
    "http:evil",
    "\u202etxt.exe",
    "line\nbreak",
    "...",
    "\\\\evil",
]


def page_of(*names: str) -> Page:
    return Page(tuple(Entry(name) for name in names))


def read_html(path: str, *names: str) -> Reader:
    return Reader(listing_html(Listing(path, page_of(*names))))


def read_json(listing: Listing) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(listing_json(listing))
    return value


@settings(deadline=None)
@given(st.lists(NAMES.filter(lambda name: link_to(name) is not None)), st.booleans())
@example(HOSTILE, False)
@example(HOSTILE, True)
def test_every_link_means_its_name(names: list[str], folders: bool) -> None:
    entries = [name.replace("/", "") + "/" * folders for name in names]
    links = [href for kind, href, _ in read_html("/a b/é/", *entries).links if kind]
    assert len(links) == len(entries)
    for entry, href in zip(entries, links, strict=True):
        resolved = urljoin(BASE, href)
        assert resolved.startswith(BASE)
        assert unquote(resolved[len(BASE) :], errors="strict") == entry
    assert links == [
        entry["href"] for entry in read_json(Listing("/", page_of(*entries)))["entries"]
    ]


@settings(deadline=None)
@given(st.one_of(NAMES, ANY_TEXT), st.sampled_from(["", "/"]))
@example("..", "")
@example("a\\..", "/")
@example("a\udcff", "")
def test_a_name_has_a_link_if_and_only_if_its_address_is_served(name: str, slash: str) -> None:
    name = name.replace("/", "") + slash
    href = link_to(name)
    target = quote(name, safe="/", errors="surrogatepass").encode()
    if name and href is not None:
        assert path_of_target(b"/base/" + href.removeprefix("./").encode()) == f"/base/{name}"
    elif name:
        with pytest.raises(RequestFault):
            path_of_target(b"/base/" + target)


@settings(deadline=None)
@given(ANY_TEXT, ANY_TEXT)
@example("<i>", "</bdi><b>")
@example("--><!--", "]]>")
def test_no_name_changes_the_markup(name: str, folder: str) -> None:
    name, folder = "n" + name.replace("/", "") + "n", folder.replace("/", "") + "x"
    reader = read_html(f"/{folder}/b/", name, "z/")
    tame = read_html("/x/b/", "n", "z/")
    linked = link_to(name) is not None
    assert [tag for tag in reader.tags if tag not in {"a", "span"}] == [
        tag for tag in tame.tags if tag not in {"a", "span"}
    ]
    assert len(reader.links) == len(tame.links) - (not linked)
    assert set(reader.attributes) - {"title"} == set(tame.attributes) - {"title"}


@settings(deadline=None)
@given(st.text(st.sampled_from("ab<>&\"'\n\t\u202e\u200b\x7f\ud800é👩")))
def test_a_name_is_shown_as_it_is(name: str) -> None:
    shown = read_html("/", f"a{name}b").names[-1]
    back = re.sub(r"\{\\[xu]([0-9a-f]+)\}", lambda found: chr(int(found[1], 16)), shown)
    assert back == f"a{name}b"
    assert not re.search("[\n\t\u202e\u200b\x7f\ud800]", shown)


def test_names_without_an_address_are_shown_without_a_link() -> None:
    reader = read_html("/", "..", ".", "a\udcff", "../", "ok")
    assert [href for _, href, _ in reader.links] == ["./ok"]
    assert reader.names[1:] == ["..", "..", ".", "a{\\udcff}", "ok"]
    assert [
        entry["href"] for entry in read_json(Listing("/", page_of("..", "a\udcff")))["entries"]
    ] == [
        None,
        None,
    ]


VIDEOS = Listing(
    "/media/new videos/",
    Page(
        (
            Entry("b.mp4", 1_048_576, 1_740_832_496),
            Entry("clips/"),
            Entry("a.bin", 0, None),
            Entry("archive/", None, 0),
        ),
        after="clips/",
    ),
    next_link="?after=clips%2F&limit=4",
    parent_link="../",
)


def test_json_is_stable() -> None:
    assert listing_json(VIDEOS) == (
        b'{"path":"/media/new videos/","entries":['
        b'{"name":"clips","type":"directory","size":null,"modified":null,"href":"./clips/"},'
        b'{"name":"archive","type":"directory","size":null,"modified":"1970-01-01T00:00:00Z",'
        b'"href":"./archive/"},'
        b'{"name":"b.mp4","type":"file","size":1048576,"modified":"2025-03-01T12:34:56Z",'
        b'"href":"./b.mp4"},'
        b'{"name":"a.bin","type":"file","size":0,"modified":null,"href":"./a.bin"}],'
        b'"next":"?after=clips%2F&limit=4"}\n'
    )


@settings(deadline=None)
@given(ANY_TEXT, ANY_TEXT)
def test_json_holds_no_lone_surrogates(path: str, name: str) -> None:
    value = read_json(Listing(path, page_of(name), next_link=path))
    assert json.dumps(value, ensure_ascii=False).encode()


def test_html_says_sizes_and_times() -> None:
    page = listing_html(VIDEOS).decode()
    assert '<span title="1,048,576 bytes">1.0 MiB</span>' in page
    assert (
        '<time datetime="2025-03-01T12:34:56Z" title="2025-03-01T12:34:56Z">2025-03-01 12:34</time>'
        in page
    )
    assert page.count('<td class="s"></td>') == 2
    assert "2 folders, 2 files on this page" in page


def test_html_puts_the_parent_and_folders_first_and_the_next_page_last() -> None:
    links = [(href, text) for _, href, text in Reader(listing_html(VIDEOS)).links]
    assert links == [
        ("../../", "Home"),
        ("../", "media"),
        ("../", "Parent folder"),
        ("./clips/", "clips/"),
        ("./archive/", "archive/"),
        ("./b.mp4", "b.mp4"),
        ("./a.bin", "a.bin"),
        ("?after=clips%2F&limit=4", "Next page"),
    ]


@pytest.mark.parametrize(
    ("path", "top", "trail", "heading"),
    [
        ("/", "/", [], "Home"),
        ("/a/", "/", [("../", "Home")], "a"),
        ("/a/b/c/", "/", [("../../../", "Home"), ("../../", "a"), ("../", "b")], "c"),
        ("/a/b/c/", "/a/", [("../../", "a"), ("../", "b")], "c"),
        ("/a/b/", "/a/b/", [], "b"),
        ("/a//b/", "/", [("../../../", "Home"), ("../../", "a"), ("../", "{(no name)}")], "b"),
    ],
)
def test_crumbs(path: str, top: str, trail: list[tuple[str, str]], heading: str) -> None:
    page = listing_html(Listing(path, Page(()), top=top))
    reader = Reader(page)
    assert [(href, text) for _, href, text in reader.links] == trail
    assert f"<h1><bdi>{heading}</bdi></h1>".encode() in page
    assert ("nav" in reader.tags) == bool(path.count("/") > 2 or trail)


def test_an_empty_folder_says_so() -> None:
    empty = listing_html(Listing("/", Page(())))
    assert b"This folder is empty." in empty
    assert b"<table>" not in empty
    with_parent = listing_html(Listing("/a/", Page(()), parent_link="../"))
    assert b"This folder is empty." in with_parent
    assert b"Parent folder" in with_parent
    not_the_last = listing_html(Listing("/", Page(()), next_link="?after=x"))
    assert b"Nothing on this page." in not_the_last
    assert b"This folder is empty." not in not_the_last


def test_counts_in_the_singular() -> None:
    text = read_html("/", "a/", "b").text
    assert "1 folder, 1 file\n" in text


def test_links_made_by_others_are_escaped() -> None:
    reader = Reader(listing_html(Listing("/", Page(()), '?a="><b>&amp;', "\"'<\udcff")))
    assert [href for _, href, _ in reader.links] == ["\"'<\ufffd", '?a="><b>&amp;']


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, HTML),
        ("*/*", HTML),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
        ("image/png", HTML),
        ("application/json", JSON),
        ("application/json; charset=utf-8", JSON),
        ("application/json, text/plain, */*", JSON),
        ("text/html;q=0.5, application/json", JSON),
        ("application/json;q=0.5, text/html", HTML),
    ],
)
def test_render_listing(accept: str | None, media_type: str) -> None:
    found, body = render_listing(accept, VIDEOS)
    assert found == media_type
    assert body == (listing_html(VIDEOS) if media_type == HTML else listing_json(VIDEOS))
