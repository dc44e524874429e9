"""What all answers of the operator's door share, and how their parameters are read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

FIELDS: Mapping[str, str] = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}


class BadParameter(ValueError):
    """A parameter can't be used; the text says which and what was expected."""


def problem(status: int, detail: str, more: Mapping[str, Any] | None = None) -> Response:
    """An error in the form of RFC 9457; `more` are members of its own."""
    fields = dict(FIELDS)
    if status == HTTPStatus.UNAUTHORIZED:
        fields["www-authenticate"] = 'Bearer realm="headgate"'
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        fields["retry-after"] = "10"
    body = {**(more or {}), "status": status, "title": HTTPStatus(status).phrase, "detail": detail}
    return JSONResponse(body, status, fields, media_type="application/problem+json")


def as_json(value: object, status: int = 200) -> Response:
    """JSON, never stored."""
    return JSONResponse(value, status, dict(FIELDS))


def only(request: Request, known: Collection[str]) -> Mapping[str, str]:
    """The parameters; raises `BadParameter` for one that is not known or is given twice."""
    given = request.query_params.multi_items()
    for name, _ in given:
        if name not in known:
            there = ", ".join(sorted(known)) or "there are none"
            raise BadParameter(f"There is no parameter {name!r}; known here: {there}.")
    if len({name for name, _ in given}) < len(given):
        raise BadParameter("A parameter is given twice.")
    return dict(given)


def whole(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """A whole number from `least` to `most`."""
    text = given.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most:
        return int(text)
    raise BadParameter(f"{name}: expected a whole number from {least} to {most}.")


def one_of(given: Mapping[str, str], name: str, choices: Collection[str], default: str) -> str:
    """One word of several."""
    text = given.get(name, default)
    if text not in choices:
        raise BadParameter(f"{name}: expected one of {', '.join(choices)}.")
    return text
