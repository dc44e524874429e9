"""Whose keys sign, and how they stay fresh."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.errors import OriginRefused, StartError
from proxy.origins.s3 import S3Origin
from proxy.origins.s3.chain import Found, NoCredentials, look
from proxy.origins.s3.credentials import Credentials, pause_before_refresh
from proxy.origins.s3.signing import Keys
from tests.origins.s3.fault_origin import (
    HANG,
    Request,
    Step,
    answer,
    error,
    fault_origin,
    s3_origin,
)

KEYS = Keys("AK1", "secret-1", "token-1")


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's own: no variable, no file, no instance."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE", "REGION"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


async def who_signs(
    endpoint: str, requests: list[Request], profile: str | None = None
) -> tuple[str, ...]:
    """The access key and the session token that a store sees."""
    async with s3_origin(
        endpoint, access_key_id=None, secret_access_key=None, profile=profile
    ) as origin:
        await _open(origin)
    headers = requests[-1].headers
    return _key_of(requests[-1]), headers.get("x-amz-security-token", "")


async def _open(origin: S3Origin) -> None:
    await (await origin.open("a")).aclose()


def _key_of(request: Request) -> str:
    return request.headers["authorization"].split("Credential=")[1].split("/")[0]


async def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
    async with fault_origin() as store:
        assert await who_signs(store.endpoint, store.requests) == ("AKENV", "t")


async def test_profile(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "[profile media]\naws_access_key_id = AKFILE\naws_secret_access_key = s\n"
    )
    async with fault_origin() as store:
        assert await who_signs(store.endpoint, store.requests, profile="media") == ("AKFILE", "")


async def test_process(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text(
        json.dumps({"Version": 1, "AccessKeyId": "AKPROC", "SecretAccessKey": "s"})
    )
    (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {tmp_path}/out.json\n")
    async with fault_origin() as store:
        assert await who_signs(store.endpoint, store.requests) == ("AKPROC", "")


async def test_fixed_keys_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    async with (
        fault_origin() as store,
        s3_origin(store.endpoint, session_token="fixed") as origin,
    ):
        await _open(origin)
    assert _key_of(store.requests[0]) == "AKTEST"
    assert store.requests[0].headers["x-amz-security-token"] == "fixed"


def issue(number: int, seconds: float) -> bytes:
    """What a container's credentials endpoint answers."""
    expiry = datetime.now(UTC) + timedelta(seconds=seconds)
    document = {
        "AccessKeyId": f"AK{number}",
        "SecretAccessKey": f"secret-{number}",
        "Token": f"token-{number}",
        "Expiration": expiry.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return answer(200, {"Content-Type": "application/json"}, json.dumps(document).encode())


async def test_container_credentials_are_refreshed_while_requests_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    issued = 0

    def respond(_: Request) -> list[Step]:
        nonlocal issued
        issued += 1
        if issued == 3:
            return [answer(500, {}, b"secret-0")]  # a source that fails at times
        return [issue(issued, seconds=6)]

    async with fault_origin(respond) as source, fault_origin() as store:
        url = f"{source.endpoint}/credentials"
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        async with s3_origin(store.endpoint, access_key_id=None, secret_access_key=None) as origin:
            await _open(origin)
            first = _key_of(store.requests[0])
            while _key_of(store.requests[-1]) == first:
                await asyncio.sleep(0.02)
                await _open(origin)  # never a fault
    assert source.open_connections == 0
    tokens = {request.headers["x-amz-security-token"] for request in store.requests}
    assert len(tokens) == 2
    assert "secret-" not in caplog.text


async def test_none_found_says_how_to_give_them() -> None:
    with pytest.raises(StartError, match=r"access_key_id.*AWS_ACCESS_KEY_ID.*unsigned"):
        async with s3_origin("http://127.0.0.1:1", access_key_id=None, secret_access_key=None):
            pass


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ("[default]\naws_access_key_id = AK\n", "PartialCredentialsError"),
        ("[default]\ncredential_process = false\n", "CredentialRetrievalError of custom-process"),
        ("[default]\ncredential_process = echo very-secret\n", "JSONDecodeError"),
    ],
)
async def test_a_chain_that_fails_quotes_no_source(config: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(config)
    with pytest.raises(NoCredentials, match=text) as raised:
        await look(None)
    assert "very-secret" not in str(raised.value)


async def test_a_look_that_is_cancelled_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fault_origin(lambda _: [HANG]) as source:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{source.endpoint}/c")
        looking = asyncio.create_task(look(None))
        await until(lambda: len(source.requests) == 1)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        await until(lambda: source.open_connections == 0)
    assert len(source.requests) == 1  # left to itself, it would have tried again


async def test_expired_keys_are_our_own_fault() -> None:
    async def expired() -> Found:
        return Found(KEYS, 0)

    credentials = Credentials(None, expired)
    await credentials.start()
    with pytest.raises(OriginRefused, match="expired"):
        credentials.current()
    await credentials.aclose()


async def test_failures_leave_the_last_keys_in_use_and_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    looks = 0

    async def once() -> Found:
        nonlocal looks
        looks += 1
        if looks > 1:
            raise NoCredentials("out of order")
        return Found(KEYS, 1.5)

    credentials = Credentials(None, once)
    with caplog.at_level(logging.WARNING):
        await credentials.start()
        assert credentials.current() == KEYS
        await until(lambda: "out of order" in caplog.text)
    await credentials.aclose()


async def test_a_doubt_leads_to_one_look() -> None:
    looks = 0

    async def counted() -> Found:
        nonlocal looks
        looks += 1
        return Found(KEYS._replace(access_key_id=f"AK{looks}"), None)

    credentials = Credentials(None, counted)
    await credentials.start()
    for _ in range(5):
        credentials.doubt()
        await asyncio.sleep(0)
    await until(lambda: credentials.current() == KEYS._replace(access_key_id="AK2"))
    await asyncio.sleep(0.05)
    assert looks == 2
    await credentials.aclose()


async def test_a_store_that_calls_the_keys_stale_raises_a_doubt(tmp_path: Path) -> None:
    def respond(request: Request) -> list[Step]:
        return [error(400, "ExpiredToken")]

    file = tmp_path / "config"
    text = "[default]\naws_access_key_id = AK{}\naws_secret_access_key = s\n"
    file.write_text(text.format(1))
    async with (
        fault_origin(respond) as store,
        s3_origin(store.endpoint, access_key_id=None, secret_access_key=None) as origin,
    ):
        file.write_text(text.format(2))
        while not store.requests or _key_of(store.requests[-1]) == "AK1":
            with pytest.raises(OriginRefused):
                await origin.open("a")
            await asyncio.sleep(0.01)


async def test_without_a_chain_there_is_no_task() -> None:
    before = asyncio.all_tasks()
    credentials = Credentials(KEYS)
    await credentials.start()
    assert asyncio.all_tasks() == before
    assert credentials.current() == KEYS
    await credentials.aclose()


@pytest.mark.parametrize(
    ("left", "failures", "chance", "pause"),
    [
        (None, 0, 0.5, None),
        (3600, 0, 0.5, 2700),
        (3600, 0, 0.0, 3600 - 675),
        (3600, 0, 1.0, 3600 - 1125),
        (600, 0, 0.5, 300),
        (0, 0, 0.5, 1),
        (-5, 0, 0.5, 1),
        (600, 1, 0.5, 1),
        (600, 2, 0.5, 2),
        (None, 3, 0.0, 3),
        (600, 50, 0.5, 60),
    ],
)
def test_pauses(left: float | None, failures: int, chance: float, pause: float | None) -> None:
    assert pause_before_refresh(left, failures, chance) == pause
