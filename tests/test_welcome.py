"""What `headgate serve` says when it is ready."""

from __future__ import annotations

from pathlib import Path

from proxy.config import Settings
from proxy.server.supervisor import Started
from proxy.welcome import welcome

STARTED = Started(("127.0.0.1:8080",), ("127.0.0.1:8443",), "127.0.0.1:9090", (1, 2))


def settings_of(**origin: object) -> Settings:
    return Settings.model_validate({"origins": {"media": origin}})


def test_a_directory(tmp_path: Path) -> None:
    said = welcome(settings_of(type="directory", root=tmp_path), STARTED)
    for words in (
        f"the directory {tmp_path}",
        "http://127.0.0.1:8080/",
        "https://127.0.0.1:8443/",
        "http://127.0.0.1:9090/readyz",
        "curl -i -r 0-99 http://127.0.0.1:8080/KEY",
    ):
        assert words in said
    assert "player.html" not in said
    (tmp_path / "player.html").touch()
    assert "open http://127.0.0.1:8080/player.html" in welcome(
        settings_of(type="directory", root=tmp_path), STARTED
    )


def test_a_bucket_and_no_secret_of_it() -> None:
    secret = {"access_key_id": "AK", "secret_access_key": "hidden"}
    said = welcome(settings_of(type="s3", bucket="films", endpoint="http://s", **secret), STARTED)
    assert "the bucket films at http://s" in said
    assert "hidden" not in said
    assert "AK" not in said


def test_a_socket() -> None:
    started = Started(("unix:/run/h.sock",), (), None, (1,))
    said = welcome(settings_of(type="s3", bucket="films"), started)
    assert "curl --unix-socket /run/h.sock -i http://localhost/" in said
    assert "the bucket films at AWS" in said
