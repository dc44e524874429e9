"""What an operator sees of the whole program: metrics, live lines, profiles, the status page."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, expect
from prometheus_client.parser import text_string_to_metric_families

from proxy.observability.metrics import BY_NAME
from tests.e2e.browser import PATIENCE, browser, logged_page
from tests.e2e.program import REPOSITORY, Headgate
from tests.servers.process import free_ports

pytestmark = pytest.mark.servers

TOKEN = "an-operators-token"
LARGE = 48 * 1024 * 1024


def configuration(root: Path, admin: str = 'debug = "on"') -> str:
    return f"""
        [server]
        bind = ["127.0.0.1:0"]
        workers = 2
        graceful_timeout = "1s"
        [admin]
        bind = "127.0.0.1:0"
        {admin}
        [origins.files]
        type = "directory"
        root = "{root}"
    """


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("served")
    (directory / "a.txt").write_bytes(b"x" * 5000)
    (directory / "videos").mkdir()
    (directory / "videos" / "film.bin").write_bytes(os.urandom(1024) * (LARGE // 1024))
    return directory


@pytest.fixture(scope="module")
def program(root: Path) -> Iterator[Headgate]:
    with Headgate(configuration(root)) as running:
        yield running


def values_of(program: Headgate, **headers: str) -> dict[str, float]:
    """Each sample of a scrape, by its name and labels as they are written."""
    answer = httpx.get(f"{program.admin_url}/metrics", headers=headers, timeout=20)
    assert answer.status_code == 200, answer.text
    return {
        one.name + str(sorted(one.labels.items())): one.value
        for family in text_string_to_metric_families(answer.text)
        for one in family.samples
    }


def grown(before: dict[str, float], after: dict[str, float], name: str, **labels: str) -> float:
    key = name + str(sorted(labels.items()))
    return after.get(key, 0) - before.get(key, 0)


def test_two_workers_are_counted_as_one(program: Headgate, root: Path) -> None:
    (root / "new.txt").write_bytes(b"x" * 5000)
    before, url = values_of(program), f"{program.url}/new.txt"
    for _ in range(20):  # a connection each, so that both workers get some
        assert httpx.get(url).status_code == 200
        assert httpx.head(url).status_code == 200
        assert httpx.get(url, headers={"range": "bytes=0-9"}).status_code == 206
        assert httpx.get(f"{program.url}/missing").status_code == 404
    after = values_of(program)

    def counted(name: str, **labels: str) -> float:
        return grown(before, after, name, **labels)

    at = {"method": "GET", "protocol": "1.1"}
    assert counted("headgate_requests_total", status="2xx", **at) == 40
    assert counted("headgate_requests_total", status="4xx", **at) == 20
    assert counted("headgate_downloads_total", outcome="complete") == 40
    assert counted("headgate_downloads_total", outcome="refused") == 20
    # Ranges are read each time, the whole until it is old enough to be kept in memory.
    read = counted("headgate_origin_bytes_total", origin="files") - 20 * 10
    assert read % 5000 == 0
    assert 0 < read <= 20 * 5000
    assert counted("headgate_sent_bytes_total") > 20 * 5010
    assert counted("headgate_time_to_first_byte_seconds_count", status="2xx") == 60
    assert after["headgate_workers[('state', 'ready')]"] == 2
    names = {name.partition("[")[0] for name in after}
    told = {
        name
        for name, metric in BY_NAME.items()
        if name in names or f"{name}_count" in names or metric.kind == "histogram"
    }
    untold = set(BY_NAME) - told
    untold -= {name for name in untold if name.startswith("headgate_cache_")}
    of_stores = {name for name in untold if name.startswith("headgate_origin_")}
    assert of_stores == {
        name
        for name in BY_NAME
        if name.startswith(("headgate_origin_connections", "headgate_origin_queue"))
    } | {"headgate_origin_retries_total"}, "a directory is not asked again, nor waited for"
    assert untold - of_stores == {"headgate_spans_total"}


def test_a_worker_that_is_killed_takes_no_count_with_it(root: Path) -> None:
    with Headgate(configuration(root)) as program:
        for _ in range(10):
            httpx.get(f"{program.url}/a.txt")
        before = values_of(program)
        pid = httpx.get(f"{program.admin_url}/readyz").json()["workers"][0]["pid"]
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while (
            "headgate_workers_lost_total[]" not in (after := values_of(program))
            or not after["headgate_workers_lost_total[]"]
        ):
            assert grown(before, after, "headgate_downloads_total", outcome="complete") >= 0
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert grown(before, after, "headgate_downloads_total", outcome="complete") == 0


@contextlib.contextmanager
def held_download(program: Headgate) -> Iterator[None]:
    """A download whose client takes its beginning and nothing more."""
    host, _, port = program.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(b"GET /videos/film.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(1024).startswith(b"HTTP/1.1 200")
        yield


@contextlib.contextmanager
def load(program: Headgate) -> Iterator[list[int]]:
    """Somebody who asks and asks: the statuses so far."""
    statuses: list[int] = []
    stop = threading.Event()

    def run() -> None:
        with httpx.Client(timeout=30) as client:
            while not stop.is_set():
                statuses.append(client.get(f"{program.url}/a.txt").status_code)
                statuses.append(client.get(f"{program.url}/missing").status_code)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


def test_profiles_show_the_work_and_serving_goes_on(program: Headgate) -> None:
    with load(program) as statuses, httpx.Client(timeout=60) as client:
        target = f"{program.admin_url}/debug/profile?seconds=2&format="
        while len(statuses) < 4:  # or the profile may be over before the load has begun
            time.sleep(0.01)
        frames = client.get(f"{target}speedscope").json()["shared"]["frames"]
        # A sample catches now this, now that of what a response takes.
        ours = {"deliver", "send_plan", "read_request", "make_plan", "log_access", "_answer"}
        assert ours & {one["name"] for one in frames}
        tasks = client.get(f"{program.admin_url}/debug/tasks").json()
        assert {one["name"] for one in tasks["workers"]} == {"worker-0", "worker-1"}
        memory = client.get(f"{program.admin_url}/debug/memory?seconds=1").json()
        assert all(one["value"]["resident"] > 1e6 for one in memory["workers"])
        page = client.get(f"{program.admin_url}/debug/profile?seconds=1")
        assert page.headers["content-type"].startswith("text/html")
        assert client.get(f"{program.admin_url}/debug/stalls").status_code == 200
    assert len(statuses) > 10
    assert set(statuses) == {200, 404}


def test_profiles_that_overlap_or_ask_for_an_hour(program: Headgate) -> None:
    target = f"{program.admin_url}/debug/profile?format=text&seconds="
    with httpx.Client(timeout=60) as client:
        assert client.get(f"{target}3600").status_code == 400
        answers: list[int] = []

        def ask() -> None:
            answers.append(client.get(f"{target}3").status_code)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        assert client.get(f"{program.url}/a.txt").status_code == 200
        for thread in threads:
            thread.join(60)
    assert sorted(answers) == [200, 429, 429, 429, 429, 429]


def test_lines_are_shown_live(program: Headgate) -> None:
    command = [sys.executable, "-m", "proxy", "trace", "--admin", program.admin_url, "--json"]
    with subprocess.Popen(
        [*command, "--status", "4xx", "--path", "/videos/**"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        stop = threading.Event()

        def ask() -> None:
            while not stop.wait(0.05):
                for path in ("videos/no%0Asuch", "videos/film.bin", "missing"):
                    httpx.head(f"{program.url}/{path}", headers={"traceparent": TRACEPARENT})

        asking = threading.Thread(target=ask)
        asking.start()
        records = [json.loads(process.stdout.readline()) for _ in range(5)]
        stop.set()
        asking.join(30)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert {one["target"] for one in records} == {"/videos/no%0Asuch"}
    assert {one["status"] for one in records} == {404}
    assert {one["trace_id"] for one in records} == {TRACEPARENT.split("-")[1]}


TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_transfers_in_flight_are_told(program: Headgate) -> None:
    with held_download(program):
        deadline = time.monotonic() + 30
        while True:
            told = httpx.get(f"{program.admin_url}/transfers").json()
            [one] = [one for one in told["transfers"] if one["target"] == "/videos/film.bin"]
            if one["paused"]:
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert (one["length"], one["client"], one["protocol"]) == (LARGE, "127.0.0.1", "1.1")
        assert 0 < one["sent"] < LARGE
        assert values_of(program)["headgate_downloads_active[]"] == 1
    assert program.pid


@contextlib.contextmanager
def with_a_blocked_log(root: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    """The program with standard error a pipe that nobody reads: 64 KiB fit, and then no line more.

    The process, its public address and its operator's.
    """
    clear, admin = (f"127.0.0.1:{port}" for port in free_ports(2))
    text = configuration(root).replace("127.0.0.1:0", clear, 1).replace("127.0.0.1:0", admin)
    file = root.parent / f"blocked-{clear}.toml"
    file.write_text(text)
    with subprocess.Popen(
        [sys.executable, "-m", "proxy", "serve", "--config", str(file)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()  # it is ready
            yield process, f"http://{clear}", f"http://{admin}"
        finally:
            process.kill()


def many_missing(url: str, count: int) -> None:
    """So many requests on one connection, one ahead of the other: a line in the log for each."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), 30) as connection:
        asking = b"HEAD /missing HTTP/1.1\r\nHost: a\r\n"
        with connection.makefile("rb") as answers:
            for _ in range(count):
                connection.sendall((asking + b"\r\n") * 50)
                heads = [b"".join(iter(answers.readline, b"\r\n")) for _ in range(50)]
                assert all(head.startswith(b"HTTP/1.1 404 ") for head in heads)


def test_a_log_that_blocks_slows_nobody(root: Path) -> None:
    with with_a_blocked_log(root) as (process, url, admin_url), httpx.Client() as client:
        deadline, dropped = time.monotonic() + 90, 0.0
        while not dropped:
            many_missing(url, 50)
            found = client.get(f"{admin_url}/metrics").text.splitlines()
            lines = [one for one in found if one.startswith("headgate_log_lines_dropped_total{")]
            dropped = sum(float(one.rpartition(" ")[2]) for one in lines)
            assert time.monotonic() < deadline
        assert client.get(f"{url}/a.txt").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, "a log that hangs does not keep it from ending"


def test_nothing_is_told_without_the_token(root: Path) -> None:
    bearer = {"authorization": f"Bearer {TOKEN}"}
    with Headgate(configuration(root, f'token = "{TOKEN}"')) as program:
        for path in ("metrics", "config", "transfers", "status.json", "trace", "debug/profile"):
            assert httpx.get(f"{program.admin_url}/{path}").status_code == 401, path
        assert values_of(program, **bearer)
        shown = httpx.get(f"{program.admin_url}/config", headers=bearer).text
        assert "[admin]" in shown
        assert TOKEN not in shown
        for path in ("/metrics", "//metrics", "/debug/tasks", "/readyz", "/admin/metrics"):
            public = f"http://127.0.0.1{path}"  # as the target: an absolute form
            for target in (path, public):
                with httpx.Client(base_url=program.url) as client:
                    request = client.build_request("GET", "/", headers=bearer)
                    request.extensions["target"] = target.encode()
                    assert client.send(request).status_code in {400, 404}, target


def test_a_reload_changes_who_gets_in_without_closing_the_door(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    with Headgate(configuration(root)) as program, httpx.Client() as client:
        assert client.get(f"{program.admin_url}/metrics").status_code == 200
        program.rewrite(configuration(root, f'token_file = "{file}"'))
        os.kill(program.pid, signal.SIGHUP)
        deadline = time.monotonic() + 30
        while client.get(f"{program.admin_url}/metrics").status_code != 401:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        values = values_of(program, authorization=f"Bearer {TOKEN}")
        assert values["headgate_configuration_loads_total[('result', 'accepted')]"] == 2
        command = [sys.executable, "-m", "proxy", "trace", "--admin", program.admin_url]
        refused = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
        )
        assert (refused.returncode, "needs the token" in refused.stderr) == (1, True)


# --- the status page ------------------------------------------------------------------------------


@pytest.mark.browser
async def test_the_status_page(program: Headgate, tmp_path: Path) -> None:
    async with browser(tmp_path, viewport={"width": 1000, "height": 800}) as context:
        page, log = await logged_page(context)
        with load(program), held_download(program):
            await page.goto(f"{program.admin_url}/")
            await expect(page.locator("#state")).to_have_text("ready")
            await expect(page.locator("#rate")).to_contain_text("/s")
            await expect(page.locator("#origins")).to_contain_text("answers")
            await expect(page.locator("#processes")).to_contain_text("worker-1")
            row = page.locator("#transfers tr", has_text="/videos/film.bin")
            await expect(row).to_contain_text("paused", timeout=PATIENCE)
            assert await page.locator("#line").get_attribute("d")
        await fits(page, 1000)
        await page.set_viewport_size({"width": 360, "height": 740})
        await fits(page, 360)
        assert log.complaints == []
        assert {url.partition("?")[0] for url in log.urls.values() if url.startswith("http")} == {
            f"{program.admin_url}/",
            f"{program.admin_url}/status.json",
        }


@pytest.mark.browser
async def test_the_status_page_of_a_cache_fits_a_phone(root: Path, tmp_path: Path) -> None:
    text = f"{configuration(root)}\ncache = true\n[cache]\n"
    with Headgate(text) as program:
        async with browser(tmp_path, viewport={"width": 360, "height": 740}) as context:
            page, log = await logged_page(context)
            await page.goto(f"{program.admin_url}/")
            await expect(page.locator("#cache")).to_be_visible()
            await expect(page.locator("#memory")).to_contain_text("of")
            await expect(page.locator("#flying")).to_contain_text("connections")
            await fits(page, 360)
            assert log.complaints == []


async def fits(page: Page, width: int) -> None:
    """Nothing of the page reaches beyond the window's width."""
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.browser
async def test_the_status_page_asks_for_the_token(root: Path, tmp_path: Path) -> None:
    with Headgate(configuration(root, f'token = "{TOKEN}"')) as program:
        async with browser(tmp_path) as context:
            page, _ = await logged_page(context)
            await page.goto(f"{program.admin_url}/")
            await page.fill("#token", "wrong")
            await page.click("button")
            await expect(page.locator("#refused")).to_have_text("This is not the token.")
            await page.fill("#token", TOKEN)
            await page.click("button")
            await expect(page.locator("#state")).to_have_text("ready")
            await expect(page.locator("#processes")).to_contain_text("worker-0")
            assert await page.locator("#links").is_hidden()
