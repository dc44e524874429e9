"""Starts that fail, each with one clear line, and reloads that drop nothing."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.program import REPOSITORY, Headgate
from tests.servers.process import free_ports
from tests.servers.s3 import SeaweedFS

pytestmark = pytest.mark.servers


def start(tmp_path: Path, config: str) -> tuple[int, str]:
    """Runs a start that is expected to fail; its exit code and what it wrote."""
    file = tmp_path / "headgate.toml"
    file.touch(mode=0o600)  # or there is a warning beside the error: a secret anyone can read
    file.write_text('[admin]\nbind = ""\n' + config)
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "serve", "--config", str(file)],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def s3(store: SeaweedFS, **other: str) -> str:
    options = {
        "endpoint": store.endpoint,
        "bucket": store.bucket,
        "access_key_id": store.access_key_id,
        "secret_access_key": store.secret_access_key,
    } | other
    lines = "\n".join(f'{name} = "{value}"' for name, value in options.items())
    [port] = free_ports(1)
    return f'[server]\nbind = ["127.0.0.1:{port}"]\n[origins.media]\ntype = "s3"\n{lines}\n'


def assert_one_line(written: str, *said: str) -> None:
    assert len(written.strip().splitlines()) == 1, written
    assert "Traceback" not in written
    for words in said:
        assert words in written


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = f'[server]\nbind = ["127.0.0.1:{port}"]\n'
        config += f'[origins.d]\ntype = "directory"\nroot = "{tmp_path}"\n'
        code, written = start(tmp_path, config)
    assert code == 1
    assert_one_line(written, f"127.0.0.1:{port}", "in use")


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    [port] = free_ports(1)
    config = f'[server]\nbind = ["127.0.0.1:{port}"]\n'
    config += f'[origins.d]\ntype = "directory"\nroot = "{tmp_path}/none"\n'
    code, written = start(tmp_path, config)
    assert code == 1
    assert_one_line(written, "origins.d", f"{tmp_path}/none")


def test_a_bucket_that_is_not_there(tmp_path: Path, seaweedfs: SeaweedFS) -> None:
    code, written = start(tmp_path, s3(seaweedfs, bucket="no-such-bucket"))
    assert code == 1
    assert_one_line(written, "origins.media", "no-such-bucket")


def test_wrong_credentials(tmp_path: Path, seaweedfs: SeaweedFS) -> None:
    code, written = start(tmp_path, s3(seaweedfs, secret_access_key="wrong" * 8))
    assert code == 1
    assert_one_line(written, "origins.media", "secret_access_key")
    assert "wrongwrong" not in written
    code, written = start(tmp_path, s3(seaweedfs, access_key_id="AKNOBODY"))
    assert code == 1
    assert_one_line(written, "origins.media", "access_key_id")


def test_an_endpoint_where_nobody_is(tmp_path: Path, seaweedfs: SeaweedFS) -> None:
    [port] = free_ports(1)
    code, written = start(tmp_path, s3(seaweedfs, endpoint=f"http://127.0.0.1:{port}"))
    assert code == 1
    assert_one_line(written, "origins.media", f"127.0.0.1:{port}")


def test_no_credentials_at_all(tmp_path: Path, seaweedfs: SeaweedFS) -> None:
    config = s3(seaweedfs, access_key_id="", secret_access_key="")
    done = start(tmp_path, config)
    assert done[0] == 1
    assert_one_line(done[1], "origins.media", "credentials")


def test_a_configuration_with_faults(tmp_path: Path) -> None:
    code, written = start(tmp_path, '[serverr]\nbind = 5\n[origins.m]\ntype = "s3"\n')
    assert code == 2
    assert "headgate.toml:3: serverr" in written
    assert "server" in written
    assert "bucket" in written, "all faults, not the first"
    assert "Traceback" not in written


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "serve", "--config", str(tmp_path / "none.toml")],
        capture_output=True, text=True, timeout=60, check=False, cwd=REPOSITORY,
    )  # fmt: skip
    assert done.returncode == 2
    assert_one_line(done.stderr, "none.toml")


# --- reloads ------------------------------------------------------------------------------------

MIB = 1024 * 1024


def configuration(root: Path, rule: str) -> str:
    return f"""
        [server]
        bind = ["127.0.0.1:0"]
        [admin]
        bind = "127.0.0.1:0"
        [origins.files]
        type = "directory"
        root = "{root}"
        [[rules]]
        path = "/**"
        cache_control = "{rule}"
    """


def slow_client() -> httpx.Client:
    """A client whose kernel takes little by itself, so that a download stays in flight."""
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)]
    return httpx.Client(
        transport=httpx.HTTPTransport(socket_options=small), timeout=30, trust_env=False
    )


def until_refused(program: Headgate) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            httpx.head(f"{program.url}/small", trust_env=False)
        except httpx.ConnectError:
            return
        except httpx.TransportError:
            pass  # it was in the kernel's queue when that was closed
        assert time.monotonic() < deadline, program.output()
        time.sleep(0.05)


def wait_for_rule(program: Headgate, rule: str) -> None:
    deadline = time.monotonic() + 30
    while httpx.get(f"{program.url}/small", trust_env=False).headers["cache-control"] != rule:
        assert time.monotonic() < deadline, program.output()
        time.sleep(0.05)


def test_a_reload_serves_the_new_configuration_and_drops_no_byte(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    body = os.urandom(24 * MIB)
    (root / "large").write_bytes(body)
    (root / "small").write_bytes(b"small")
    with Headgate(configuration(root, "max-age=1")) as program:
        wait_for_rule(program, "max-age=1")
        whole = hashlib.sha256()
        with slow_client() as client, client.stream("GET", f"{program.url}/large") as download:
            pieces = download.iter_raw(MIB)
            whole.update(next(pieces))
            program.rewrite(configuration(root, "max-age=2"))
            os.kill(program.pid, signal.SIGHUP)
            wait_for_rule(program, "max-age=2")
            assert download.headers["cache-control"] == "max-age=1"
            for piece in pieces:
                whole.update(piece)
        assert whole.digest() == hashlib.sha256(body).digest()

        program.rewrite('[serverr]\nbind = ["127.0.0.1:0"]\n')
        os.kill(program.pid, signal.SIGHUP)
        deadline = time.monotonic() + 30
        while "serverr" not in program.output():
            assert time.monotonic() < deadline, program.output()
            time.sleep(0.05)
        wait_for_rule(program, "max-age=2")
        assert "Traceback" not in program.output()
        assert program.stop() == 0


def test_requests_all_through_reloads_are_all_answered(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "small").write_bytes(b"small")
    with (
        Headgate(configuration(root, "max-age=1")) as program,
        httpx.Client(trust_env=False) as client,
    ):
        for number in range(2, 5):
            program.rewrite(configuration(root, f"max-age={number}"))
            os.kill(program.pid, signal.SIGHUP)
            rule = f"max-age={number}"
            deadline, seen = time.monotonic() + 30, ""
            while seen != rule:
                assert time.monotonic() < deadline, program.output()
                answer = client.get(f"{program.url}/small")
                assert answer.status_code == 200
                seen = answer.headers["cache-control"]
                fresh = httpx.get(f"{program.url}/small", trust_env=False)
                assert fresh.content == b"small"


@pytest.mark.parametrize("grace", ["20s", "0s"])
def test_a_stop_lets_downloads_end_or_says_what_it_cut(tmp_path: Path, grace: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    body = os.urandom(24 * MIB)
    (root / "large").write_bytes(body)
    config = configuration(root, "x").replace("[admin]", f'graceful_timeout = "{grace}"\n[admin]')
    with Headgate(config) as program:
        got = bytearray()
        with slow_client() as client, client.stream("GET", f"{program.url}/large") as download:
            pieces = download.iter_raw(MIB)
            got += next(pieces)
            os.kill(program.pid, signal.SIGTERM)
            until_refused(program)
            if grace == "0s":
                with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                    list(pieces)
            else:
                for piece in pieces:
                    got += piece
        assert program.wait() == 0, "no second signal, which would have it stop at once"
        written = program.output()
    if grace == "0s":
        assert "0 responses finished while draining, 1 cut" in written
    else:
        assert bytes(got) == body
        assert "1 responses finished while draining, 0 cut" in written
