"""A download that is cut and resumed as people do it: curl, and curl again with a range.

    .venv/bin/python -m tests.e2e.resuming [--times 100] [--size 1024]

runs it on a store's object of SIZE MiB and says how many were byte-identical.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.program import Headgate
from tests.servers.s3 import S3Server, SeaweedFS

MIB = 1024 * 1024
PART = 8 * MIB


def resume_once(url: str, etag: str, cut: int, target: Path) -> str:
    """Takes `cut` bytes of a download and hangs up, then asks for the rest; the whole's SHA-256."""
    with target.open("wb") as file:
        download = subprocess.Popen(["curl", "-sS", url], stdout=subprocess.PIPE, stderr=-3)
        head = subprocess.run(["head", "-c", str(cut)], stdin=download.stdout, stdout=file,
                              check=True, timeout=120)  # fmt: skip
        assert head.returncode == 0
        assert download.stdout is not None
        download.stdout.close()  # the last reader goes: curl hangs up
        download.wait(30)
    assert target.stat().st_size == cut
    with target.open("ab") as file:
        subprocess.run(["curl", "-sS", "--fail", "-r", f"{cut}-", "-H", f"If-Range: {etag}", url],
                       stdout=file, check=True, timeout=120)  # fmt: skip
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def put_object(store: S3Server, key: str, size: int) -> tuple[str, str]:
    """Puts `size` random bytes; their ETag and SHA-256."""
    whole = hashlib.sha256()

    def parts() -> Iterator[bytes]:
        for start in range(0, size, PART):
            part = os.urandom(min(PART, size - start))
            whole.update(part)
            yield part

    etag = store.uploads.put_multipart(store.bucket, key, parts())
    return etag, whole.hexdigest()


def configuration(store: S3Server) -> str:
    """Headgate in front of the store, at the root."""
    return f"""
        [server]
        bind = ["127.0.0.1:0"]
        [admin]
        bind = ""
        [origins.store]
        type = "s3"
        endpoint = "{store.endpoint}"
        bucket = "{store.bucket}"
        access_key_id = "{store.access_key_id}"
        secret_access_key = "{store.secret_access_key}"
    """


def main() -> None:
    """The long run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--size", type=int, default=1024, help="MiB")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    size, chance = arguments.size * MIB, random.Random(arguments.seed)
    with SeaweedFS() as store, tempfile.TemporaryDirectory() as directory:
        etag, wanted = put_object(store, "object.bin", size)
        with Headgate(configuration(store)) as program:
            begun, same = time.monotonic(), 0
            for number in range(arguments.times):
                cut = chance.randrange(1, size)
                got = resume_once(f"{program.url}/object.bin", etag, cut, Path(directory) / "got")
                same += got == wanted
                print(f"{number + 1}: cut at {cut}: {'same' if got == wanted else 'NOT the same'}")
            seconds = time.monotonic() - begun
            print(f"{same} of {arguments.times} byte-identical in {seconds:.0f} s")


if __name__ == "__main__":
    main()
