"""Which checksum is used."""

from __future__ import annotations

import pytest

from proxy.integrity.choice import choose
from proxy.semantics.representation import Algorithm, Checksum


def of(algorithm: Algorithm, *, composite: bool = False) -> Checksum:
    return Checksum(algorithm, b"x", composite)


@pytest.mark.parametrize(
    ("found", "best"),
    [
        ([], None),
        ([of("md5")], 0),
        ([of("md5"), of("crc32")], 1),  # the uploader's choice before an accident of ETags
        ([of("crc32c"), of("crc64nvme")], 1),
        ([of("sha1"), of("sha256")], 1),
        ([of("sha256", composite=True), of("crc32")], 1),  # no question about parts
        ([of("md5", composite=True), of("crc32c", composite=True)], 1),
    ],
)
def test_choice(found: list[Checksum], best: int | None) -> None:
    assert choose(found) is (None if best is None else found[best])
