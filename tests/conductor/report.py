"""The table: what each scenario gave, against its bar."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from tests.conductor.game import BANDIT, PRODUCT, SEMI_AUTO, Repetition
from tests.conductor.limits import Conducted
from tests.conductor.summary import Share, calibration, coverage, regret_share

Results: TypeAlias = Mapping[str, Sequence[Repetition]]

MAX_REGRET: Final = {"typical": 0.55, "strong": 0.45, "all harmful": 0.85}  # after EARLY decisions
EARLY: Final = 200
LATE: Final = 400
COVERAGE: Final = (0.93, 0.985)
MIN_P: Final = 0.01
ALL: Final = "all"

PLAYERS: Final = (SEMI_AUTO, BANDIT)
HEADER: Final = (
    "regret / random's",
    f"{PRODUCT}, {EARLY} decisions",
    f"{LATE}",
    *(text for name in PLAYERS for text in (f"{name}, {EARLY}", f"{LATE}")),
    "95 % intervals",
    "of them cover",
    "mean width",
    "draws as logged, p",
)


def rows(results: Results) -> list[tuple[str, ...]]:
    """Return the table; errors after ± are standard errors, from the number of repetitions."""
    total = [each for repetitions in results.values() for each in repetitions]
    table: list[tuple[str, ...]] = [HEADER]
    table += [_row(name, repetitions) for name, repetitions in results.items()]
    return [*table, (ALL, *[""] * (2 + 2 * len(PLAYERS)), *_statistics(total))]


def limits_text(conducted: Conducted) -> str:
    """Return what was conducted, and how often a limit was violated."""
    found = ", ".join(f"{what}: {count}" for what, count in conducted.violations.items())
    return (
        f"{conducted.decisions:,} decisions in sessions with impatient people, {conducted.sent:,} "
        f"actions sent: {conducted.violations.total()} violations of limits"
        f"{f' ({found})' if found else ''} (0: {_verdict(not found)})"
    )


def _row(name: str, repetitions: Sequence[Repetition]) -> tuple[str, ...]:
    bar = MAX_REGRET.get(name)
    early = regret_share(repetitions, PRODUCT, EARLY)
    verdict = f" (≤ {bar}: {_verdict(early.value <= bar)})" if bar else ""
    return (
        name,
        f"{_text(early)}{verdict}",
        _text(regret_share(repetitions, PRODUCT, LATE)),
        *(
            _text(regret_share(repetitions, player, decisions))
            for player in PLAYERS
            for decisions in (EARLY, LATE)
        ),
        *_statistics(repetitions),
    )


def _statistics(repetitions: Sequence[Repetition]) -> tuple[str, ...]:
    low, high = COVERAGE
    covering = coverage(repetitions)
    widths = [interval.width for each in repetitions for interval in each.intervals]
    p_value = calibration(repetitions).p_value
    return (
        f"{len(widths)}",
        f"{_text(covering)} ({low} to {high}: {_verdict(low <= covering.value <= high)})",
        f"{sum(widths) / len(widths):.3f}",
        f"{p_value:.2f} (> {MIN_P}: {_verdict(p_value > MIN_P)})",
    )


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "missed"


def _text(share: Share) -> str:
    return f"{share.value:.3f} ± {share.error:.3f}"
