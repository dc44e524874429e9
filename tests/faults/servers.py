"""What a campaign runs against: a store, the fault origin before it, and a proxy before that."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.e2e.program import Headgate
from tests.faults.control import Faults
from tests.faults.drawing import Store
from tests.faults.objects import Thing
from tests.servers import Nginx, Uploads
from tests.servers.process import free_ports

# Short waits, or stalls would be most of the run.
CONFIGURATION = """
[server]
bind = ["127.0.0.1:0"]
workers = {workers}
[admin]
bind = "{admin}"
[origins.media]
type = "s3"
endpoint = "{endpoint}"
bucket = "{bucket}"
connect_timeout = "1s"
first_byte_timeout = "1s"
stall_timeout = "1s"
{more}
[log]
level = "{level}"
access = {access}
format = "json"
"""
# Every second download here meets a fault; the default budget is for stores that mostly work.
GENEROUS = "retry_budget = 2.0"
# Ranges are checked too, by reading the whole object, of this size at most.
REQUIRED = """
[[mounts]]
path = "/"
origin = "media"
verify = "require"
verify_ranges_up_to = "64MiB"
"""
# The largest objects have sixteen of these.
SLICE = 4 * 1024 * 1024
# Objects live as long as they are not purged.
CACHE = """
[cache]
directory = "{directory}"
size = "512MiB"
free = "0B"
memory = "128MiB"
slice = "4MiB"
default_ttl = "24h"
stale_if_error = "0s"
missing_ttl = "0s"
"""


def headgate(
    faults: Faults,
    *,
    more: str = "",
    admin: str = "",
    level: str = "warning",
    access: bool = False,
    workers: int = 1,
) -> Headgate:
    """The whole program, over the fault origin."""
    store = faults.store
    return Headgate(
        CONFIGURATION.format(
            endpoint=faults.endpoint,
            bucket=store.bucket,
            more=more,
            admin=admin,
            workers=workers,
            level=level,
            access="true" if access else "false",
        ),
        environment={
            "AWS_ACCESS_KEY_ID": store.access_key_id,
            "AWS_SECRET_ACCESS_KEY": store.secret_access_key,
            "AWS_REGION": store.region,
        },
    )


@contextlib.contextmanager
def nginx(faults: Faults) -> Iterator[tuple[str, str]]:
    """nginx with proxy_pass over the fault origin; its URLs for HTTP/1.1 and HTTP/2."""
    [port] = free_ports(1)
    # The same patience as Headgate has here.
    more = f"listen 127.0.0.1:{port} http2; proxy_connect_timeout 2s; proxy_read_timeout 1s;"
    with Nginx(proxy_pass=faults.endpoint, more=more) as server:
        yield server.endpoint, f"http://127.0.0.1:{port}"


class Targets:
    """Paths and queries by which a proxy that does not sign may pass a client's GET on.

    nginx sends the fault origin's name as Host, so it is that name they are signed for.
    """

    def __init__(self, faults: Faults) -> None:
        store = faults.store
        self._bucket = store.bucket
        self._endpoint = faults.endpoint
        self._signing = Uploads(faults.endpoint, store.access_key_id, store.secret_access_key)

    def __call__(self, thing: Thing) -> str:
        url: str = self._signing.client.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": thing.key}, ExpiresIn=86400
        )
        return url.removeprefix(self._endpoint)

    def close(self) -> None:
        self._signing.close()


def raw_requests(faults: Faults) -> Store:
    """Requests that the store takes from the fault origin."""
    host = f"Host: 127.0.0.1:{faults.store.port}\r\n"

    def get(thing: Thing) -> str:
        target = _presigned(faults, "get_object", thing).removeprefix(faults.store.endpoint)
        return f"GET {target} HTTP/1.1\r\n{host}\r\n"

    def put_other(thing: Thing) -> str:
        target = _presigned(faults, "put_object", thing).removeprefix(faults.store.endpoint)
        body = thing.other.decode("latin-1")
        length = f"Content-Length: {thing.size}\r\nConnection: close\r\n"
        return f"PUT {target} HTTP/1.1\r\n{host}{length}\r\n{body}"

    return Store(get, put_other, f"http://127.0.0.1:{faults.canary_port}/canary")


def _presigned(faults: Faults, operation: str, thing: Thing) -> str:
    parameters = {"Bucket": faults.store.bucket, "Key": thing.key}
    url: str = faults.store.uploads.client.generate_presigned_url(
        operation, Params=parameters, ExpiresIn=86400
    )
    return url
