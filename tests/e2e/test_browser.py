"""A real browser plays the sample clip and seeks in it: it takes ranges, and they are the right
ones, since the picture at each time shows that time."""

from __future__ import annotations

import base64
import hashlib
import math
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate
from playwright.async_api import BrowserContext, Locator, expect

from proxy.samples import make
from proxy.samples.clip import RATE, SECONDS
from tests.e2e.browser import READ_BAR, SEEK, Answer, browser, chromium, logged_page
from tests.e2e.program import Headgate

pytestmark = pytest.mark.browser

# Far enough apart that no buffer holds two of them; forth, back, forth, back.
TIMES = (21.325, 4.125, 27.575, 12.025)

# A file written this moment has a weak entity tag, and a strong one soon after.
AN_HOUR_BEFORE = time.time() - 3600


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headgate]:
    directory = tmp_path_factory.mktemp("served")
    for path in make(directory / "samples", say=lambda _: None):
        os.utime(path, (AN_HOUR_BEFORE, AN_HOUR_BEFORE))
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    issued = trustme.CA().issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(key)
    issued.cert_chain_pems[0].write_to_path(certificate)
    with Headgate(f"""
        [server]
        bind = ["127.0.0.1:0"]
        [server.tls]
        bind = ["127.0.0.1:0"]
        certificate = "{certificate}"
        key = "{key}"
        http3 = true
        [admin]
        bind = ""
        [origins.sample]
        type = "directory"
        root = "{directory / "samples"}"
        [[mounts]]
        path = "/"
        origin = "sample"
        listing = true
    """) as running:
        yield running


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[BrowserContext]:
    async with browser(tmp_path / "profile") as started:
        yield started


@pytest.mark.parametrize("door", ["HTTP/1.1", "HTTP/2"])
async def test_the_clip_plays_and_seeks_by_ranges(
    program: Headgate, context: BrowserContext, door: str
) -> None:
    base, protocol = (program.url, "http/1.1") if door == "HTTP/1.1" else (program.tls_url, "h2")
    page, log = await logged_page(context, cache=False)
    await page.goto(f"{base}/player.html")
    await _play_and_seek(page.locator("video"))
    await expect(page.locator("img")).to_have_js_property("naturalWidth", 1200)
    assert log.complaints == []
    for name in ("player.html", "picture.png", "clip.mp4"):
        assert log.protocols_of(name) == {protocol}
    _check_ranges(log.of("clip.mp4"), (await context.request.head(f"{base}/clip.mp4")).headers)


async def test_the_clip_plays_and_seeks_over_http3(program: Headgate, tmp_path: Path) -> None:
    address = program.tls_url.removeprefix("https://")
    pin = _key_hash(Path(program.settings["server"]["tls"]["certificate"]))
    async with browser(tmp_path / "profile", quic=(address, pin)) as context:
        page, log = await logged_page(context, cache=False)
        await page.goto(f"{program.tls_url}/player.html")
        await _play_and_seek(page.locator("video"))
        await expect(page.locator("img")).to_have_js_property("naturalWidth", 1200)
        assert log.complaints == []
        for name in ("player.html", "picture.png", "clip.mp4"):
            assert log.protocols_of(name) == {"h3"}
        described = (await context.request.head(f"{program.url}/clip.mp4")).headers
        _check_ranges(log.of("clip.mp4"), described)


async def test_ranges_kept_by_the_browser_fit_together(
    program: Headgate, context: BrowserContext
) -> None:
    answers = []
    for _ in range(2):  # the second time over what the cache has, with gaps that it fills
        page, log = await logged_page(context)
        await page.goto(f"{program.url}/player.html")
        await _play_and_seek(page.locator("video"))
        assert log.complaints == []
        answers += log.of("clip.mp4")
        await page.close()
    assert {answer.status for answer in answers} - {304} == {206}


async def test_the_listing_leads_to_the_player(program: Headgate, context: BrowserContext) -> None:
    page, log = await logged_page(context)
    await page.goto(f"{program.url}/")
    for name in ("clip.mp4", "picture.png", "random-100MiB.bin", "readme.txt"):
        await expect(page.get_by_role("link", name=name)).to_be_visible()
    await page.get_by_role("link", name="player.html").click()
    await expect(page.get_by_role("heading", name="Seek in a clip")).to_be_visible()
    assert [answer.status for answer in log.of("player.html")] == [200]
    assert log.complaints == []


def test_a_missing_browser_is_a_clear_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="install Debian's `chromium`"):
        chromium()


def _key_hash(certificate: Path) -> str:
    """As Chromium takes it for a certificate that it shall trust."""
    key = load_pem_x509_certificate(certificate.read_bytes()).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


async def _play_and_seek(video: Locator) -> None:
    """Plays until a second has passed in the clip, then looks at the picture at each of `TIMES`."""
    await video.evaluate("video => video.play()")
    await video.evaluate(
        "video => new Promise(done => video.addEventListener('timeupdate',"
        " () => { if (video.currentTime > 1) done(); }))"
    )
    await video.evaluate("video => video.pause()")
    assert await video.evaluate("video => video.duration") == SECONDS
    for place in TIMES:
        await video.evaluate(SEEK, place)
        assert await video.evaluate(READ_BAR) == math.floor(place * RATE) + 1, f"at {place} s"


def _check_ranges(answers: list[Answer], described: dict[str, str]) -> None:
    """Every answer is the range that was asked for, and more than one place was asked for."""
    size = int(described["content-length"])
    starts = set()
    for answer in answers:
        assert answer.status == 206, answer
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", answer.sent["range"])
        assert asked, answer
        start, end = int(asked[1]), int(asked[2] or size - 1)
        assert answer.received["content-range"] == f"bytes {start}-{end}/{size}"
        assert answer.received["content-length"] == str(end - start + 1)
        assert answer.received["content-type"] == "video/mp4"
        assert answer.received["etag"] == described["etag"]
        starts.add(start)
    assert len(starts) > 1, "no seek made a request of its own"
