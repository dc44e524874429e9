"""The configurations that come with Headgate: valid, and together they tell of every option."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.config import Loaded, load
from proxy.config.origins import DirectoryOrigin, S3Origin
from proxy.config.settings import Settings
from proxy.config.table import Table
from tests.config.test_files import certificates

DIRECTORY = Path(__file__).parents[2] / "config"
FILES = sorted(DIRECTORY.glob("*.toml"))


def load_shipped(file: Path, directory: Path) -> Loaded:
    """What a file says, with a certificate of the test's own where it names one."""
    certificate, key = certificates(directory, "a")
    own = [f"server.tls.certificate={certificate}", f"server.tls.key={key}"]
    return load([file], {}, own if "[server.tls]" in file.read_text() else [])


def test_there_are_three() -> None:
    assert [file.name for file in FILES] == ["local.toml", "production.toml", "s3.toml"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_is_valid(file: Path, tmp_path: Path) -> None:
    loaded = load_shipped(file, tmp_path)
    assert loaded.settings.mounts
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    "model", [model for model in Table.__subclasses__() if model is not Settings]
)
def test_every_option_is_told_of(model: type[Table]) -> None:
    text = "\n".join(file.read_text() for file in FILES)
    named = set(re.findall(r"^(?:# )?([a-z][a-z0-9_]*) = ", text, re.MULTILINE))
    headers = set(re.findall(r"^\[+(?:\w+\.)*(\w+)\]+$", text, re.MULTILINE))
    assert set(model.model_fields) - named - headers == set()


def commented_defaults(file: Path) -> str:
    """The file with options that are commented out put to work."""
    return re.sub(r"^# ([a-z][a-z0-9_]* = )", r"\1", file.read_text(), flags=re.MULTILINE)


def test_what_is_commented_out_is_valid_too(tmp_path: Path) -> None:
    text = commented_defaults(DIRECTORY / "local.toml")
    (tmp_path / "local.toml").write_text(text)
    settings = load([tmp_path / "local.toml"], {}).settings
    told = Settings.model_validate({"origins": {"x": {"type": "directory", "root": "/"}}})
    assert (settings.http, settings.log, settings.admin) == (told.http, told.log, told.admin)
    assert settings.flow == told.flow
    assert settings.server.model_dump() == {
        **told.server.model_dump(),
        "graceful_timeout": "5s",  # so that Ctrl-C ends it soon
    }


def test_what_local_serves() -> None:
    settings = load([DIRECTORY / "local.toml"], {}).settings
    origin = settings.origins["sample"]
    assert isinstance(origin, DirectoryOrigin)
    assert origin.root == DIRECTORY.parent / ".local" / "samples"
    (mount,) = settings.mounts
    assert (mount.path, mount.listing, mount.index) == ("/", True, None)


def test_three_settings_make_a_bucket_ones_own() -> None:
    environ = {
        "HEADGATE_ORIGINS__MEDIA__ENDPOINT": "https://store.example",
        "HEADGATE_ORIGINS__MEDIA__BUCKET": "mine",
    }
    media = load([DIRECTORY / "s3.toml"], environ).settings.origins["media"]
    assert isinstance(media, S3Origin)
    assert (media.endpoint, media.bucket) == ("https://store.example", "mine")
    assert media.access_key_id is None
