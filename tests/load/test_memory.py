from __future__ import annotations

from tests.load.memory import MIB, growth


def held(*mebibytes: float) -> list[dict[str, float]]:
    return [{"t": float(t), "server_memory": one * MIB} for t, one in enumerate(mebibytes)]


def test_settling_is_no_growth() -> None:
    found = growth(held(*([50] * 10), *([100] * 30), *([108] * 20)))
    assert found is not None
    assert not found.fails


def test_memory_that_goes_on_growing_is_seen() -> None:
    found = growth(held(*range(100, 200)))
    assert found is not None
    assert found.fails
    assert str(found) == "130 MiB when settled, 194 MiB at the end"


def test_too_few_samples_say_nothing() -> None:
    assert growth(held(100, 900)) is None
    assert growth([{"t": 1.0}] * 50) is None
