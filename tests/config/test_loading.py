"""Layers over layers: what wins, where it came from, and that faults of all are told together."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import Source, load
from proxy.config.origins import S3Origin
from proxy.config.table import Table
from proxy.errors import ConfigurationError
from tests.config.helpers import ORIGIN, faults, load_text, write


def test_later_layers_win_and_tables_merge(tmp_path: Path) -> None:
    first = write(tmp_path, f'{ORIGIN}[server]\nworkers = 2\nbind = ["a:1", "b:2"]\n', "1.toml")
    second = write(
        tmp_path, '[server]\nworkers = 3\nbind = ["c:3"]\nstall_timeout = "5s"\n', "2.toml"
    )
    environ = {"HEADGATE_SERVER__WORKERS": "4", "HEADGATE_HTTP__MAX_RANGES": "7", "PATH": "x"}
    loaded = load([first, second], environ, ["server.workers=5", "log.format=json"])
    server = loaded.settings.server
    assert (server.workers, server.bind, server.stall_timeout) == (5, ("c:3",), 5.0)
    assert loaded.settings.http.max_ranges == 7
    assert loaded.settings.log.format == "json"
    assert loaded.sources["server", "workers"] == Source("assignment", "--set", None, 4)
    assert loaded.sources["server", "bind"] == Source("file", str(second), 3, 2)
    assert loaded.sources["server", "bind", 0] == Source("file", str(second), 3, 2)
    assert ("server", "bind", 1) not in loaded.sources
    assert loaded.sources["http", "max_ranges"].name == "HEADGATE_HTTP__MAX_RANGES"
    assert ("log", "level") not in loaded.sources


def test_one_origin_is_served_at_the_root(tmp_path: Path) -> None:
    (mount,) = load_text(tmp_path, ORIGIN).settings.mounts
    assert (mount.path, mount.origin) == ("/", "files")


def test_environment_alone_is_enough() -> None:
    environ = {
        "HEADGATE_ORIGINS__MEDIA__TYPE": "s3",
        "HEADGATE_ORIGINS__MEDIA__BUCKET": "2024",
        "HEADGATE_ORIGINS__MEDIA__ACCESS_KEY_ID": "0123",
        "HEADGATE_ORIGINS__MEDIA__SECRET_ACCESS_KEY": "1e5",
        "HEADGATE_SERVER__BIND": "127.0.0.1:0",
        "HEADGATE_LOG__ACCESS": "false",
        "HEADGATE_MOUNTS__0__PATH": "/a",
        "HEADGATE_MOUNTS__0__ORIGIN": "media",
        "HEADGATE_RULES": '[{"path": "/**", "download": true}]',
    }
    settings = load([], environ).settings
    media = settings.origins["media"]
    assert isinstance(media, S3Origin)
    assert (media.bucket, media.access_key_id) == ("2024", "0123")
    assert media.secret_access_key is not None
    assert media.secret_access_key.get_secret_value() == "1e5"
    assert settings.server.bind == ("127.0.0.1:0",)
    assert settings.log.access is False
    assert [(mount.path, mount.origin) for mount in settings.mounts] == [("/a/", "media")]
    assert settings.rules[0].download is True


def test_a_variable_changes_one_element_of_an_array(tmp_path: Path) -> None:
    mounts = [f'[[mounts]]\npath = "{path}"\norigin = "files"\n' for path in ("/a", "/b")]
    text = "".join([ORIGIN, *mounts])
    loaded = load_text(
        tmp_path, text, {"HEADGATE_MOUNTS__1__LISTING": "true"}, ["mounts.0.path=/c"]
    )
    assert [(mount.path, mount.listing) for mount in loaded.settings.mounts] == [
        ("/c/", False),
        ("/b/", True),
    ]
    assert str(loaded.sources["mounts", 1, "path"]) == f"{tmp_path}/h.toml:8"


def test_an_array_has_no_such_element(tmp_path: Path) -> None:
    text = f'{ORIGIN}[[mounts]]\npath = "/a"\norigin = "files"\n'
    assert faults(tmp_path, text, {"HEADGATE_MOUNTS__2__PATH": "/"}, ["mounts.x.path=/"]) == [
        "HEADGATE_MOUNTS__2__PATH: mounts.2.path: there is no such element in the array",
        "--set: mounts.x.path: there is no such element in the array",
    ]


def test_names_with_a_dash_are_reached_by_variables(tmp_path: Path) -> None:
    text = '[origins.my-files]\ntype = "directory"\nroot = "."\n'
    environ = {"HEADGATE_ORIGINS__MY_FILES__SHOW_HIDDEN": "true"}
    settings = load_text(tmp_path, text, environ).settings
    assert settings.origins["my-files"].model_dump()["show_hidden"] is True


def test_variables_of_kubernetes_are_passed_over(tmp_path: Path) -> None:
    environ = {
        "HEADGATE_SERVICE_HOST": "10.0.0.1",
        "HEADGATE_SERVICE_PORT_HTTP": "80",
        "HEADGATE_PORT": "tcp://10.0.0.1:80",
        "HEADGATE_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    load_text(tmp_path, ORIGIN, environ)


def test_faults_of_all_layers_are_told_together(tmp_path: Path) -> None:
    first = write(tmp_path, f"{ORIGIN}[server]\nworkers = -1\n", "1.toml")
    broken = write(tmp_path, "[server]\nbind = [\n  x\n]\n", "2.toml")
    binary = tmp_path / "3.toml"
    binary.write_bytes(b"[log]\nlevel = '\xff'\n")
    files = [first, broken, binary, tmp_path / "4.toml", tmp_path]
    with pytest.raises(ConfigurationError) as caught:
        load(files, {"HEADGATE_LOG__LEVEL": "x", "HEADGATE_A____B": "1"}, ["http.max_ranges=x"])
    assert str(caught.value).replace(str(tmp_path), "DIR").splitlines() == [
        'DIR/1.toml:5: server.workers = -1: expected a whole number from 1 to 1024, or "auto"',
        "DIR/2.toml:3:3: not TOML: Invalid value",
        "DIR/3.toml:2: is not UTF-8 text",
        "DIR/4.toml: can't be read: No such file or directory",
        "DIR: can't be read: Is a directory",
        "HEADGATE_A____B: expected names of keys with __ between them",
        'HEADGATE_LOG__LEVEL: log.level = "x": expected "debug", "info", "warning" or "error"',
        '--set: http.max_ranges = "x": expected a whole number',
    ]


def test_what_a_broken_file_may_have_said_is_not_told_missing(tmp_path: Path) -> None:
    broken = write(tmp_path, "[origins", "1.toml")
    mounts = write(tmp_path, '[[mounts]]\npath = "/"\norigin = "files"\n', "2.toml")
    with pytest.raises(ConfigurationError) as caught:
        load([broken, mounts], {})
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{tmp_path}/1.toml:1:9: not TOML: Expected ']'")


def test_a_file_too_large_to_be_one(tmp_path: Path) -> None:
    file = write(tmp_path, "#" * (1 << 20) + "\n")
    with pytest.raises(ConfigurationError, match="larger than 1MiB"):
        load([file], {})


def test_crlf_and_byte_order_mark_keep_the_lines(tmp_path: Path) -> None:
    text = f"\ufeff{ORIGIN}[server]\nworkers = 0\n".replace("\n", "\r\n")
    file = tmp_path / "h.toml"
    file.write_bytes(text.encode())
    with pytest.raises(ConfigurationError, match=r"h\.toml:5: server\.workers"):
        load([file], {})


def test_numbers_that_no_one_can_read(tmp_path: Path) -> None:
    lines = faults(tmp_path, ORIGIN, {"HEADGATE_HTTP__MAX_RANGES": "9" * 5000})
    assert len(lines) == 1
    assert lines[0].startswith("HEADGATE_HTTP__MAX_RANGES: http.max_ranges = ")
    nested = faults(tmp_path, f"[log]\nlevel = {'[' * 5000}")
    assert nested == ["h.toml: is nested too deeply"]


NAMES = sorted({name for model in Table.__subclasses__() for name in model.model_fields})
keys = st.one_of(st.sampled_from([*NAMES, "0", "1", "a"]), st.text(max_size=3))
texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["1", "true", "[]", "{}", "null", "[1]", '[{"a": {}}]', '{"type": "s3"}', "s3"]
    ),
)


@given(st.dictionaries(st.lists(keys, min_size=1, max_size=4).map(tuple), texts, max_size=6))
def test_nothing_that_is_said_is_more_than_a_fault(said: dict[tuple[str, ...], str]) -> None:
    environ = {f"HEADGATE_{'__'.join(path)}": text for path, text in said.items()}
    assignments = [f"{'.'.join(path)}={text}" for path, text in said.items()]
    for layers in ((environ, []), ({}, assignments), (environ, assignments)):
        try:
            load([], *layers)
        except ConfigurationError as error:
            report = str(error)
            assert report
