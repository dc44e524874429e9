"""The habits are the same for all servers, and every visit is to an object that is there."""

from __future__ import annotations

from tests.benchmarks.amplification import Row, habits, table


def test_habits_follow_from_the_seed() -> None:
    assert habits(1) == habits(1) != habits(2)


def test_visits_are_inside_their_objects() -> None:
    listed = habits()
    sizes = {key: size for habit in listed for key, size in habit.sizes.items()}
    for visit in (visit for habit in listed for visit in habit.visits):
        if not visit.range:
            continue
        first, _, last = visit.range.removeprefix("bytes=").partition("-")
        start = int(first) if first else sizes[visit.key] - int(last)
        stop = int(last) + 1 if first and last else sizes[visit.key]
        assert 0 <= start < stop <= sizes[visit.key]
        assert visit.read is None or start + visit.read <= stop


def test_table() -> None:
    rows = [Row("a", {"whole": (2_000_000, 1_000_000, 3)}), Row("b", {"whole": (0, 1_000_000, 0)})]
    assert table(rows).splitlines()[2] == "| whole | 1.0 | 2.00 (3 GETs) | 0.00 (0 GETs) |"
