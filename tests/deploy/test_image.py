"""The container image, confined as in production: `just container-check`.

A read-only root, no capability, no new privileges, a user of its own; it serves from a directory
and from a store, says that it is well, and stops without cutting a download.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.tools.container import engine
from tests.deploy.container import IMAGE, Container, run_engine
from tests.servers import SeaweedFS
from tests.servers.process import free_ports, work_directory

BODY = os.urandom(12_000_000)

CONFIGURATION = """
[server]
bind = ["127.0.0.1:{port}"]
graceful_timeout = "20s"
[admin]
bind = "127.0.0.1:{admin}"
[origins.files]
type = "directory"
root = "/srv/files"
[origins.store]
type = "s3"
endpoint = "{endpoint}"
bucket = "{bucket}"
[[mounts]]
path = "/"
origin = "files"
[[mounts]]
path = "/store/"
origin = "store"
"""


class Served(Container):
    """The image serving a directory and a store."""

    def __init__(self, store: SeaweedFS) -> None:
        self.work = work_directory()
        self.port, self.admin = free_ports(2)
        files = self.work / "files"
        files.mkdir()
        (files / "body.bin").write_bytes(BODY)
        configuration = self.work / "headgate.toml"
        configuration.write_text(
            CONFIGURATION.format(
                port=self.port, admin=self.admin, endpoint=store.endpoint, bucket=store.bucket
            )
        )
        for path in (self.work, files):
            path.chmod(0o755)
        super().__init__(
            {configuration: "/etc/headgate/headgate.toml", files: "/srv/files"},
            {
                "HEADGATE_ADMIN__BIND": f"127.0.0.1:{self.admin}",
                "AWS_ACCESS_KEY_ID": store.access_key_id,
                "AWS_SECRET_ACCESS_KEY": store.secret_access_key,
            },
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def served(seaweedfs: SeaweedFS) -> Iterator[Served]:
    with Served(seaweedfs) as container:
        container.wait_until_healthy()
        yield container


@pytest.fixture(scope="module")
def inspected() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run_engine("image", "inspect", IMAGE).stdout)[0]
    return found


@pytest.fixture(scope="module")
def files() -> list[tarfile.TarInfo]:
    """Everything in the image, as the engine would unpack it."""
    made = run_engine("create", IMAGE)
    container = made.stdout.strip().splitlines()[-1]
    with (
        subprocess.Popen([engine(), "export", container], stdout=subprocess.PIPE) as export,
        tarfile.open(fileobj=export.stdout, mode="r|") as archive,
    ):
        found = list(archive)
    run_engine("rm", container)
    assert export.returncode == 0
    return found


def test_it_says_how_it_is_run(inspected: dict[str, Any]) -> None:
    config = inspected["Config"]
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Entrypoint"] == ["/opt/headgate/bin/python3", "-m", "proxy"]
    assert config["Cmd"] == ["serve"]
    check = inspected.get("HealthCheck") or inspected.get("Healthcheck") or config["Healthcheck"]
    assert check["Test"][0] == "CMD", "a health check in shell form needs a shell"
    labels = config["Labels"]
    assert labels["org.opencontainers.image.title"] == "Headgate"
    assert labels["org.opencontainers.image.version"] not in {"", "unknown"}
    assert len(labels["org.opencontainers.image.revision"]) == 40


def test_it_has_no_shell_no_installer_and_nothing_that_raises_privileges(
    files: list[tarfile.TarInfo],
) -> None:
    names = {Path(one.name).name for one in files if one.isfile() or one.issym()}
    assert {"python3", "ca-certificates.crt", "health.py"} <= names
    assert names.isdisjoint({"sh", "bash", "dash", "busybox", "pip", "pip3", "apt", "apk", "dpkg"})
    assert not any("/site-packages/pip/" in one.name for one in files)
    assert [one.name for one in files if one.mode & 0o6000] == []
    writable = {one.name.strip("./") for one in files if one.mode & 0o002 and not one.issym()}
    assert writable == {"tmp"}


def test_only_its_cache_directory_belongs_to_its_user(files: list[tarfile.TarInfo]) -> None:
    assert {one.name.strip("./") for one in files if one.uid == 10001} <= {
        "var/cache/headgate",
        "var/cache",  # the builder gives the way there too
        "var",
    }


def test_it_lists_what_it_took_from_its_base() -> None:
    with Container({}, {}, ["--version"]) as container:
        assert container.wait_until_gone() == 0
        assert container.output().startswith("headgate ")
    command = [sys.executable, "-c", "from deploy.tools.sbom import in_image as i; import sys; "]
    command[-1] += "print(*(one['name'] for one in i(sys.argv[1])))"
    done = subprocess.run([*command, IMAGE], capture_output=True, text=True, check=True)
    names = done.stdout.split()
    assert "python" in names
    assert any(name in names for name in ("libc6", "musl")), names


def test_it_serves_ranges_of_a_directory_and_of_a_store(
    served: Served, seaweedfs: SeaweedFS
) -> None:
    seaweedfs.uploads.put(seaweedfs.bucket, "image/body.bin", BODY)
    for path in ("/body.bin", "/store/image/body.bin"):
        answer = httpx.get(served.url + path, headers={"range": "bytes=1000-4999999"})
        assert answer.status_code == 206, served.output()
        assert answer.content == BODY[1000:5_000_000]
        assert answer.headers["content-range"] == f"bytes 1000-4999999/{len(BODY)}"


def test_its_processes_have_no_powers(served: Served) -> None:
    processes = served.processes()
    assert len(processes) >= 2, "the supervisor and a worker"
    for process in processes:
        status = dict(
            row.split(":", 1) for row in (process / "status").read_text().splitlines() if ":" in row
        )
        assert set(status["Uid"].split()) == {"10001"}
        assert {int(status[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {
            0
        }
        assert status["NoNewPrivs"].strip() == "1"


def test_the_health_check_fails_when_the_operators_door_is_elsewhere(seaweedfs: SeaweedFS) -> None:
    with Served(seaweedfs) as container:
        container.wait_until_healthy()
        (wrong,) = free_ports(1)
        command = ["/opt/headgate/bin/python3", "-I", "-m", "proxy.production.health"]
        right = run_engine("exec", container.id, *command, f"127.0.0.1:{container.admin}")
        assert right.returncode == 0, right.stderr
        asked = run_engine("exec", container.id, *command, f"127.0.0.1:{wrong}")
        assert asked.returncode == 1
        assert str(wrong) in asked.stderr


def test_a_stop_lets_a_download_end_and_exits_0(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), 30) as client:
        client.sendall(b"GET /body.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = client.recv(65536)
        assert received.startswith(b"HTTP/1.1 200")
        assert run_engine("kill", "--signal", "TERM", served.id).returncode == 0
        while httpx_refused(served.url) is False:
            pass
        while piece := client.recv(1 << 20):
            received += piece
    assert received.partition(b"\r\n\r\n")[2] == BODY, served.output()
    assert served.wait_until_gone() == 0
    assert "1 responses finished while draining, 0 cut" in served.output()


def httpx_refused(url: str) -> bool:
    """Whether new connections are refused."""
    try:
        httpx.get(f"{url}/body.bin", headers={"range": "bytes=0-0"})
    except httpx.TransportError:
        return True
    return False


def test_without_a_configuration_it_says_so(seaweedfs: SeaweedFS) -> None:
    with Container({}, {}) as container:
        assert container.wait_until_gone() == 2
        assert "--config" in container.output()


def test_its_figures(
    seaweedfs: SeaweedFS, inspected: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with Served(seaweedfs) as container:
        seconds, memory = container.wait_until_healthy(), container.memory()
        processes = len(container.processes())
    size = int(inspected["Size"])
    with capsys.disabled():
        print(
            f"\nimage: {size / 1e6:.0f} MB; healthy after {seconds:.1f} s; "
            f"{memory / 1e6:.0f} MB at rest in {processes} processes, both kinds of origin open"
        )
    assert size < 150e6
    assert memory < 200e6
