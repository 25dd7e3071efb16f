"""What was measured, what it is held against, and how that looks: a table and a JSON document."""

import statistics
from typing import Any, Final, NamedTuple

from tests.benchmarks.world import Unmeasured, World

RATIO: Final = "x"
HEADING: Final = ("what", "measured", "limit", "ratio", "target", "verdict", "note")


class Bench(NamedTuple):
    """What every family of measurements is given."""

    world: World
    runs: int
    is_quick: bool

    @property
    def few(self) -> int:
        """Say how often to repeat what takes long."""
        return min(3, self.runs)

    @property
    def tick_s(self) -> str:
        """Give a short tick, for what does not depend on its length."""
        return "1" if self.is_quick else "2"

    def not_quick(self) -> None:
        if self.is_quick:
            raise Unmeasured("takes minutes: not with --quick")


class Target(NamedTuple):
    """What a figure, or with the unit x its ratio to the limit, must not be past."""

    bound: float
    unit: str
    is_least: bool = False

    def __str__(self) -> str:
        return f"{'≥' if self.is_least else '≤'} {_number(self.bound)} {self.unit}"

    def verdict(self, value: float) -> str:
        past = self.bound / value if self.is_least else value / self.bound
        return "met" if past <= 1 else f"missed by {past:.2f} {RATIO}"


class Figure(NamedTuple):
    """One line: its runs and, in the same unit, those of the limit measured beside it."""

    what: str
    unit: str = ""
    runs: tuple[float, ...] = ()
    limit: tuple[float, ...] = ()
    target: Target | None = None
    note: str = ""

    @property
    def value(self) -> float:
        return statistics.median(self.runs)

    @property
    def ratio(self) -> float | None:
        return self.value / statistics.median(self.limit) if self.limit else None

    @property
    def ratio_of_least(self) -> float | None:
        return min(self.runs) / min(self.limit) if self.limit else None

    @property
    def verdict(self) -> str:
        if not self.runs:
            return "not measured"
        if self.target is None:
            return ""
        is_of_ratio = self.target.unit == RATIO and self.ratio is not None
        return self.target.verdict(self.ratio if is_of_ratio and self.ratio else self.value)

    def cells(self) -> tuple[str, ...]:
        measured = limit = ratio = ""
        if self.runs:
            measured = f"{_number(self.value)} {self.unit}"
        if self.ratio is not None and self.ratio_of_least is not None:
            limit = f"{_number(statistics.median(self.limit))} {self.unit}"
            ratio = f"{self.ratio:.2f} {RATIO} (least {self.ratio_of_least:.2f})"
        target = str(self.target) if self.target else ""
        return self.what, measured, limit, ratio, target, self.verdict, self.note

    def document(self) -> dict[str, Any]:
        values = {"value": self.value} if self.runs else {}
        ratios = {"ratio": self.ratio, "ratio_of_least": self.ratio_of_least}
        target = {"target": str(self.target) if self.target else None, "verdict": self.verdict}
        return self._asdict() | values | ratios | target


def table(figures: list[Figure]) -> str:
    """Lay the figures out as a Markdown table that also reads well on a terminal."""
    rows = [HEADING, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADING))]
    rows.insert(1, tuple("-" * width for width in widths))
    return "\n".join("| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows)


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
