"""nginx, as the measure of speed and as a plain second server: a directory, or a proxy_pass."""

from __future__ import annotations

import os
from pathlib import Path

from tests.servers.process import Process, free_ports, listens, program, work_directory
from tests.servers.running import InProcess

_CONFIGURATION = """
daemon off;
worker_processes 1;
{user}
pid {work}/pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    default_type application/octet-stream;
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {more}
        location / {{ {location} }}
    }}
}}
"""


class Nginx(InProcess):
    """A running nginx with one worker that serves `directory` or passes on to `proxy_pass`.

    `more` are further lines for the server block; `buffered` lets it read ahead, in memory. An
    S3 server behind it needs signed requests: those of a client pass through, presigned ones too.
    """

    access_key_id = ""
    secret_access_key = ""

    def __init__(
        self,
        directory: Path | None = None,
        *,
        proxy_pass: str | None = None,
        buffered: bool = False,
        more: str = "",
    ) -> None:
        if (directory is None) == (proxy_pass is None):
            raise ValueError("either a directory or a proxy_pass")
        # Unbuffered, or in memory alone: else nginx spools large answers to disk. With the Host
        # of the server behind it, so that what was signed for that server stays right.
        flow = "proxy_buffering off;"
        if buffered:
            flow = "proxy_buffer_size 64k; proxy_buffers 16 256k; proxy_busy_buffers_size 1m;"
            flow += " proxy_max_temp_file_size 0;"
        location = (
            f"root {directory};"
            if directory is not None
            else f"proxy_pass {proxy_pass}; proxy_http_version 1.1; {flow}"
            ' proxy_set_header Connection ""; proxy_set_header Host $proxy_host;'
        )
        super().__init__(lambda: self._start(location, more))

    def _start(self, location: str, more: str) -> Process:
        [self.port] = free_ports(1)
        work = work_directory()
        # As root its workers would change to a user who can't enter private directories.
        user = "user root;" if os.geteuid() == 0 else ""
        configuration = work / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                work=work, user=user, port=self.port, more=more, location=location
            )
        )
        argv = [program("nginx"), "-p", str(work), "-c", str(configuration), "-e", "stderr"]
        process = Process(argv, work)
        process.wait_until(lambda: listens(self.port))
        return process
