"""ListObjectsV2: the query of one page, and a page from the answer. Pure.

Names come percent-encoded (encoding-type=url): a key may hold what XML 1.0 can't.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote_plus

from proxy.errors import OriginFault
from proxy.origins.base import Entry, Page
from proxy.origins.s3.elements import read_elements
from proxy.origins.s3.signing import encode_query

# S3's own maximum; more are not given whatever is asked for.
MAX_KEYS = 1000
# 1000 keys of 1024 bytes, percent-encoded to three times that, with 1 KiB of XML around each.
MAX_ANSWER = 5 * 1024 * 1024

# A cursor is the store's token, or, from a store that gives none, the last name of the page.
_TOKEN, _NAME = "t", "n"


def query_of(prefix: str, after: str | None, limit: int) -> str:
    """The query that asks for a page; `prefix` with the configured one before it."""
    parameters = [
        ("list-type", "2"),
        ("delimiter", "/"),
        ("encoding-type", "url"),
        ("max-keys", str(max(1, min(limit, MAX_KEYS)))),
    ]
    if prefix:
        parameters.append(("prefix", prefix))
    if after:
        name = "continuation-token" if after[0] == _TOKEN else "start-after"
        parameters.append((name, after[1:]))
    return encode_query(parameters)


def page_of(body: bytes, prefix: str) -> Page:
    """The page in an answer; names relative to `prefix`. Raises OriginFault if it is none."""
    found = _Reader().read(body)
    entries = [
        Entry(key[len(prefix) :], size, modified)
        for key, size, modified in found.entries
        if key.startswith(prefix) and key != prefix  # the folder's own marker is not in it
    ]
    entries.sort(key=lambda entry: entry.name.encode())
    return Page(tuple(entries), _cursor(found))


@dataclass(slots=True)
class _Found:
    """What stands in an answer."""

    entries: list[tuple[str, int | None, int | None]] = field(default_factory=list)
    truncated: bool = False
    token: str = ""
    encoded: bool = False


def _cursor(found: _Found) -> str | None:
    if not found.truncated:
        return None
    if found.token:
        return _TOKEN + found.token
    if not found.entries:
        return None
    last = max((key for key, _, _ in found.entries), key=str.encode)
    # After a common prefix means after everything in it, or it would come again for ever.
    return _NAME + (last + "\U0010ffff" if last.endswith("/") else last)


class _Reader:
    """Walks through one answer: texts of elements below the root, and of those in each row."""

    def __init__(self) -> None:
        self._row: dict[str, str] = {}
        self._rows: list[tuple[str, dict[str, str]]] = []
        self._top: dict[str, str] = {}

    def read(self, body: bytes) -> _Found:
        read_elements(body, "the listing", self._begin, self._end)
        try:
            return self._found()
        except (ValueError, KeyError) as error:
            raise OriginFault(f"the listing can't be read: {error}") from None

    def _begin(self, depth: int, name: str) -> None:
        if not depth and name != "ListBucketResult":
            raise OriginFault(f"the listing is a {name[:40]!r}")
        if depth == 1:
            self._row = {}

    def _end(self, depth: int, name: str, text: str) -> None:
        if depth == 1 and name in ("Contents", "CommonPrefixes"):
            self._rows.append((name, self._row))
        elif depth == 1:
            self._top[name] = text
        elif depth == 2:
            self._row[name] = text

    def _found(self) -> _Found:
        found = _Found(
            truncated=self._top.get("IsTruncated", "").strip() == "true",
            token=self._top.get("NextContinuationToken", ""),
            encoded=self._top.get("EncodingType", "").strip() == "url",
        )
        for kind, row in self._rows:
            if kind == "Contents":
                name, size, modified = row["Key"], int(row["Size"]), row.get("LastModified")
                found.entries.append((_name(name, found), size, _seconds(modified)))
            else:
                found.entries.append((_name(row["Prefix"], found), None, None))
        return found


def _name(text: str, found: _Found) -> str:
    return unquote_plus(text, errors="replace") if found.encoded else text


def _seconds(text: str | None) -> int | None:
    try:
        return int(datetime.fromisoformat(text or "").timestamp())
    except ValueError:
        return None
