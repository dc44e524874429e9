"""Whether the origins answer with these credentials, how soon, and what their clocks say."""

from __future__ import annotations

import asyncio
import http.client
import ssl
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from proxy.config.origins import DirectoryOrigin, S3Origin
from proxy.errors import StartError
from proxy.layered import make_origin
from proxy.production.findings import Finding, error, ok, warning

# Seconds: for one origin's start, and for one question about the time.
_START_TIMEOUT, _DATE_TIMEOUT = 30.0, 5.0
# Seconds. A store that is near answers in a tenth of this.
_SLOW: Final = 1.0
# Seconds. S3 refuses requests that are fifteen minutes off; a clock that is kept is a second off.
_SKEWED, _REFUSED = 30.0, 600.0


def check_origin(name: str, table: S3Origin | DirectoryOrigin) -> Iterator[Finding]:
    """Opens an origin as serving would, and asks a store for the time."""
    about = f"origins.{name}"
    yield asyncio.run(_check_start(about, table))
    if isinstance(table, S3Origin):
        yield _check_clock(about, table)


async def _check_start(about: str, table: S3Origin | DirectoryOrigin) -> Finding:
    origin = make_origin(table)
    began = time.monotonic()
    try:
        async with asyncio.timeout(_START_TIMEOUT):
            await origin.start()
    except StartError as fault:
        return error(about, str(fault), "until then Headgate does not start")
    except TimeoutError:
        said = f"it did not answer within {_START_TIMEOUT:g} s"
        return error(about, said, "look at endpoint, network and name resolution")
    finally:
        await origin.aclose()
    seconds = time.monotonic() - began
    if seconds > _SLOW:
        said = f"it answers, but only after {seconds:.1f} s"
        return warning(about, said, "put Headgate nearer to the store, or see what slows it")
    return ok(about, f"it answers after {seconds * 1000:.0f} ms")


def _check_clock(about: str, table: S3Origin) -> Finding:
    endpoint = table.endpoint or f"https://s3.{table.region or 'us-east-1'}.amazonaws.com"
    try:
        skew = clock_skew(endpoint, str(table.ca_bundle) if table.ca_bundle else None)
    except (OSError, ValueError, TypeError, http.client.HTTPException) as fault:
        said = f"the store did not tell its time: {fault}"
        return warning(about, said, "compare this machine's clock by other means")
    said = f"this machine's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} it"
    remedy = "keep the clock by NTP: signatures of a wrong time are refused"
    if abs(skew) > _REFUSED:
        return error(about, said, remedy)
    return warning(about, said, remedy) if abs(skew) > _SKEWED else ok(about, said)


def clock_skew(endpoint: str, authorities: str | None) -> float:
    """Seconds that our clock is ahead of the store's, to a second; by the Date of any answer.

    Raises OSError, HTTPException, and ValueError or TypeError for an answer without a usable date.
    """
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=authorities)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, parts.port, timeout=_DATE_TIMEOUT, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=_DATE_TIMEOUT)
    try:
        before = time.time()
        connection.request("HEAD", "/")
        date = connection.getresponse().headers["date"]
        ours = (before + time.time()) / 2
    finally:
        connection.close()
    if date is None:
        raise ValueError("its answer has no Date")
    # A Date names the second that has begun; half of one is the middle.
    return ours - (parsedate_to_datetime(date).timestamp() + 0.5)
