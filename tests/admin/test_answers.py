"""Parameters and answers."""

from __future__ import annotations

import json

import pytest
from starlette.requests import Request

from proxy.admin.answers import BadParameter, one_of, only, problem, whole


def request_of(query: str) -> Request:
    return Request({"type": "http", "query_string": query.encode(), "headers": []})


def test_known_parameters_are_read() -> None:
    assert only(request_of("a=1&b="), ("a", "b")) == {"a": "1", "b": ""}


@pytest.mark.parametrize("query", ["c=1", "a=1&a=2", "a=1&A=1", "=x", "a&b&c"])
def test_others_are_refused(query: str) -> None:
    with pytest.raises(BadParameter):
        only(request_of(query), ("a", "b"))


@pytest.mark.parametrize(("text", "expected"), [(None, 10), ("1", 1), ("60", 60), ("007", 7)])
def test_whole_numbers(text: str | None, expected: int) -> None:
    assert whole({} if text is None else {"n": text}, "n", 10, 1, 60) == expected


@pytest.mark.parametrize(
    "text", ["", "0", "61", "3600", "-1", "+1", "1.5", "1e1", "ten", "٣", "1" * 5000, " 1", "0x10"]
)
def test_what_is_no_such_number(text: str) -> None:
    with pytest.raises(BadParameter, match="from 1 to 60"):
        whole({"n": text}, "n", 10, 1, 60)


def test_one_word_of_several() -> None:
    assert one_of({}, "f", ("a", "b"), "a") == "a"
    assert one_of({"f": "b"}, "f", ("a", "b"), "a") == "b"
    with pytest.raises(BadParameter, match="a, b"):
        one_of({"f": "c"}, "f", ("a", "b"), "a")


def test_a_problem() -> None:
    answer = problem(429, "Too soon.")
    assert answer.headers["retry-after"] == "10"
    assert json.loads(bytes(answer.body)) == {
        "status": 429,
        "title": "Too Many Requests",
        "detail": "Too soon.",
    }
