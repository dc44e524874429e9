"""What a campaign found, counted by fault and outcome, and as a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.faults.downloads import Ended, Outcome
from tests.faults.drawing import Drawn

OUTCOMES: tuple[Outcome, ...] = ("right", "refused", "broken", "late", "wrong")


@dataclass
class Tally:
    """Outcomes by fault, and of the recoverable and the hidden ones; see `Drawn`.

    `notes` tell of those that should not be; `asked` is for how many the store was asked.
    """

    by_fault: dict[str, Counter[Outcome]] = field(default_factory=dict)
    recoverable: Counter[Outcome] = field(default_factory=Counter)
    hidden: Counter[Outcome] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    asked: int = 0

    def add(self, drawn: Drawn, ended: Ended, where: str) -> None:
        self.by_fault.setdefault(drawn.name, Counter())[ended.outcome] += 1
        if drawn.recoverable:
            self.recoverable[ended.outcome] += 1
        if drawn.hidden:
            self.hidden[ended.outcome] += 1
        bad = ended.outcome == "late" or (ended.outcome == "wrong" and not drawn.hidden)
        bad |= drawn.recoverable and ended.outcome != "right"
        if bad:
            self.notes.append(
                f"{drawn.name}: {ended.outcome} {ended.status} {ended.said} ({where})"
            )

    @property
    def downloads(self) -> int:
        return sum(sum(counts.values()) for counts in self.by_fault.values())

    @property
    def wrong(self) -> int:
        """Complete-looking bodies that are wrong, although something could give them away."""
        return sum(counts["wrong"] for counts in self.by_fault.values()) - self.hidden["wrong"]

    @property
    def recovered(self) -> float:
        """Which share of the downloads with a recoverable fault was complete and correct."""
        total = sum(self.recoverable.values())
        return self.recoverable["right"] / total if total else 1.0


def table(tallies: dict[str, Tally]) -> str:
    """Markdown: a row for each fault, and for each proxy its five counts."""
    names = sorted({name for tally in tallies.values() for name in tally.by_fault})
    head = ["fault", *(f"{proxy}: {' / '.join(OUTCOMES)}" for proxy in tallies)]
    rows = [head, ["---"] * len(head)]
    for name in names:
        cells = [tally.by_fault.get(name, Counter()) for tally in tallies.values()]
        rows.append([name, *(_cell(counts) for counts in cells)])
    totals = [sum(tally.by_fault.values(), Counter()) for tally in tallies.values()]
    rows.append(["**all**", *(_cell(counts) for counts in totals)])
    hidden = [tally.hidden for tally in tallies.values()]
    rows.append(["**of these hidden**", *(_cell(counts) for counts in hidden)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(counts: Counter[Outcome]) -> str:
    cells = [str(counts[outcome]) for outcome in OUTCOMES]
    if counts["wrong"]:
        cells[-1] = f"**{cells[-1]}**"
    return " / ".join(cells)


def summary(proxy: str, tally: Tally, seconds: float) -> str:
    """One line: how it went."""
    hidden, recoverable = sum(tally.hidden.values()), sum(tally.recoverable.values())
    words = [
        f"{proxy}: {tally.downloads} downloads in {seconds:.0f} s",
        f"for {tally.asked} the store was asked",
        f"complete but wrong {tally.wrong}",
        f"with a hidden fault {hidden}, of which wrong {tally.hidden['wrong']}",
        f"with a recoverable fault {recoverable}, of which right {100 * tally.recovered:.2f} %",
    ]
    return "; ".join(words)
