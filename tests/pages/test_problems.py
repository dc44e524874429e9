"""The bodies of errors, in both forms."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

import proxy.errors
from proxy.pages.problems import (
    HTML,
    PROBLEM,
    problem_html,
    problem_json,
    reason,
    render_problem,
)
from tests.pages.hostile import ANY_TEXT
from tests.pages.reading import Reader

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


def test_problem_json_is_stable() -> None:
    assert problem_json(404, "Not Found", 'No "a".', "r-1") == (
        b'{"type":"about:blank","title":"Not Found","status":404,'
        b'"detail":"No \\"a\\".","request_id":"r-1"}\n'
    )


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (404, "Not Found"),
        (413, "Content Too Large"),
        (416, "Range Not Satisfiable"),
        (418, "Bad Request"),
        (502, "Bad Gateway"),
        (599, "Internal Server Error"),
    ],
)
def test_reason(status: int, phrase: str) -> None:
    assert reason(status) == phrase


def test_every_fault_has_a_reason_of_its_own() -> None:
    faults = [kind for kind in vars(proxy.errors).values() if isinstance(kind, type)]
    statuses = {kind.status for kind in faults if issubclass(kind, proxy.errors.Fault)}
    assert len({reason(status) for status in statuses}) == len(statuses)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, PROBLEM),
        ("*/*", PROBLEM),
        ("application/json", PROBLEM),
        ("video/mp4", PROBLEM),
        ("application/problem+json, text/html", PROBLEM),
        ("text/html;q=0.5, application/problem+json", PROBLEM),
        (BROWSER, HTML),
        ("text/html, */*", HTML),
        ("text/html;charset=utf-8", HTML),
    ],
)
def test_render_problem(accept: str | None, media_type: str) -> None:
    found, body = render_problem(accept, 503, "Try again.", "r-2")
    assert found == media_type
    make = problem_html if media_type == HTML else problem_json
    assert body == make(503, "Service Unavailable", "Try again.", "r-2")


def test_a_title_of_ones_own() -> None:
    _, body = render_problem(None, 404, "", "", title="Gone fishing")
    assert json.loads(body)["title"] == "Gone fishing"


def test_the_page_says_all_of_it() -> None:
    text = Reader(problem_html(404, "Not Found", "There is nothing.", "r-3")).text
    for said in ("404 Not Found", "There is nothing.", "r-3"):
        assert said in text


@settings(deadline=None)
@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_nothing_said_changes_the_page(title: str, detail: str, request_id: str) -> None:
    tame = Reader(problem_html(500, "t", "d", "r"))
    reader = Reader(problem_html(500, title, detail, request_id))
    assert reader.tags == tame.tags
    assert reader.attributes == tame.attributes
    value = json.loads(problem_json(500, title, detail, request_id))
    assert json.dumps(value, ensure_ascii=False).encode()
    assert list(value) == ["type", "title", "status", "detail", "request_id"]
