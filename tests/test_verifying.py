"""`headgate verify` as a process, over objects of real stores."""

from __future__ import annotations

import base64
import json
import os
import pty
import random
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import RcloneS3, S3Server, SeaweedFS
from tests.test_cli import TOP, headgate

pytestmark = pytest.mark.servers

MIB = 1024 * 1024
BODY = random.Random(8).randbytes(5 * MIB + 9)


class Bucket:
    """A prefix of a real store, and a configuration that serves it."""

    def __init__(self, server: S3Server, where: Path) -> None:
        self._server, self._where = server, where
        self.prefix = f"verifying/{secrets.token_hex(8)}/"
        (where / "h.toml").write_text(
            f"""
[origins.media]
type = "s3"
endpoint = "{server.endpoint}"
bucket = "{server.bucket}"
prefix = "{self.prefix}"
region = "{server.region}"
first_byte_timeout = "60s"
[origins.other]
type = "directory"
root = "{where}"
[[mounts]]
path = "/videos/"
origin = "media"
[[mounts]]
path = "/files/"
origin = "other"
"""
        )

    def put(self, key: str, body: bytes, **fields: str) -> None:
        self._server.uploads.client.put_object(
            Bucket=self._server.bucket, Key=self.prefix + key, Body=body, **fields
        )

    def put_parts(self, key: str, *parts: bytes) -> None:
        self._server.uploads.put_multipart(
            self._server.bucket, self.prefix + key, parts, checksum="crc32c"
        )

    def verify(self, *arguments: str) -> tuple[int, dict[str, dict[str, object]], str]:
        """The exit code, the results by key, and what was said on standard error."""
        done = headgate(
            "verify", "--config", "h.toml", "--json", *arguments,
            cwd=self._where,
            environ={
                "AWS_ACCESS_KEY_ID": self._server.access_key_id,
                "AWS_SECRET_ACCESS_KEY": self._server.secret_access_key,
            },
        )  # fmt: skip
        results = [json.loads(line) for line in done.stdout.splitlines()]
        assert all(result["origin"] in ("media", "other") for result in results)
        return done.returncode, {result["key"]: result for result in results}, done.stderr


@pytest.fixture
def faithful(seaweedfs: SeaweedFS, tmp_path: Path) -> Bucket:
    return Bucket(seaweedfs, tmp_path)


@pytest.fixture
def sloppy(rclone: RcloneS3, tmp_path: Path) -> Bucket:
    """Keeps whatever checksum the uploader names."""
    return Bucket(rclone, tmp_path)


def test_a_prefix_of_sound_objects(faithful: Bucket) -> None:
    faithful.put("a b+%.txt", b"hello", ChecksumAlgorithm="SHA256")
    faithful.put("d/etag", BODY)
    faithful.put_parts("d/e/parts", BODY[: 5 * MIB], BODY[5 * MIB :])
    for arguments in (["/videos/"], ["--origin", "media", "", "--deep"]):
        code, results, said = faithful.verify(*arguments)
        assert code == 0, said
        assert {key: one["outcome"] for key, one in results.items()} == {
            "a b+%.txt": "verified", "d/etag": "verified", "d/e/parts": "verified",
        }  # fmt: skip
        assert (results["d/etag"]["algorithm"], results["d/e/parts"]["algorithm"]) == (
            "md5",
            "crc32c",
        )
        assert said.startswith("3 verified, 0 mismatch, 0 unverifiable; read")
    code, results, _ = faithful.verify("https://cdn.example/videos/a%20b+%25.txt?download")
    assert (code, list(results)) == (0, ["a b+%.txt"])


def test_a_damaged_object(sloppy: Bucket) -> None:
    wrong = base64.b64encode(bytes(32)).decode()
    sloppy.put("good", b"hello")
    sloppy.put("bad", BODY, ChecksumSHA256=wrong)
    code, results, said = sloppy.verify("/videos/")
    assert code == 1
    assert {key: one["outcome"] for key, one in results.items()} == {
        "good": "verified", "bad": "mismatch",
    }  # fmt: skip
    assert results["bad"]["algorithm"] == "sha256"
    assert bytes(32).hex() in str(results["bad"]["reason"])
    assert said == said.splitlines()[-1] + "\n"
    assert "1 verified, 1 mismatch" in said


def test_what_can_not_be_checked_or_read(faithful: Bucket) -> None:
    code, results, _ = faithful.verify("/files/h.toml")
    assert (code, results["h.toml"]["outcome"]) == (0, "unverifiable")
    assert results["h.toml"]["reason"] == "no checksum"
    code, results, _ = faithful.verify("/videos/missing")
    assert (code, results["missing"]["outcome"]) == (1, "failed")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["key"], "headgate verify: say by --origin which of media, other has 'key'"),
        (["key", "--origin", "x"], "headgate verify: there is no origin 'x'"),
        (["/elsewhere"], "headgate verify: nothing is mounted at '/elsewhere'"),
        ([], "usage: headgate verify"),
    ],
)
def test_what_names_nothing(faithful: Bucket, arguments: list[str], said: str) -> None:
    code, results, complaint = faithful.verify(*arguments)
    assert (code, results) == (2, {})
    assert complaint.startswith(said)


def test_results_to_read(faithful: Bucket, tmp_path: Path) -> None:
    done = headgate("verify", "--config", "h.toml", "/files/h.toml", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == "unverifiable h.toml: no checksum\n"


def test_a_store_that_is_not_there(faithful: Bucket, tmp_path: Path) -> None:
    unreachable = "origins.media.endpoint=http://127.0.0.1:1"
    done = headgate("verify", "--config", "h.toml", "--set", unreachable, "/videos/", cwd=tmp_path,
                    environ={"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"})  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("headgate: origins.media: ")
    assert "Traceback" not in done.stderr


def test_a_terminal_sees_a_bar(faithful: Bucket, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as terminal:
        done = subprocess.run(
            [sys.executable, "-m", "proxy", "verify", "--config", "h.toml", "/files/h.toml"],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(TOP)},
            stdout=subprocess.PIPE, stderr=theirs, text=True, timeout=60, check=False,
        )  # fmt: skip
        os.close(theirs)
        shown = terminal.read(4096).decode()
    assert done.returncode == 0
    assert done.stdout == "unverifiable h.toml: no checksum\n"  # nothing of the bar in it
    assert "] 0 of 0+ objects, 0 B" in shown
    summary = r"\r\x1b\[K0 verified, 0 mismatch, 1 unverifiable; read 0 B in [0-9.]+ s\r\n"
    assert re.search(summary + r"\Z", shown)
