"""The models by themselves: frozen, complete with defaults, quiet about secrets."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from proxy.config import Settings
from proxy.config.table import Table

DIRECTORY = {"type": "directory", "root": "/srv"}


def test_one_origin_is_enough() -> None:
    settings = Settings.model_validate({"origins": {"files": DIRECTORY}})
    assert settings.server.bind == ("127.0.0.1:8080",)
    assert settings.admin.bind == "127.0.0.1:9090"
    assert settings.server.tls is None
    assert (settings.server.keep_alive_timeout, settings.server.max_header_size) == (15.0, 16384)


def test_nothing_changes_later() -> None:
    settings = Settings.model_validate({"origins": {"files": DIRECTORY}})
    with pytest.raises(ValidationError):
        setattr(settings, "server", settings.server)  # noqa: B010  # mypy knows better


def test_no_secret_in_what_is_printed() -> None:
    table = {"type": "s3", "bucket": "m-1", "access_key_id": "a", "secret_access_key": "hunter2"}
    settings = Settings.model_validate({"origins": {"m": table}})
    for text in (repr(settings), str(settings), settings.model_dump_json(), repr(vars(settings))):
        assert "hunter2" not in text
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"origins": {"m": {**table, "secret_access_key": "hunter2 \n"}}})
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value)


def options(model: type[BaseModel] = Settings) -> list[tuple[type[BaseModel], str]]:
    """All options of all models."""
    return [(model, name) for model in Table.__subclasses__() for name in model.model_fields]


def test_every_option_says_what_it_is() -> None:
    silent = [
        (model.__name__, name)
        for model, name in options()
        if not model.model_fields[name].description and model is not Settings
    ]
    assert silent == []
