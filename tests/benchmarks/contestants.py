"""The servers that are measured side by side, each with one worker on one processor.

What Debian or the package index has; `deploy/tools/system-packages bench` installs them. Each
serves a directory or the objects of a store, Headgate both. Anybody may read the store's bucket,
since most of them can't sign; Headgate and rclone sign all the same.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.processes import started_on
from tests.e2e.program import Headgate
from tests.load.target import configuration
from tests.servers.process import (
    Process,
    free_ports,
    listens,
    program,
    with_retries,
    work_directory,
)
from tests.servers.s3 import S3Server


@dataclass(frozen=True)
class Contestant:
    """A running server. URLs end in "/"; None for what it doesn't do.

    A `variant` is a server that is there already, set up in another way for small answers.
    """

    name: str
    pid: Callable[[], int]
    directory: str | None = None
    directory_tls: str | None = None
    store: str | None = None
    variant: bool = False


@dataclass(frozen=True)
class Ground:
    """What all of them serve: a directory, a store, and a certificate."""

    files: Path
    store: S3Server
    keys: Path
    # The store's address as they see it; a fault origin may stand there.
    endpoint: str

    @property
    def bucket_url(self) -> str:
        """Where an object of the store is, without a slash at the end."""
        return f"{self.endpoint}/{self.store.bucket}"


_NGINX = """
daemon off;
worker_processes 1;
{user}
pid {work}/pid;
error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 10000000;
    default_type application/octet-stream;
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    proxy_cache_path {work}/cache keys_zone=slices:16m max_size=4g use_temp_path=off;
    upstream store {{ server {store}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls} ssl http2;
        ssl_certificate {keys}/certificate.pem;
        ssl_certificate_key {keys}/key.pem;
        location / {{ {location} }}
    }}
}}
"""
_PASSED_ON = """
    proxy_pass http://store/{bucket}/;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_max_temp_file_size 0;
"""
# Without tcp_nopush off, each answer of 64 KiB from the slice cache waited 40 ms for an ACK.
_SLICED = """
    slice {slice};
    tcp_nopush off;
    proxy_cache slices;
    proxy_cache_key $uri$slice_range;
    proxy_cache_valid 200 206 1h;
    proxy_cache_lock on;
    proxy_set_header Range $slice_range;
"""
# As nginx is unless told otherwise. On loopback it is quicker so with large files, and with
# tcp_nopush more of its sending is done at the receiver's expense.
_PUSHED = "tcp_nopush off;"
# The files once more, from the cache of a second nginx before the first.
_FROM_CACHE = """
    proxy_pass {files};
    proxy_http_version 1.1;
    tcp_nopush off;
    proxy_cache slices;
    proxy_cache_valid 200 1h;
"""
_VARNISH = """
vcl 4.1;
backend store {{ .host = "127.0.0.1"; .port = "{port}"; }}
sub vcl_recv {{ set req.url = "/{bucket}" + req.url; return (hash); }}
sub vcl_backend_fetch {{ set bereq.http.Host = "{host}"; }}
sub vcl_backend_response {{ set beresp.ttl = 1h; }}
"""
_CADDY = """
{{
    admin off
    auto_https off
}}
http://127.0.0.1:{port} {{
    {handler}
}}
https://127.0.0.1:{tls} {{
    tls {keys}/certificate.pem {keys}/key.pem
    {handler}
}}
"""


def let_everybody_read(store: S3Server) -> None:
    """Opens the bucket, for those who can't sign."""
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{store.bucket}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    store.uploads.client.put_bucket_policy(Bucket=store.bucket, Policy=policy)


@contextmanager
def all_started(ground: Ground, cpus: frozenset[int]) -> Iterator[list[Contestant]]:
    """Every contestant, up for the whole block, on these processors."""
    with ExitStack() as stack:
        with started_on(cpus):
            contestants = [*_started(stack, ground)]
        yield contestants


def _started(stack: ExitStack, ground: Ground) -> Iterator[Contestant]:
    passed_on = _PASSED_ON.format(bucket=ground.store.bucket)
    nginx = _nginx(stack, ground, f"root {ground.files};")
    yield Contestant("nginx", nginx.pid, nginx.url, nginx.tls_url)
    pushed = _nginx(stack, ground, f"root {ground.files}; {_PUSHED}")
    yield Contestant("nginx, tcp_nopush off", pushed.pid, pushed.url, pushed.tls_url, variant=True)
    cached = _nginx(stack, ground, _FROM_CACHE.format(files=nginx.url))
    yield Contestant("nginx, from its cache", cached.pid, cached.url, cached.tls_url, variant=True)
    yield Contestant("nginx, passing on", *_of(_nginx(stack, ground, passed_on)))
    yield sliced_nginx(stack, ground)
    yield varnish(stack, ground)
    caddy = _caddy(stack, ground, f"root * {ground.files}\n    file_server")
    yield Contestant("Caddy", caddy.pid, caddy.url, caddy.tls_url)
    to_store = f"rewrite * /{ground.store.bucket}{{uri}}\n    reverse_proxy {_host(ground)}"
    yield Contestant("Caddy, passing on", *_of(_caddy(stack, ground, to_store)))
    rclone = _rclone(stack, str(ground.files), {})
    yield Contestant("rclone", rclone.pid, rclone.url)
    yield Contestant("rclone, over S3", *_of(_rclone(stack, *_remote(ground))))
    without = stack.enter_context(
        Headgate(_headgate(ground) + _kept(stack), arguments=_NOTHING_PREPARED)
    )
    yield Contestant(
        "Headgate, nothing prepared",
        lambda: without.pid,
        f"{without.url}/files/",
        f"{without.tls_url}/files/",
        f"{without.url}/media/",
        variant=True,
    )
    passing = stack.enter_context(Headgate(_headgate(ground)))
    media = f"{passing.url}/media/"
    yield Contestant("Headgate, passing on", lambda: passing.pid, None, None, media, variant=True)
    ours = stack.enter_context(Headgate(_headgate(ground) + _kept(stack)))
    yield Contestant(
        "Headgate",
        lambda: ours.pid,
        f"{ours.url}/files/",
        f"{ours.tls_url}/files/",
        f"{ours.url}/media/",
    )


def sliced_nginx(stack: ExitStack, ground: Ground, size: str = "1m") -> Contestant:
    """nginx with a cache of slices; `size` is theirs, as nginx has it."""
    location = _PASSED_ON.format(bucket=ground.store.bucket) + _SLICED.format(slice=size)
    return Contestant("nginx, slice and cache", *_of(_nginx(stack, ground, location)))


def varnish(stack: ExitStack, ground: Ground) -> Contestant:
    """Varnish, whose cache has whole objects in memory."""
    return Contestant("Varnish", *_of(_varnish(stack, ground)))


_NOTHING_PREPARED = ("--set", "http.prepared=0")


@dataclass(frozen=True)
class _Server:
    process: Process
    url: str
    tls_url: str | None = None

    def pid(self) -> int:
        return self.process.pid


def _of(server: _Server) -> tuple[Callable[[], int], None, None, str]:
    """A contestant's fields behind its name, for one that serves the store only."""
    return server.pid, None, None, server.url


def _host(ground: Ground) -> str:
    return ground.endpoint.removeprefix("http://")


def _start(
    stack: ExitStack,
    make: Callable[[Path, int, int], tuple[list[str], Mapping[str, str]]],
) -> _Server:
    """Starts what `make` says for a directory of its own and two ports, and waits for the first."""
    ports = [0, 0]

    def start() -> Process:
        ports[:] = free_ports(2)
        work = work_directory()
        try:
            argv, environment = make(work, *ports)
        except BaseException:
            shutil.rmtree(work)
            raise
        process = Process(argv, work, environment)
        process.wait_until(lambda: listens(ports[0]))
        return process

    process = with_retries(start)
    stack.callback(process.stop)
    return _Server(process, f"http://127.0.0.1:{ports[0]}/", f"https://127.0.0.1:{ports[1]}/")


def _nginx(stack: ExitStack, ground: Ground, location: str) -> _Server:
    def make(work: Path, port: int, tls: int) -> tuple[list[str], Mapping[str, str]]:
        user = "user root;" if os.geteuid() == 0 else ""
        text = _NGINX.format(
            work=work, user=user, store=_host(ground), port=port, tls=tls,
            keys=ground.keys, location=location,
        )  # fmt: skip
        (work / "nginx.conf").write_text(text)
        return [program("nginx"), "-p", str(work), "-c", f"{work}/nginx.conf", "-e", "stderr"], {}

    return _start(stack, make)


def _varnish(stack: ExitStack, ground: Ground) -> _Server:
    def make(work: Path, port: int, _: int) -> tuple[list[str], Mapping[str, str]]:
        host = _host(ground)
        text = _VARNISH.format(port=host.rpartition(":")[2], host=host, bucket=ground.store.bucket)
        (work / "store.vcl").write_text(text)
        argv = [program("varnishd"), "-F", "-j", "none", "-n", str(work / "state")]
        argv += ["-a", f"127.0.0.1:{port}", "-f", str(work / "store.vcl"), "-s", "malloc,2g"]
        return [*argv, "-p", "thread_pools=1", "-p", "thread_pool_max=3000"], {}

    return _start(stack, make)


def _caddy(stack: ExitStack, ground: Ground, handler: str) -> _Server:
    def make(work: Path, port: int, tls: int) -> tuple[list[str], Mapping[str, str]]:
        text = _CADDY.format(port=port, tls=tls, keys=ground.keys, handler=handler)
        (work / "Caddyfile").write_text(text)
        return [program("caddy"), "run", "--config", str(work / "Caddyfile")], {}

    return _start(stack, make)


def _rclone(stack: ExitStack, remote: str, environment: Mapping[str, str]) -> _Server:
    def make(_: Path, port: int, __: int) -> tuple[list[str], Mapping[str, str]]:
        argv = [program("rclone"), "serve", "http", "--config", "/dev/null", "--read-only"]
        return [*argv, "--addr", f"127.0.0.1:{port}", remote], environment

    return _start(stack, make)


def _remote(ground: Ground) -> tuple[str, Mapping[str, str]]:
    """rclone's name for the bucket, and the variables that define it."""
    said = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENDPOINT": ground.endpoint,
        "ACCESS_KEY_ID": ground.store.access_key_id,
        "SECRET_ACCESS_KEY": ground.store.secret_access_key,
        "REGION": ground.store.region,
    }
    variables = {f"RCLONE_CONFIG_STORE_{name}": value for name, value in said.items()}
    return f"store:{ground.store.bucket}", variables


def _kept(stack: ExitStack) -> str:
    """A cache of Headgate's own, as its peers have one."""
    directory = work_directory()
    stack.callback(shutil.rmtree, directory, ignore_errors=True)
    return f'\n[cache]\ndirectory = "{directory}/slices"\ndefault_ttl = "1h"\nfree = "0B"\n'


def _headgate(ground: Ground) -> str:
    text = configuration(ground.store, ground.files, ground.keys)
    return text.replace(ground.store.endpoint, ground.endpoint)
