"""A writer swaps an object's versions while others read it; `tests.faults.race` does more reads."""

from __future__ import annotations

import pytest

from tests.faults.control import Faults
from tests.faults.race import race
from tests.faults.servers import GENEROUS, headgate

pytestmark = pytest.mark.servers


async def test_each_body_is_of_one_version(faults: Faults) -> None:
    with headgate(faults, more=GENEROUS) as program:
        ended, swaps = await race(faults, program.url, reads=150, seed=5)
    assert ended["wrong"] == ended["late"] == 0, ended
    assert ended["right"] > 10, ended
    assert ended["broken"] + ended["refused"] > 0, ended
    assert swaps > 10
