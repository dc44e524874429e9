"""Bad configurations, and the exact lines that are said about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.helpers import ORIGIN, faults

S3 = '[origins.m]\ntype = "s3"\nbucket = "media"\n'
MOUNT = '[[mounts]]\npath = "/"\norigin = "files"\n'
BIND = 'expected "host:port", "[IPv6 address]:port" or "unix:/absolute/path"'
DURATION = 'expected a duration with its unit (ms, s, m, h), such as "30s" or "500ms"'
HEADER = "expected the value of one header: Latin-1, no control characters, no spaces at its ends"

# What stands below the origin (its lines are 1 to 3), and what is said of it.
TABLE = [
    (
        "[server]\nworkers = 0",
        ['h.toml:5: server.workers = 0: expected a whole number from 1 to 1024, or "auto"'],
    ),
    (
        '[server]\nworkers = "many"',
        ['h.toml:5: server.workers = "many": expected a whole number from 1 to 1024, or "auto"'],
    ),
    (
        "[server]\nworkers = true",
        ['h.toml:5: server.workers = true: expected a whole number from 1 to 1024, or "auto"'],
    ),
    (
        '[server]\nbind = [\n  "127.0.0.1:8081",\n  ":80",\n]',
        [f'h.toml:7: server.bind.1 = ":80": {BIND}'],
    ),
    ('[server]\nbind = ["::1:80"]', [f'h.toml:5: server.bind.0 = "::1:80": {BIND}']),
    ('[server]\nbind = ["a:65536"]', [f'h.toml:5: server.bind.0 = "a:65536": {BIND}']),
    ('[server]\nbind = ["unix:a"]', [f'h.toml:5: server.bind.0 = "unix:a": {BIND}']),
    (
        '[server]\nbind = "127.0.0.1:80"',
        ['h.toml:5: server.bind = "127.0.0.1:80": expected an array'],
    ),
    ("[server]\nbind = [80]", ["h.toml:5: server.bind.0 = 80: expected a string"]),
    (
        "[server]\nbind = []",
        ["h.toml:5: server.bind = (an array): is empty and there is no [server.tls] either"],
    ),
    (
        '[server]\nbind = ["127.0.0.1:9090"]',
        ['h.toml:5: server.bind.0 = "127.0.0.1:9090": is bound twice'],
    ),
    (
        '[server]\nbind = ["a:80", "a:80"]',
        ['h.toml:5: server.bind.1 = "a:80": is bound twice'],
    ),
    ("[server]\ngraceful_timeout = 30", [f"h.toml:5: server.graceful_timeout = 30: {DURATION}"]),
    (
        '[server]\nstall_timeout = "0s"',
        ['h.toml:5: server.stall_timeout = "0s": expected at least 1ms'],
    ),
    (
        '[server]\nmax_header_size = "2MiB"',
        ['h.toml:5: server.max_header_size = "2MiB": expected from 1KiB to 1MiB'],
    ),
    (
        "[server]\nmax_header_size = 1",
        ["h.toml:5: server.max_header_size = 1: expected from 1KiB to 1MiB"],
    ),
    (
        "[server]\ngracful_timeout = 30",
        [
            (
                "h.toml:5: server.gracful_timeout = 30: is not a known key; "
                "did you mean graceful_timeout?"
            )
        ],
    ),
    (
        "[admin]\nxyz = 1",
        [
            (
                "h.toml:5: admin.xyz = 1: is not a known key; "
                "known here: bind, token, token_file, debug, purge_timeout"
            )
        ],
    ),
    (
        '[admin]\nbind = "0.0.0.0:9090"',
        [
            (
                'h.toml:5: admin.bind = "0.0.0.0:9090": '
                "is reached from other machines: token or token_file is needed"
            )
        ],
    ),
    ("[admin]\nbind = false", ["h.toml:5: admin.bind = false: expected a string"]),
    (
        "[servers]\nworkers = 2",
        ["h.toml:4: servers = (a table): is not a known key; did you mean server?"],
    ),
    ("[log]\naccess = 1", ["h.toml:5: log.access = 1: expected true or false"]),
    (
        '[log]\nlevel = "loud"',
        ['h.toml:5: log.level = "loud": expected "debug", "info", "warning" or "error"'],
    ),
    ("[http]\nmax_ranges = 1.5", ["h.toml:5: http.max_ranges = 1.5: expected a whole number"]),
    ("[http]\nmax_ranges = 0", ["h.toml:5: http.max_ranges = 0: expected from 1 to 1024"]),
    (
        "[server.tls]",
        [
            (
                "h.toml:4: server.tls.certificate: is missing: "
                "PEM file with the certificate, followed by those that signed it"
            ),
            (
                "h.toml:4: server.tls.key: is missing: "
                "PEM file with the certificate's private key, without a passphrase"
            ),
        ],
    ),
    (
        '[origins.b]\ntype = "s4"\n[origins.c]\n' + MOUNT,
        [
            'h.toml:5: origins.b.type = "s4": expected "s3" or "directory"',
            'h.toml:6: origins.c.type: is missing: expected "s3" or "directory"',
        ],
    ),
    (
        '[origins.Big]\ntype = "directory"\nroot = ""\n' + MOUNT,
        [
            (
                "h.toml:4: origins.Big: can't be named so: expected "
                "lower-case letters and digits, in parts joined by a single - or _"
            ),
            'h.toml:6: origins.Big.root = "": expected a path',
        ],
    ),
    (
        S3,
        [
            (
                "h.toml: mounts: is missing: with several origins (files, m), "
                "[[mounts]] must say where each is served"
            )
        ],
    ),
    (
        '[[mounts]]\npath = "media"\norigin = "filse"\n[[mounts]]\npath = "/a"\norigin = "zzz"',
        [
            (
                'h.toml:5: mounts.0.path = "media": expected a path that starts with "/" and '
                'has no empty, "." or ".." part, such as "/media/"'
            ),
            'h.toml:6: mounts.0.origin = "filse": names no origin; did you mean files?',
            'h.toml:9: mounts.1.origin = "zzz": names no origin; known here: files',
        ],
    ),
    (
        MOUNT
        + '[[mounts]]\npath = "/a/"\norigin = "files"\n[[mounts]]\norigin = "files"\npath = "/a"',
        ['h.toml:12: mounts.2.path = "/a": is mounted twice'],
    ),
    (
        MOUNT + 'index = "a/b"\nprecompressed = ["lzma"]\nerror_pages = { 99 = "e", 404 = "/x" }',
        [
            (
                'h.toml:7: mounts.0.index = "a/b": expected a file name without "/", '
                'such as "index.html"'
            ),
            'h.toml:8: mounts.0.precompressed.0 = "lzma": expected "br", "zstd" or "gzip"',
            (
                "h.toml:9: mounts.0.error_pages.99: can't be named so: expected a status "
                "from 400 to 599"
            ),
            (
                'h.toml:9: mounts.0.error_pages.404 = "/x": expected a key in the origin without a '
                'leading "/", such as "errors/404.html"'
            ),
        ],
    ),
    (
        '[[rules]]\npath = "/**"\n[[rules]]\npath = "*.js"\ncache_control = "a\\r\\nb: c"',
        [
            "h.toml:4: rules.0: says a path but no option for it",
            (
                'h.toml:7: rules.1.path = "*.js": expected a pattern over the public path that '
                'starts with "/": * within a part, ** for whole parts'
            ),
            f'h.toml:8: rules.1.cache_control = "a\\r\\nb: c": {HEADER}',
        ],
    ),
    (
        (
            '[[rules]]\npath = "/"\ncontent_security_policy = "a\\u0000"\n'
            'cache_control = "→"\nfallback = "x"'
        ),
        [
            f'h.toml:6: rules.0.content_security_policy = "a\\u0000": {HEADER}',
            f'h.toml:7: rules.0.cache_control = "→": {HEADER}',
            (
                'h.toml:8: rules.0.fallback = "x": expected a path that starts with "/", '
                'such as "/index.html"'
            ),
        ],
    ),
    (
        "admin = 3",
        [
            (
                "h.toml:4: origins.files.admin = 3: is not a known key; known here: "
                "type, root, follow_symlinks, show_hidden, cache, recheck"
            )
        ],
    ),
    ("[[server]]\nworkers = 1", ["h.toml:4: server = (an array): expected a table"]),
    ("[rules]\nx = 1", ["h.toml:4: rules = (a table): expected an array"]),
    (
        '["new\\nline"]\nx = 1',
        [
            (
                'h.toml:4: "new\\nline" = (a table): is not a known key; known here: '
                "server, admin, origins, mounts, rules, cache, flow, http, log, telemetry"
            )
        ],
    ),
    (
        f'[log]\nlevel = "{"x" * 100}"',
        [f'h.toml:5: log.level = "{"x" * 78}…: expected "debug", "info", "warning" or "error"'],
    ),
]


@pytest.mark.parametrize(("text", "lines"), TABLE)
def test_what_is_said(tmp_path: Path, text: str, lines: list[str]) -> None:
    assert faults(tmp_path, f"{ORIGIN}{text}\n") == lines


S3_TABLE = [
    (
        'endpoint = "store:80"',
        [
            (
                'h.toml:4: origins.m.endpoint = "store:80": expected '
                '"http://host:port" or "https://host", '
                "without user, query or fragment"
            )
        ],
    ),
    (
        'prefix = "/a"',
        [
            (
                'h.toml:4: origins.m.prefix = "/a": expected the start of keys '
                'without a leading "/" or empty, "." and ".." parts, such as "site/v1/"'
            )
        ],
    ),
    ("buckt = 1", ["h.toml:4: origins.m.buckt = 1: is not a known key; did you mean bucket?"]),
    ("max_connections = 0", ["h.toml:4: origins.m.max_connections = 0: expected from 1 to 65536"]),
    (
        'access_key_id = "a"',
        ['h.toml:4: origins.m.access_key_id = "a": is set without secret_access_key'],
    ),
    (
        'unsigned = true\nprofile = "p"',
        [
            (
                "h.toml:4: origins.m.unsigned = true: can't go with profile: "
                "unsigned requests have no credentials"
            )
        ],
    ),
    (
        'addressing = "dns"',
        ['h.toml:4: origins.m.addressing = "dns": expected "path" or "virtual"'],
    ),
    ('rgion = "x"', ['h.toml:4: origins.m.rgion = "x": is not a known key; did you mean region?']),
]


@pytest.mark.parametrize(("text", "lines"), S3_TABLE)
def test_what_is_said_of_a_bucket(tmp_path: Path, text: str, lines: list[str]) -> None:
    assert faults(tmp_path, f"{S3}{text}\n") == lines


def test_a_missing_bucket_hides_no_other_fault(tmp_path: Path) -> None:
    text = '[origins.m]\ntype = "s3"\nunsigned = "yes"\n[[mounts]]\npath = "/"\norigin = "n"\n'
    assert faults(tmp_path, text) == [
        "h.toml:1: origins.m.bucket: is missing: Name of the bucket",
        'h.toml:3: origins.m.unsigned = "yes": expected true or false',
        'h.toml:6: mounts.0.origin = "n": names no origin; known here: m',
    ]


def test_origins_that_are_no_tables(tmp_path: Path) -> None:
    assert faults(tmp_path, '[origins]\na = "hunter2"\nb = []\n')[1:] == [
        "h.toml:2: origins.a = (a string): expected a table",
        "h.toml:3: origins.b = (an array): expected a table",
    ]


def test_nothing_at_all(tmp_path: Path) -> None:
    assert faults(tmp_path, "") == [
        (
            "h.toml: origins: is missing: at least one, such as [origins.files] with "
            'type = "directory", root = "…"'
        )
    ]


SECRET = "hunter2-very-secret"  # it is what must not be shown


@pytest.mark.parametrize(
    "text",
    [
        f'secret_access_key = "{SECRET} "\naccess_key_id = "a"',
        f'secret_access_key = "{SECRET}"',
        f'session_token = "{SECRET}"',
        f'secret_acess_key = "{SECRET}"',
        f'token = "{SECRET}"',
        f'aws_password = "{SECRET}"',
        f'secret_access_key = ["{SECRET}"]\naccess_key_id = "a"',
        f'secret_access_key = {{ value = "{SECRET}" }}\naccess_key_id = "a"',
        f'endpoint = "http://user:{SECRET}@store"',
        f'endpoint = "http://{SECRET}@store"',
        f'[server]\ntls = "{SECRET}"',
        f'[[secret]]\nx = "{SECRET}"',
    ],
)
def test_a_secret_is_never_said(tmp_path: Path, text: str) -> None:
    lines = faults(tmp_path, f"{S3}{text}\n")
    assert len(lines) == 1
    assert SECRET not in lines[0]
    assert "h.toml:" in lines[0]


def test_a_secret_from_text_is_never_said(tmp_path: Path) -> None:
    environ = {"HEADGATE_ORIGINS__M__SECRET_ACCESS_KEY": SECRET, "HEADGATE_SECRET": SECRET}
    lines = faults(tmp_path, S3, environ, [f"origins.m.session_token={SECRET}", SECRET])
    assert lines == [
        (
            'HEADGATE_ORIGINS__M__SECRET_ACCESS_KEY: origins.m.secret_access_key = "********": '
            "is set without access_key_id"
        ),
        'HEADGATE_SECRET: secret = "********": is not a known key; did you mean server?',
        "--set: expected KEY.PATH=VALUE, such as server.workers=2",
        (
            '--set: origins.m.session_token = "********": '
            "is set without access_key_id and secret_access_key"
        ),
    ]
