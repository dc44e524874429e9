"""S3 servers: SeaweedFS as the faithful store, rclone as the sloppy compatible one.

SeaweedFS behaves as AWS does (conditions, ranges, versions, all checksums). rclone ignores
If-Match and dates, echoes the uploader's checksums, and keeps files as files.
"""

from __future__ import annotations

import secrets
from functools import cached_property
from pathlib import Path

from tests.servers.process import Process, free_ports, program, work_directory
from tests.servers.running import InProcess
from tests.servers.uploads import Uploads

REGION = "us-east-1"


class S3Server(InProcess):
    """A running S3 server with one bucket, `bucket`, and random credentials.

    `directory` keeps the data from one run to the next; without it they go with the server.
    """

    def __init__(self, directory: Path | None = None, bucket: str = "media") -> None:
        self.bucket = bucket
        self.region = REGION
        self.access_key_id = "AK" + secrets.token_hex(9).upper()
        self.secret_access_key = secrets.token_hex(20)
        super().__init__(lambda: self._start(directory))

    @cached_property
    def uploads(self) -> Uploads:
        """Puts objects into this server; closed when it stops."""
        return Uploads(self.endpoint, self.access_key_id, self.secret_access_key, self.region)

    def stop(self) -> None:
        if "uploads" in self.__dict__:
            self.uploads.close()
            del self.__dict__["uploads"]
        super().stop()

    def _start(self, directory: Path | None) -> Process:
        raise NotImplementedError

    def _answers(self) -> bool:
        with Uploads(
            self.endpoint, self.access_key_id, self.secret_access_key, self.region, patience=0
        ) as probe:
            return probe.takes_objects(self.bucket)


class SeaweedFS(S3Server):
    """`weed mini`: master, volume, filer and S3 in one process. Up in about a second."""

    def _start(self, directory: Path | None) -> Process:
        work = work_directory()
        data = directory or work / "data"
        data.mkdir(parents=True, exist_ok=True)
        ports = free_ports(10)
        self.port = ports[3]
        roles = ("master", "volume", "filer", "s3", "admin")
        argv = [
            program("weed"),
            "mini",
            f"-dir={data}",
            f"-bucket={self.bucket}",
            # Without these two it listens on every address of the machine.
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-webdav=false",
            "-admin.ui=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-filer.localSocket={work}/filer.sock",
            f"-s3.localSocket={work}/s3.sock",
            *(f"-{role}.port={port}" for role, port in zip(roles, ports[:5], strict=True)),
            *(f"-{role}.port.grpc={port}" for role, port in zip(roles, ports[5:], strict=True)),
        ]
        environment = {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
        }
        process = Process(argv, work, environment)
        process.wait_until(self._answers)
        return process


class RcloneS3(S3Server):
    """`rclone serve s3` over a directory: buckets are its subfolders, objects are plain files."""

    def _start(self, directory: Path | None) -> Process:
        work = work_directory()
        data = directory or work / "data"
        (data / self.bucket).mkdir(parents=True, exist_ok=True)
        [self.port] = free_ports(1)
        argv = [program("rclone"), "serve", "s3", "--config", "/dev/null"]
        argv += ["--addr", f"127.0.0.1:{self.port}", "--vfs-cache-mode", "off", str(data)]
        keys = f'"{self.access_key_id},{self.secret_access_key}"'
        process = Process(argv, work, {"RCLONE_AUTH_KEY": keys})
        process.wait_until(self._answers)
        return process
