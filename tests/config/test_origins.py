from __future__ import annotations

import pytest

from proxy.config.origins import S3Origin


@pytest.mark.parametrize(
    ("endpoint", "addressing"), [(None, "virtual"), ("", "virtual"), ("http://s:1/", "path")]
)
def test_addressing_follows_the_endpoint(endpoint: str | None, addressing: str) -> None:
    table = {"type": "s3", "bucket": "media", "endpoint": endpoint}
    assert S3Origin.model_validate(table).addressing == addressing
    assert S3Origin.model_validate({**table, "addressing": "virtual"}).addressing == "virtual"


@pytest.mark.parametrize(("given", "taken"), [("", ""), ("a", "a/"), ("a/b/", "a/b/")])
def test_a_prefix_is_a_folder(given: str, taken: str) -> None:
    table = {"type": "s3", "bucket": "media", "prefix": given}
    assert S3Origin.model_validate(table).prefix == taken
