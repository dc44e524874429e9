"""`headgate cache`: what it asks for, what it says, and how it ends."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.admin.cache_client import (
    CacheClient,
    as_bar,
    as_object,
    as_stats,
    last_of,
    purge_of,
    to_warm,
)
from proxy.cli import main
from proxy.errors import ConfigurationError, StartError
from tests.admin.test_client import serve_once

PLAIN = {"tag": False, "prefix": False, "soft": False}


@pytest.mark.parametrize(
    ("text", "origin", "how", "kind"),
    [
        ("a", "", {}, "key"),
        ("a/", "", {}, "prefix"),
        ("a", "", {"prefix": True}, "prefix"),
        ("", "", {}, "all"),
        ("/a/", "", {}, "path"),
        ("https://host/a", "", {}, "path"),
        ("/a", "store", {}, "key"),
        ("/a/", "", {"tag": True}, "tag"),
    ],
)
def test_what_a_target_means(text: str, origin: str, how: dict[str, bool], kind: str) -> None:
    told = purge_of(text, origin, **{**PLAIN, **how})
    assert told == {"kind": kind, "value": text, "origin": origin, "soft": False}


def test_a_file_is_sent_in_pieces(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("".join(f"k{number}\r\n\n" for number in range(2500)))
    bodies = list(to_warm(str(file), "o"))
    assert [len(one["keys"]) for one in bodies] == [1000, 1000, 500]
    assert bodies[0]["keys"][:2] == ["k0", "k1"]
    file.write_text("\n".join("é" * 1000 for _ in range(100)))
    bodies = list(to_warm(str(file), ""))
    assert sum(len(one["keys"]) for one in bodies) == 100
    assert all(len(json.dumps(one)) < 256 * 1024 for one in bodies)
    assert list(to_warm("a/", "o")) == [{"prefix": "a/", "origin": "o"}]
    assert list(to_warm("", "")) == [{"prefix": "", "origin": ""}]
    with pytest.raises(ConfigurationError, match="can't be read"):
        list(to_warm(str(tmp_path / "none"), ""))


def test_how_far_it_is() -> None:
    assert as_bar({}) == "[------------------------] 0 of 0"
    told: dict[str, Any] = {"done": 128, "of": 256, "objects": 7, "damaged": 0, "bytes": 2048}
    assert as_bar(told) == ("[############------------] 128 of 256, 7 objects, 0 damaged, 2.0 KiB")
    assert as_bar({"done": 1, "of": 2, "listing": True}).endswith("] 1 of 2+")


def test_an_object_on_a_line_that_nothing_breaks() -> None:
    one = {"size": 2048, "kept": 1024, "validated": 0.0, "origin": "o", "key": "a\x1b[2J\n"}
    line = as_object(one)
    assert line.isprintable()
    assert "1.0 KiB of 2.0 KiB" in line
    assert "to be validated" in line
    assert line.endswith("o:a\\x1b[2J\\n")


def test_a_stream_has_an_end() -> None:
    shown: list[Any] = []
    stream = [": begun", "", "event: progress", 'data: {"done": 1}', "", ": nothing yet", ""]
    end = ["event: done", 'data: {"status": 200}', ""]
    assert last_of(iter([*stream, *end]), shown.append) == {"status": 200}
    assert shown == [{"done": 1}]
    with pytest.raises(StartError, match="broke off"):
        last_of(iter(stream), shown.append)


STATS = {
    "directory": "/d", "resting": "full", "entries": 3, "memory_used": 10, "memory_limit": 1024,
    "shared_used": 0, "shared_limit": 0,
    "memory_slices": 1, "memory_evicted": 0, "bytes_memory": 30, "bytes_disk": 20,
    "bytes_fill": 50, "bytes_bypass": 0, "fills_started": 4, "fills_failed": 1, "purges": 0,
    "disk_bytes": 512, "disk_files": 2, "disk_limit": 1024, "disk_files_limit": 9,
    "disk_damaged": 0, "disk_evicted": 0,
}  # fmt: skip


def test_statistics_in_words() -> None:
    lines = as_stats(STATS, 2)
    assert lines[0] == "disk     512 B of 1.0 KiB, 2 of 9 files in /d; it is left alone: full"
    assert "given    100 B, 50.0% of it from what was kept" in lines
    in_memory = as_stats(
        {**STATS, "directory": "", "bytes_memory": 0, "bytes_disk": 0} | {"bytes_fill": 0}, 1
    )
    assert not any(line.startswith("disk") for line in in_memory)
    assert any("- of it" in line for line in in_memory)
    shared = as_stats({**STATS, "shared_used": 512, "shared_limit": 2048, "memory_evicted": 7}, 2)
    assert shared[0] == "shared   512 B of 2.0 KiB in memory, in /d; it is left alone: full"
    assert shared[1] == "memory   10 B of 1.0 KiB in 2 workers, 1 slices"
    assert not any(line.startswith("disk") for line in shared)
    assert shared[-1] == "evicted  7 slices"


def events(last: dict[str, Any]) -> bytes:
    text = f"event: progress\ndata: {{}}\n\nevent: done\ndata: {json.dumps(last)}\n\n"
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + text.encode()


@pytest.mark.parametrize(
    ("arguments", "last", "code", "said"),
    [
        (["scrub"], {"slices": 1, "bytes": 2, "damaged": 0}, 0, "1 slices, 2 B checked; 0 damaged"),
        (["scrub"], {"slices": 1, "bytes": 2, "damaged": 1}, 1, "1 damaged and dropped"),
        (["scrub"], {"status": 503, "detail": "No worker"}, 1, "headgate: No worker"),
        (["purge", "a"], {"objects": 1, "slices": 2}, 0, "purged a: 1 objects, 2 slices removed"),
        (["purge", "a"], {"status": 504, "detail": "late"}, 1, "headgate: late"),
        (["warm", "a/"], {"done": 2, "bytes": 5, "failed": 0}, 0, "2 objects read, 5 B; 0 failed"),
        (["warm", "a/"], {"done": 2, "bytes": 5, "failed": 1,
                          "faults": [{"origin": "o", "key": "k\n", "why": "w"}]},
         1, "failed o: k\\n: w"),
    ],
)  # fmt: skip
def test_how_deeds_end(
    arguments: list[str],
    last: dict[str, Any],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    address, asked, thread = serve_once(events(last))
    assert main(["cache", *arguments, "--admin", address]) == code
    thread.join(10)
    out, err = capsys.readouterr()
    assert said in out + err
    assert asked[0].startswith(f"POST /cache/{arguments[0]} HTTP/1.1\r\n".encode())
    assert b"content-type: application/json\r\n" in asked[0]


@pytest.mark.parametrize(
    ("head", "code"),
    [(b"400 Bad", 2), (b"404 Not", 2), (b"401 No", 1), (b"429 Busy", 1), (b"503 Away", 1)],
)
def test_a_refusal_is_one_line(head: bytes, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    body = b'{"detail": "in a word"}'
    answer = b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
    address, _, thread = serve_once(answer)
    assert main(["cache", "scrub", "--admin", address]) == code
    thread.join(10)
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert "in a word" in err


def test_the_bar_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    address, _, thread = serve_once(events({"slices": 1, "bytes": 2, "damaged": 0}))
    assert CacheClient(address).scrub()
    thread.join(10)
    assert "[----" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[K")


def test_an_answer_that_is_none() -> None:
    address, _, thread = serve_once(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    with pytest.raises(StartError, match="no JSON"):
        CacheClient(address).stats()
    thread.join(10)
