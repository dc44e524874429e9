"""A real browser for tests, and how to read the time from a picture of the clip."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import BrowserContext, CDPSession, Page, async_playwright

FLAGS = (
    "--no-sandbox",  # the tests may run as root, in a container
    "--disable-gpu",
    "--disable-dev-shm-usage",  # /dev/shm is small in containers
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 30_000  # ms, for whatever the page shall do; on two shared cores it can take seconds

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
    """A response as the browser's network log tells it."""

    url: str
    status: int
    protocol: str
    sent: dict[str, str]  # request fields, names in lower case
    received: dict[str, str]  # response fields, likewise


@dataclass
class Log:
    """The responses so far, and what the page complained about."""

    answers: list[Answer] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def of(self, name: str) -> list[Answer]:
        """Those to requests for this file."""
        return [answer for answer in self.answers if answer.url.endswith("/" + name)]


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
async def browser(directory: Path, **options: object) -> AsyncIterator[BrowserContext]:
    """A headless Chromium with a fresh profile in `directory`, certificates unchecked.

    `options` go to Playwright's `launch_persistent_context`, as `viewport` or `color_scheme`.
    """
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            directory,
            executable_path=chromium(),
            headless=True,
            args=list(FLAGS),
            ignore_https_errors=True,
            **options,  # type: ignore[arg-type]  # its thirty options, passed on as they are
        )
        context.set_default_timeout(PATIENCE)
        try:
            yield context
        finally:
            await context.close()


async def logged_page(context: BrowserContext) -> tuple[Page, Log]:
    """A new page and the log of its network, which grows by itself."""
    page, log = await context.new_page(), Log()
    page.on("pageerror", lambda error: log.complaints.append(str(error)))
    page.on("console", lambda line: log.complaints.append(line.text))
    await _record(await context.new_cdp_session(page), log)
    return page, log


async def _record(session: CDPSession, log: Log) -> None:
    """Joins the three events in which the developer tools tell of one exchange."""
    sent: dict[str, dict[str, str]] = {}

    def on_sent(event: dict[str, object]) -> None:
        sent.setdefault(str(event["requestId"]), {}).update(_fields(event["headers"]))

    def on_request(event: dict[str, object]) -> None:
        request = event["request"]
        assert isinstance(request, dict)
        sent.setdefault(str(event["requestId"]), {}).update(_fields(request["headers"]))

    def on_response(event: dict[str, object]) -> None:
        response = event["response"]
        assert isinstance(response, dict)
        log.answers.append(
            Answer(
                response["url"],
                response["status"],
                response["protocol"],
                sent.setdefault(str(event["requestId"]), {}),
                _fields(response["headers"]),
            )
        )

    session.on("Network.requestWillBeSentExtraInfo", on_sent)
    session.on("Network.requestWillBeSent", on_request)
    session.on("Network.responseReceived", on_response)
    await session.send("Network.enable")


def _fields(headers: object) -> dict[str, str]:
    assert isinstance(headers, dict)
    return {name.lower(): value for name, value in headers.items()}
