"""The figures of several detectors side by side, and the bars that they are held against."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from tests.detector.corpus.labels import Incident
from tests.detector.judge import WITHIN_S, Outcome, Verdict, interval, recall


class Group(NamedTuple):
    """Incidents that are counted together."""

    name: str
    has: Callable[[Incident], bool]


def _drops(name: str, least: float, below: float) -> Group:
    return Group(
        f"sudden drop, {name} a minute",
        lambda each: (
            each.type == "SUDDEN_DROP" and each.is_total and least <= each.rate_per_min < below
        ),
    )


HIGH: Final = _drops("≥ 150", 150, float("inf"))
MEDIUM: Final = _drops("40 to 150", 40, 150)
FEW: Final = _drops("20 to 40", 20, 40)
SCARCE: Final = _drops("< 20", 0, 20)
PARTIAL: Final = Group(
    "partial drop", lambda each: each.type == "SUDDEN_DROP" and not each.is_total
)
DECLINE: Final = Group("gradual decline", lambda each: each.type == "GRADUAL_DECLINE")
EXIT: Final = Group("mass exit", lambda each: each.type == "MASS_EXIT")
LOW: Final = Group("low start", lambda each: each.type == "LOW_ENGAGEMENT")
GROUPS: Final = (HIGH, MEDIUM, FEW, SCARCE, PARTIAL, DECLINE, EXIT, LOW)


class Bar(NamedTuple):
    """The share of a group that must be found in time."""

    group: Group
    within_s: int
    least: float


BARS: Final = (
    Bar(HIGH, 10, 0.80),
    Bar(HIGH, 15, 0.93),
    Bar(MEDIUM, 30, 0.90),
    Bar(FEW, 60, 0.80),
    Bar(EXIT, 60, 0.90),
    Bar(LOW, 120, 0.90),
)
MAX_FALSE_ALARMS: Final = 1.0  # in 10 hours
MAX_DUPLICATES: Final = 0.02  # an incident

Rows = list[tuple[str, ...]]


def chosen(verdict: Verdict, group: Group) -> list[Outcome]:
    return [outcome for outcome in verdict.outcomes if group.has(outcome.incident)]


def bars(verdicts: Mapping[str, Verdict]) -> Rows:
    """Return a line for each bar, with a column for each detector."""
    first = next(iter(verdicts.values()))
    rows: Rows = [("", "incidents", "bar", *verdicts)]
    for group, within_s, least in BARS:
        cells = [
            _held(share, share >= least) if share is not None else "-"
            for share in (recall(chosen(each, group), within_s) for each in verdicts.values())
        ]
        name = f"{group.name}, within {within_s} s"
        rows.append((name, str(len(chosen(first, group))), f"≥ {least:.2f}", *cells))
    rows.append(_false_alarms(verdicts))
    cells = [
        _held(each.duplicates(), each.duplicates() <= MAX_DUPLICATES) for each in verdicts.values()
    ]
    count = str(len(first.outcomes))
    rows.append(("duplicates an incident", count, f"≤ {MAX_DUPLICATES}", *cells))
    rows.append(
        ("cost of a tick", "", "", *(f"{each.us_per_tick:.1f} µs" for each in verdicts.values()))
    )
    return rows


def misses(verdict: Verdict) -> list[str]:
    """Return the bars that a detector misses."""
    rows = bars({"detector": verdict})
    return [row[0] for row in rows if row[3].endswith("missed")]


def delays(verdict: Verdict) -> Rows:
    """Return the recall of each group by the delay from the onset."""
    heading = [f"{within_s} s" for within_s in WITHIN_S]
    rows: Rows = [("recall within", "incidents", *heading, "its end", "other type")]
    for group in GROUPS:
        outcomes = chosen(verdict, group)
        shares = [recall(outcomes, within_s) for within_s in (*WITHIN_S, float("inf"))]
        cells = ["-" if share is None else f"{share:.2f}" for share in shares]
        other = sum(outcome.is_mistyped for outcome in outcomes)
        rows.append((group.name, str(len(outcomes)), *cells, str(other)))
    return rows


def causes(verdict: Verdict) -> Rows:
    """Return what false alarms have in common."""
    counts = Counter(
        (
            alarm.type or "",
            ", ".join(alarm.causes) or "none",
            "clean" if alarm.is_clean else "other",
        )
        for alarm in verdict.false_alarms
    )
    rows: Rows = [("false alarm", "during or after", "sessions", "count")]
    return rows + [(*key, str(number)) for key, number in counts.most_common()]


def table(rows: Rows) -> str:
    """Return a Markdown table that also reads well on a terminal."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [rows[0], tuple("-" * width for width in widths), *rows[1:]]
    return "\n".join("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines)


def compact(rows: Rows) -> str:
    """Return a Markdown table without padding."""
    lines: Sequence[tuple[str, ...]] = [rows[0], ("---",) * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _false_alarms(verdicts: Mapping[str, Verdict]) -> tuple[str, ...]:
    cells = []
    for verdict in verdicts.values():
        hours, count = verdict.clean_hours, verdict.clean_false_alarms
        per_10_h = count * 10 / hours if hours else 0.0
        low, high = interval(count, hours)
        text = f"{per_10_h:.2f} ({low:.2f} to {high:.2f})"
        cells.append(f"{text} {'met' if per_10_h <= MAX_FALSE_ALARMS else 'missed'}")
    hours = next(iter(verdicts.values())).clean_hours
    return "false alarms in 10 h", f"{hours:.0f} h", f"≤ {MAX_FALSE_ALARMS:g}", *cells


def _held(value: float, is_met: bool) -> str:
    return f"{value:.2f} {'met' if is_met else 'missed'}"
