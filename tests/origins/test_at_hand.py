"""Bytes at hand: of files, and of what has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.origins.at_hand import bytes_at_hand
from proxy.origins.memory import MemoryOrigin, StoredObject
from proxy.origins.reading import BUFFER_SIZE
from proxy.semantics.representation import Span
from tests.origins.test_directory import serving

BODY = bytes(range(256)) * 4 * 1024 + b"end"


async def test_what_offers_none_has_none() -> None:
    opened = await MemoryOrigin({"a": StoredObject(b"a")}).open("a")
    assert bytes_at_hand(opened, Span(0, 1)) is None
    assert bytes_at_hand(None, Span(0, 1)) is None


@pytest.mark.parametrize(
    ("span", "there"),
    [
        (Span(0, 1024), True),
        (Span(1000, 1000 + BUFFER_SIZE), True),
        (Span(len(BODY) - 3, len(BODY)), True),
        (Span(0, BUFFER_SIZE + 1), False),
        (Span(len(BODY) - 3, len(BODY) + 1), False),
    ],
)
async def test_of_a_file_in_memory(tmp_path: Path, span: Span, there: bool) -> None:
    (tmp_path / "a").write_bytes(BODY)
    async with serving(tmp_path) as origin:
        opened = await origin.open("a")
        expected = BODY[span.start : span.stop] if there else None
        assert bytes_at_hand(opened, span) == expected
        await opened.aclose()
        assert bytes_at_hand(opened, span) is None


async def test_of_a_file_that_was_written_to_since_the_end_is_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BODY)
    async with serving(tmp_path) as origin:
        opened = await origin.open("a")
        with (tmp_path / "a").open("ab") as file:
            file.write(b"more")
        assert bytes_at_hand(opened, Span(len(BODY) - 3, len(BODY))) is None
        await opened.aclose()
