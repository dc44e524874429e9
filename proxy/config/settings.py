"""Every option there is: its name, its kind, its default, and what it does; those of origins and of
traces in `proxy.config.origins` and `telemetry`.

The text below an option is also its description in the JSON Schema and in messages about it.
Frozen and pure: a rule that has to look at a file is in `proxy.config.files`, one about several
options together in `proxy.config.together`. Durations are float seconds, sizes int bytes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ModelWrapValidatorHandler, model_validator

from proxy.config import together
from proxy.config.fields import (
    DEFAULT_ADMIN_BIND,
    DEFAULT_BIND,
    DEFAULT_TLS_BIND,
    Bind,
    BindOrOff,
    ErrorStatus,
    FileName,
    FilePath,
    Flag,
    Glob,
    HeaderValue,
    Key,
    MountPath,
    OptionalFile,
    OptionalSecret,
    OriginName,
    PublicPath,
    Whole,
    Workers,
)
from proxy.config.origins import Origin
from proxy.config.table import Table
from proxy.config.telemetry import Telemetry
from proxy.config.units import Duration, Size, Timeout

KIB = 1024


class Tls(Table):
    """The door that speaks HTTP/1.1 and HTTP/2 over TLS, chosen by ALPN, and HTTP/3."""

    bind: tuple[Bind, ...] = (DEFAULT_TLS_BIND,)
    """Addresses to listen on with TLS."""

    certificate: FilePath
    """PEM file with the certificate, followed by those that signed it."""

    key: FilePath
    """PEM file with the certificate's private key, without a passphrase."""

    http3: Flag = False
    """True serves HTTP/3 too, over UDP on the same addresses and ports. Needs what `just extras`
    installs."""

    http3_port: Annotated[Whole, Field(ge=0, le=65535)] = 0
    """Port that clients are told for HTTP/3 (Alt-Svc), where it is another one for them than
    here. 0: the one that they came to."""

    http3_max_age: Duration = 86400.0
    """For how long clients remember that there is HTTP/3; "0s" tells nobody."""


class Server(Table):
    """Where clients come in, and how long they may take."""

    bind: tuple[Bind, ...] = (DEFAULT_BIND,)
    """Addresses for HTTP/1.1 and h2c in clear: "host:port", "[::1]:8080", "unix:/path"."""

    workers: Workers = 1
    """Processes that serve, or "auto" for one per processor this process may use."""

    graceful_timeout: Duration = 30.0
    """How long responses in flight may go on after a stop was asked for; then they are cut."""

    keep_alive_timeout: Timeout = 15.0
    """How long a connection may wait for its next request."""

    stall_timeout: Timeout = 60.0
    """A client that takes less than 64 KiB of its response in this time is disconnected."""

    max_header_size: Annotated[Size, Field(ge=1 * KIB, le=1024 * KIB)] = 16 * KIB
    """Most bytes that the head of a request may have."""

    max_connections: Annotated[Whole, Field(ge=0, le=1_000_000)] = 0
    """Most connections of one worker; more are refused. 0: a third of its file descriptors,
    which bounds any other number too."""

    max_connections_per_address: Annotated[Whole, Field(ge=0, le=1_000_000)] = 0
    """Most connections of one worker with one IPv4 address or one IPv6 /64. 0: no such limit.
    Leave it so behind a load balancer, which has all connections."""

    tls: Tls | None = None
    """Left out: no TLS."""


class Admin(Table):
    """The operator's door: health, metrics, what is going on, and profiles."""

    bind: BindOrOff = DEFAULT_ADMIN_BIND
    """Address to listen on; "" turns it off. Not for the public."""

    token: OptionalSecret = None
    """What requests must bring ("Authorization: Bearer …"), but for health and readiness.
    Needed on an address that others than this machine reach."""

    token_file: OptionalFile = None
    """File that holds the token, instead of `token`."""

    debug: Literal["off", "token", "on"] = "token"
    """Whether profiles, memory, tasks and stalls are shown below /debug/: never, to those with
    the token, or to all who get in."""

    purge_timeout: Annotated[Duration, Field(ge=1.0, le=300.0)] = 30.0
    """In which all workers have to confirm a purge, those too that are just starting; beyond it the
    answer is 504."""


Coding = Literal["br", "zstd", "gzip"]


class Mount(Table):
    """Puts an origin below a public path; the longest path that fits wins."""

    path: MountPath
    """Public path below which the origin's keys appear; ends in "/"."""

    origin: str
    """Name of the origin, as in [origins.NAME]."""

    index: FileName | None = None
    """File served for an address that ends in "/". Left out: none is."""

    precompressed: tuple[Coding, ...] = ()
    """Codings whose siblings (.br, .zst, .gz) are served to clients that accept them."""

    listing: Flag = False
    """True shows what lies below an address that ends in "/"."""

    verify: Literal["require", "when-available", "off"] = "when-available"
    """Whether bodies are checked against the checksums that the store keeps. "when-available"
    passes on what can't be checked, "require" refuses it with 502, "off" checks nothing."""

    verify_ranges_up_to: Size = 8 * 1024 * KIB
    """With verify = "require", a range is checked by reading the whole object, or its parts where
    the store tells their checksums, if no more than this is read in vain; else it is refused."""

    error_pages: dict[ErrorStatus, Key] = {}
    """Keys of this origin that are sent as the body of errors, by status: 404 = "404.html"."""


class Rule(Table):
    """Headers and behaviour by public path; for each option the first rule that fits and has it
    wins."""

    path: Glob
    """Pattern over the public path: * within a part, ** for whole parts: "/assets/**"."""

    cache_control: HeaderValue | None = None
    """Cache-Control of these, where the object has none of its own."""

    content_security_policy: HeaderValue | None = None
    """Content-Security-Policy of these; "sandbox" for content that isn't trusted."""

    fallback: PublicPath | None = None
    """Public path served with 200 where an object is missing, for single-page applications."""

    download: Flag | None = None
    """True makes browsers save these (Content-Disposition: attachment)."""

    cache_ttl: Duration | None = None
    """For how long the cache gives these again without asking the origin, whatever they say
    themselves. Left out: as they say in Cache-Control, or `cache_control` says for them."""


class Cache(Table):
    """Slices of objects, kept to be given again. Left out: nothing is kept."""

    directory: OptionalFile = None
    """Where slices are kept on disk, shared by all workers and found again after a restart. Left
    out: they are kept in memory only."""

    size: Annotated[Size, Field(ge=16 * 1024 * KIB)] = 10 * 1024 * 1024 * KIB
    """Most bytes that the directory may hold."""

    files: Annotated[Whole, Field(ge=1000, le=100_000_000)] = 1_000_000
    """Most files that it may hold."""

    free: Size = 1024 * 1024 * KIB
    """Bytes that stay free on its file system, whatever `size` allows."""

    memory: Annotated[Size, Field(ge=1024 * KIB)] = 256 * 1024 * KIB
    """Bytes of slices that each worker may hold in memory, those on their way among them. Several
    workers without a `directory` hold as much together: half is shared, in a private directory of
    /dev/shm, the other half is divided among them. Where there is no room for that, or `memory` is
    less than four slices for each worker (and 2 MiB), each holds as much for itself."""

    slice: Annotated[Size, Field(ge=256 * KIB, le=64 * 1024 * KIB)] = 8 * 1024 * KIB
    """Bytes of one slice: what the origin is asked for at once. Smaller ones read less in vain
    around a short range, larger ones cost fewer requests."""

    read_ahead: Annotated[Whole, Field(ge=0, le=32)] = 6
    """Slices fetched beyond the one that is being sent, for readers that go on."""

    default_ttl: Duration = 60.0
    """For how long an object is given without asking the origin, where neither it nor a rule
    says."""

    stale_while_revalidate: Duration = 0.0
    """For how long after that it is still given while the origin is asked, where it does not
    say."""

    stale_if_error: Duration = 3600.0
    """For how long it stands in for an origin that fails, where it does not say."""

    missing_ttl: Duration = 5.0
    """For how long a missing object is known to be missing."""

    follow_requests: Flag = False
    """True heeds what clients say in Cache-Control: no-cache, max-age, only-if-cached and the like.
    Whoever may say no-cache decides how often the origin is asked."""

    tell: Flag = False
    """True sends Cache-Status and Server-Timing, which tell clients what is kept here."""


class Flow(Table):
    """How much may be on its way to clients at once."""

    memory: Size = 0
    """Most bytes that bodies on their way may hold in each worker: a download counts 128 KiB, or
    its size if that is less. Beyond it requests wait, and then get 503. 0: half of what the
    container or the machine has, divided by the workers."""

    queue: Annotated[Whole, Field(ge=0, le=100_000)] = 1024
    """Requests of a worker that may wait for memory; more get 503 at once."""

    wait: Timeout = 2.0
    """For how long they wait."""


class Http(Table):
    """Limits on what a request may ask for."""

    max_ranges: Annotated[Whole, Field(ge=1, le=1024)] = 16
    """A request for more ranges than this gets the whole representation (RFC 9110 §14.2)."""

    max_overlapping_ranges: Annotated[Whole, Field(ge=0, le=1024)] = 2
    """Likewise for ranges that overlap others."""

    max_target: Annotated[Size, Field(ge=256, le=64 * KIB)] = 8 * KIB
    """Most bytes that a request target may have; beyond it the answer is 414."""

    listing_page: Annotated[Whole, Field(ge=1, le=1000)] = 1000
    """Most names on one page of a listing."""

    prepared: Annotated[Size, Field(ge=0, le=1024 * 1024 * KIB)] = 16 * 1024 * KIB
    """Memory of each worker for answers of up to 64 KiB that are given again as they are, while
    their origin lets them; 0 keeps none."""


class Log(Table):
    """What is said on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least serious messages that are written."""

    format: Literal["auto", "json", "text"] = "auto"
    """One JSON object per line, or text; "auto" is text on a terminal and JSON elsewhere."""

    access: Flag = True
    """True writes a line per request."""


class Settings(Table):
    """All of Headgate's configuration."""

    server: Server = Server()
    admin: Admin = Admin()
    origins: dict[OriginName, Origin] = {}
    """Where objects come from, by a name of your own: [origins.media]."""

    mounts: tuple[Mount, ...] = ()
    """Which origin is served below which path. Left out with one origin: it is served at "/"."""

    rules: tuple[Rule, ...] = ()
    """Headers and behaviour by public path."""

    cache: Cache | None = None
    flow: Flow = Flow()
    http: Http = Http()
    log: Log = Log()
    telemetry: Telemetry | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _check_together(
        cls, data: object, handler: ModelWrapValidatorHandler[Settings]
    ) -> Settings:
        return together.check(together.with_default_mount(data), handler)
