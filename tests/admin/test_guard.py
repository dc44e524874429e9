"""Who gets in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from proxy.admin.app import make_admin
from proxy.admin.guard import OPEN, is_local_host, refusal
from proxy.admin.openapi import DESCRIPTION
from proxy.admin.options import AdminOptions
from tests.admin.fleet import StubFleet
from tests.server.asgi import Client

TOKEN = "s3cret-token"
PATHS = sorted(DESCRIPTION["paths"])
CLOSED = [path for path in PATHS if path not in OPEN]
DEBUG = [path for path in PATHS if path.startswith("/debug/")]


def status_of(options: AdminOptions, path: str, **headers: str) -> int:
    """0 where nothing is refused; a local Host unless another is given."""
    fields = {"host": "127.0.0.1:9090", **{k.replace("_", "-"): v for k, v in headers.items()}}
    refused = refusal(options, path, Headers(fields))
    return 0 if refused is None else refused.status


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True), ("localhost:9090", True), ("LOCALHOST.", True), ("127.0.0.1", True),
        ("127.9.9.9:1", True), ("[::1]:9090", True), ("[::1]", True),
        ("evil.example", False), ("localhost.evil.example", False), ("10.0.0.1:9090", False),
        ("127.0.0.1.evil.example", False), ("[::]", False), ("0.0.0.0", False), ("", False),
        ("localhost:99999999", False), ("localhost@evil", False), ("2130706433", False),
        ("local host", False), ("localhost/", False),
    ],
)  # fmt: skip
def test_hosts_of_this_machine(host: str, expected: bool) -> None:
    assert is_local_host(host) is expected


@given(st.text())
def test_any_text_may_be_a_host(host: str) -> None:
    is_local_host(host)


@pytest.mark.parametrize("path", PATHS)
def test_on_a_local_address_another_hosts_name_is_refused(path: str) -> None:
    assert status_of(AdminOptions(debug="on"), path) == 0
    assert status_of(AdminOptions(debug="on"), path, host="rebound.example:9090") == 403
    far = AdminOptions(token=TOKEN, is_local=False)
    fields = {"host": "headgate.example", "authorization": f"Bearer {TOKEN}"}
    assert status_of(far, path, **fields) == 0


@pytest.mark.parametrize("hosts", [[], [b"localhost", b"localhost"], [b"localhost, evil.example"]])
async def test_no_host_or_several_are_refused(hosts: list[bytes]) -> None:
    headers = [(b"host", host) for host in hosts]
    reply = await Client(make_admin(StubFleet(), AdminOptions())).request(
        "GET", "/metrics", headers=headers
    )
    assert reply.status == 403


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_sites_page_is_refused(path: str, site: str) -> None:
    assert status_of(AdminOptions(debug="on"), path, sec_fetch_site=site) == 403
    assert status_of(AdminOptions(debug="on"), path, sec_fetch_site="same-origin") == 0
    assert status_of(AdminOptions(debug="on"), "/", sec_fetch_site=site) == 0


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}",
     f"Bearer x{TOKEN}", f"Bearer {TOKEN.upper()}", "Bearer \xff\xfe", f"Bearer {TOKEN} {TOKEN}"],
)  # fmt: skip
def test_without_the_token_nothing_is_told(path: str, given: str) -> None:
    options = AdminOptions(token=TOKEN, debug="on")
    assert status_of(options, path, authorization=given) == 401
    assert status_of(options, path) == 401
    assert status_of(options, path, authorization=f"bearer {TOKEN}") == 0


@pytest.mark.parametrize("path", sorted(OPEN))
def test_what_tells_nothing_needs_no_token(path: str) -> None:
    assert status_of(AdminOptions(token=TOKEN), path) == 0


@pytest.mark.parametrize("path", [*DEBUG, "/debug/anything"])
def test_debugging(path: str) -> None:
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert status_of(AdminOptions(debug="off"), path) == 404
    assert status_of(AdminOptions(debug="off", token=TOKEN), path, **bearer) == 404
    assert status_of(AdminOptions(debug="token"), path) == 403
    assert status_of(AdminOptions(debug="token", token=TOKEN), path) == 401
    assert status_of(AdminOptions(debug="token", token=TOKEN), path, **bearer) == 0
    assert status_of(AdminOptions(debug="on"), path) == 0


@pytest.mark.parametrize(
    "target",
    ["//debug/tasks", "/./debug/tasks", "/x/../debug/tasks", "/debug//tasks", "/Debug/tasks"],
)
async def test_no_spelling_gets_around_it(target: str) -> None:
    client = Client(make_admin(StubFleet(), AdminOptions(token=TOKEN, debug="on")))
    reply = await client.get(target, host="localhost")
    assert reply.status in {401, 404}
    opened = await client.get(target, host="localhost", authorization=f"Bearer {TOKEN}")
    assert opened.status == 404


async def test_a_refusal_is_a_problem_and_says_how_to_get_in() -> None:
    client = Client(make_admin(StubFleet(), AdminOptions(token=TOKEN)))
    reply = await client.get("/metrics", host="localhost")
    assert reply.status == 401
    assert reply["www-authenticate"].startswith("Bearer")
    assert reply["content-type"] == "application/problem+json"
    assert TOKEN.encode() not in reply.body
