"""What settings name on the disk: relative paths, secret files, certificates."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from proxy.config import load
from proxy.config.origins import DirectoryOrigin, S3Origin
from tests.config.helpers import ORIGIN, faults, load_text, write

S3 = '[origins.m]\ntype = "s3"\nbucket = "media"\n'


def certificates(directory: Path, name: str) -> tuple[Path, Path]:
    """A certificate and its key."""
    issued = trustme.CA().issue_cert("localhost")
    certificate, key = directory / f"{name}.pem", directory / f"{name}-key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    return certificate, key


def root_of(directory: Path, root: str) -> Path:
    text = f'[origins.files]\ntype = "directory"\nroot = "{root}"\n'
    origin = load_text(directory, text).settings.origins["files"]
    assert isinstance(origin, DirectoryOrigin)
    return origin.root


def test_paths_are_relative_to_the_file_that_says_them(tmp_path: Path) -> None:
    inner = tmp_path / "config"
    inner.mkdir()
    assert root_of(inner, "data/x") == inner / "data" / "x"
    assert root_of(inner, "../data") == tmp_path / "data"
    assert root_of(inner, "/data") == Path("/data")
    assert root_of(inner, "~/x") == Path("~/x").expanduser()
    assert root_of(inner, "~no-such-user-here/x") == inner / "~no-such-user-here" / "x"


def test_other_paths_are_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    write(tmp_path / "config", ORIGIN)
    monkeypatch.chdir(tmp_path)
    for settings in (
        load([Path("config/h.toml")], {"HEADGATE_ORIGINS__FILES__ROOT": "data"}).settings,
        load([Path("config/h.toml")], {}, ["origins.files.root=data"]).settings,
        load([Path("config/h.toml")], {}, ["origins.files.root=config/../data"]).settings,
    ):
        origin = settings.origins["files"]
        assert isinstance(origin, DirectoryOrigin)
        assert origin.root.is_absolute()
        assert origin.root.resolve() == tmp_path / "data"
    named = load([Path("config/h.toml")], {}).settings.origins["files"]
    assert isinstance(named, DirectoryOrigin)
    assert named.root == tmp_path / "config"


def test_secrets_are_read_from_files(tmp_path: Path) -> None:
    for name, content in (("id", "AKIA\n"), ("key", "  hunter2\n"), ("token", "t")):
        (tmp_path / name).write_text(content)
    text = (
        f'{S3}access_key_id_file = "id"\nsecret_access_key_file = "key"\n'
        'session_token_file = "token"\n'
    )
    loaded = load_text(tmp_path, text)
    origin = loaded.settings.origins["m"]
    assert isinstance(origin, S3Origin)
    assert origin.access_key_id == "AKIA"
    assert origin.secret_access_key is not None
    assert origin.secret_access_key.get_secret_value() == "hunter2"
    assert origin.session_token is not None
    assert origin.session_token.get_secret_value() == "t"
    assert origin.secret_access_key_file == tmp_path / "key"
    assert "hunter2" not in repr(loaded)
    assert not loaded.warnings


def test_a_later_layer_takes_a_secret_file_back(tmp_path: Path) -> None:
    text = f'{S3}access_key_id = "a"\nsecret_access_key_file = "absent"\nca_bundle = "absent"\n'
    again = ["origins.m.secret_access_key_file=", "origins.m.secret_access_key=x"]
    origin = load_text(tmp_path, text, {}, [*again, "origins.m.ca_bundle="]).settings.origins["m"]
    assert isinstance(origin, S3Origin)
    assert origin.secret_access_key_file is None
    assert origin.ca_bundle is None


def test_secret_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "two").write_text("hunter2\nhunter3\n")
    text = (
        f'{S3}access_key_id_file = "absent"\nsecret_access_key_file = "empty"\n'
        '[origins.n]\ntype = "s3"\nbucket = "media"\naccess_key_id_file = "binary"\n'
        'secret_access_key_file = "two"\nsession_token = "t"\nsession_token_file = "two"\n'
        '[[mounts]]\npath = "/"\norigin = "m"\n'
    )
    assert faults(tmp_path, text) == [
        (
            'h.toml:4: origins.m.access_key_id_file = "absent": can\'t be read: '
            "No such file or directory"
        ),
        'h.toml:5: origins.m.secret_access_key_file = "empty": is an empty file',
        'h.toml:9: origins.n.access_key_id_file = "binary": can\'t be read: is not text',
        (
            'h.toml:10: origins.n.secret_access_key = "********": '
            "expected ASCII characters without spaces or line breaks"
        ),
        (
            'h.toml:12: origins.n.session_token_file = "two": can\'t go with '
            "origins.n.session_token at h.toml:11: expected one of the two"
        ),
    ]


def test_a_written_secret_is_warned_of_where_everyone_may_read_it(tmp_path: Path) -> None:
    text = f'{S3}access_key_id = "a"\nsecret_access_key = "hunter2"\n'
    file = write(tmp_path, text)
    assert load([file], {}).warnings == ()
    file.chmod(0o644)
    assert load([file], {}).warnings == (
        (
            f'{file}:5: origins.m.secret_access_key = "********": '
            "a secret in a file that everyone may read"
        ),
    )
    assert load([file], {}, ["origins.m.secret_access_key=x"]).warnings == ()


def tls(certificate: str, key: str) -> str:
    return f'{ORIGIN}[server.tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'


def test_a_certificate_with_its_key(tmp_path: Path) -> None:
    certificates(tmp_path, "a")
    found = load_text(tmp_path, tls("a.pem", "a-key.pem")).settings.server.tls
    assert found is not None
    assert (found.certificate, found.key) == (tmp_path / "a.pem", tmp_path / "a-key.pem")
    assert found.bind == ("127.0.0.1:8443",)


def test_certificates_that_cannot_be_used(tmp_path: Path) -> None:
    certificates(tmp_path, "a")
    certificates(tmp_path, "b")
    (tmp_path / "no.pem").write_text("no certificate")
    absent = "can't be read: No such file or directory"
    assert faults(tmp_path, tls("x.pem", "y.pem")) == [
        f'h.toml:5: server.tls.certificate = "x.pem": {absent}',
        f'h.toml:6: server.tls.key = "y.pem": {absent}',
    ]
    assert faults(tmp_path, tls("a.pem", "b-key.pem")) == [
        'h.toml:5: server.tls.certificate = "a.pem": does not belong to the key in "b-key.pem"'
    ]
    assert faults(tmp_path, tls("no.pem", "a-key.pem")) == [
        (
            'h.toml:5: server.tls.certificate = "no.pem": '
            'expected a PEM certificate with its key, without a passphrase, in "a-key.pem"'
        )
    ]


def test_http3_needs_what_is_optional(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = certificates(tmp_path, "one")
    tls = f'[server.tls]\ncertificate = "{certificate}"\nkey = "{key}"\nhttp3 = true\n'
    loaded = load_text(tmp_path, tls + ORIGIN).settings.server.tls
    assert loaded is not None
    assert (loaded.http3, loaded.http3_port, loaded.http3_max_age) == (True, 0, 86400)
    monkeypatch.setattr("proxy.config.files.find_spec", lambda name: None)
    (fault,) = faults(tmp_path, tls + ORIGIN)
    assert "h.toml:4: server.tls.http3 = true" in fault
    assert "needs packages that are not installed: install them with `just extras`" in fault
    assert load_text(tmp_path, tls.replace("true", "false") + ORIGIN).warnings == ()


def test_authorities(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "no.pem").write_text("none")
    load_text(tmp_path, f'{S3}ca_bundle = "ca.pem"\n')
    assert faults(tmp_path, f'{S3}ca_bundle = "no.pem"\n') == [
        (
            'h.toml:4: origins.m.ca_bundle = "no.pem": '
            "expected a PEM file with certificates of authorities"
        )
    ]
    assert faults(tmp_path, f'{S3}ca_bundle = "x.pem"\n') == [
        'h.toml:4: origins.m.ca_bundle = "x.pem": can\'t be read: No such file or directory'
    ]
