"""Random requests to the operator's door: what its description allows, and what it does not.

Each answer must be as described, and none a 5xx that is not. /trace is left out of it: its answer
does not end; what its parameters may be is in tests/observability/test_live.py.
"""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode

from proxy.admin.app import make_admin
from proxy.admin.openapi import DESCRIPTION
from proxy.admin.options import AdminOptions
from proxy.semantics.routing import Mount
from tests.admin.fleet import StubFleet
from tests.admin.test_debug import a_session

PATHS = sorted(path for path in DESCRIPTION["paths"] if path != "/trace")
WITH_PARAMETERS = [
    path
    for path in PATHS
    for one in DESCRIPTION["paths"][path].values()
    if one["parameters"] or "requestBody" in one
]
# Those with a parameter that may be nearly any text.
WITH_FREE_TEXT = ("/cache/objects",)


@pytest.fixture(scope="module")
def operations() -> dict[str, Any]:
    """By path; the door behind them has workers that answer at once."""
    session = a_session()
    nothing: dict[str, Any] = {"count": 0, "transfers": []}
    answers = {
        "profile": lambda _: session,
        "memory": lambda _: {},
        "tasks": lambda _: [],
        "stalls": lambda _: [],
        "transfers": lambda _: nothing,
        "faults": lambda _: [],
        "cache-stats": lambda _: {"directory": "/a", "entries": 1},
        "cache-list": lambda _: {"objects": [], "truncated": False},
        "cache-purge": lambda _: {"objects": 1, "directory": "/a", "settled": True},
        "cache-sweep": lambda _: {"objects": 1, "slices": 2},
        "cache-scrub": lambda _: {"done": 256, "of": 256, "damaged": 0},
        "cache-warm": lambda _: {"done": 1, "of": 1, "listing": False, "faults": []},
    }
    schema = schemathesis.openapi.from_dict(DESCRIPTION)
    options = AdminOptions(debug="on", mounts=(Mount("/", "files"),), cached=("files",))
    schema.app = make_admin(StubFleet(answers=answers), options)
    found: list[Any] = list(schema.get_all_operations())
    return {one.ok().path: one.ok() for one in found}


def ask_at_random(operation: Any, mode: GenerationMode) -> set[int]:  # noqa: ANN401  # its own type
    """Asks, checks each answer, and gives the statuses."""
    statuses: set[int] = set()

    # The same cases each time: "12" as text is a case of what is not allowed, and is a number.
    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: Case[Any]) -> None:
        answer = case.call_and_validate(base_url="http://localhost", headers={"host": "localhost"})
        statuses.add(answer.status_code)

    run()
    return statuses


@pytest.mark.parametrize("path", PATHS)
def test_what_is_allowed_is_answered_as_described(path: str, operations: dict[str, Any]) -> None:
    statuses = ask_at_random(operations[path], GenerationMode.POSITIVE)
    assert 200 in statuses
    assert statuses <= {200, 404}, "404 for a worker or an origin that is not there"


@pytest.mark.parametrize("path", WITH_PARAMETERS)
def test_what_is_not_allowed_is_refused_as_described(path: str, operations: dict[str, Any]) -> None:
    statuses = ask_at_random(operations[path], GenerationMode.NEGATIVE)
    assert 400 in statuses
    # In a query all is text: what is no text for the description may be some for who reads it.
    fits = {200} if path in WITH_FREE_TEXT else set()
    assert statuses <= {400, 404} | fits, "text that reads as a number is one, in a query"
