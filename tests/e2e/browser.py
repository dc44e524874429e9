"""A real browser for tests, and how to read the time from a picture of the clip."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import (
    BrowserContext,
    CDPSession,
    ConsoleMessage,
    Page,
    async_playwright,
    expect,
)

FLAGS = (
    "--no-sandbox",  # the tests may run as root, in a container
    "--disable-gpu",
    "--disable-dev-shm-usage",  # /dev/shm is small in containers
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 30_000  # ms, for whatever the page shall do; on two shared cores it can take seconds
expect.set_options(timeout=PATIENCE)  # which does not go by the browser's own

# How many pixels of the bar are bright; it is drawn from (20, 328) and 12 high.
READ_BAR = """
video => {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  const row = context.getImageData(20, 334, 600, 1).data;
  let length = 0;
  while (length < 600 && row[4 * length] > 150) length++;
  return length;
}
"""

SEEK = """
(video, time) => new Promise((resolve, reject) => {
  video.addEventListener("seeked", () => resolve(), { once: true });
  video.addEventListener("error", () => reject(video.error.message), { once: true });
  video.currentTime = time;
})
"""


@dataclass
class Answer:
    """One request and its response as they were on the wire, field names in lower case."""

    request_id: str
    sent: dict[str, str]
    status: int = 0
    received: dict[str, str] = field(default_factory=dict)


@dataclass
class Log:
    """The exchanges so far, and what the page complained about.

    With the browser's cache on, an answer may be joined of several: its Content-Range is then the
    cache's, not the server's.
    """

    answers: list[Answer] = field(default_factory=list)
    urls: dict[str, str] = field(default_factory=dict)  # by request id, as are the protocols
    protocols: dict[str, str] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def of(self, name: str) -> list[Answer]:
        """The answers for this file; none where all came from the browser's cache."""
        return [a for a in self.answers if a.status and self._name(a.request_id) == name]

    def protocols_of(self, name: str) -> set[str]:
        """What this file was fetched by: "http/1.1", "h2"."""
        return {spoken for key, spoken in self.protocols.items() if self._name(key) == name}

    def _name(self, request_id: str) -> str:
        return self.urls.get(request_id, "").rpartition("/")[2]


def chromium() -> str:
    """The browser's path. Fails where there is none: without it this test says nothing."""
    path = shutil.which("chromium")
    if path is None:
        raise FileNotFoundError(
            "These tests drive a real browser and found none: install Debian's `chromium`, or put "
            "a program of that name on PATH."
        )
    return path


@asynccontextmanager
async def browser(
    directory: Path, quic: tuple[str, str] | None = None, **options: object
) -> AsyncIterator[BrowserContext]:
    """A headless Chromium with a fresh profile in `directory`, certificates unchecked.

    `quic` is an address it has to speak HTTP/3 with, and the hash of the key there; it speaks it
    with no other.
    `options` go to Playwright's `launch_persistent_context`, as `viewport` or `color_scheme`.
    """
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            directory,
            executable_path=chromium(),
            headless=True,
            args=[*FLAGS, *_quic_flags(quic)],
            ignore_https_errors=True,
            timeout=2 * PATIENCE,
            **options,  # type: ignore[arg-type]  # its thirty options, passed on as they are
        )
        context.set_default_timeout(PATIENCE)
        try:
            yield context
        finally:
            await context.close()


def _quic_flags(quic: tuple[str, str] | None) -> tuple[str, ...]:
    if quic is None:
        return ("--disable-quic",)
    address, key = quic
    return (
        "--enable-quic",
        f"--origin-to-force-quic-on={address}",
        f"--ignore-certificate-errors-spki-list={key}",
    )


async def logged_page(context: BrowserContext, *, cache: bool = True) -> tuple[Page, Log]:
    """A new page and the log of its network, which grows by itself."""
    page, log = await context.new_page(), Log()
    page.on("pageerror", lambda error: log.complaints.append(str(error)))
    page.on("console", lambda line: _note(line, log))
    session = await context.new_cdp_session(page)
    await _record(session, log)
    await session.send("Network.setCacheDisabled", {"cacheDisabled": not cache})
    return page, log


def _note(line: ConsoleMessage, log: Log) -> None:
    """Every line of the console is a complaint, but for the icon that browsers ask for unasked."""
    if not line.location["url"].endswith("/favicon.ico"):
        log.complaints.append(line.text)


async def _record(session: CDPSession, log: Log) -> None:
    """Writes down what the developer tools tell: the "extra" events are those of the wire."""

    def on_sent(event: dict[str, Any]) -> None:
        log.answers.append(Answer(event["requestId"], _fields(event)))

    def on_received(event: dict[str, Any]) -> None:
        waiting = (a for a in log.answers if a.request_id == event["requestId"] and not a.status)
        if answer := next(waiting, None):
            answer.status, answer.received = event["statusCode"], _fields(event)

    def on_request(event: dict[str, Any]) -> None:
        log.urls[event["requestId"]] = event["request"]["url"]

    def on_response(event: dict[str, Any]) -> None:
        log.protocols[event["requestId"]] = event["response"]["protocol"]

    session.on("Network.requestWillBeSentExtraInfo", on_sent)
    session.on("Network.responseReceivedExtraInfo", on_received)
    session.on("Network.requestWillBeSent", on_request)
    session.on("Network.responseReceived", on_response)
    await session.send("Network.enable")


def _fields(event: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in event["headers"].items()}
