"""A comparison finds every difference between replayed and stored anomalies, and no other."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import pytest
from msgspec.structs import replace

from conductor_actors.domain.comparisons.anomaly_comparison import (
    AnomalyColumns,
    AnomalyComparison,
    AnomalyDifference,
    anomaly_record,
)
from conductor_actors.domain.comparisons.row_comparison import Coverage
from conductor_actors.domain.scoring import ScoreRow
from tests.support.score_rows import AT_MS, began, ended, row

TICK_MS = 5000
ALL = Coverage(0, AT_MS + 10**9)
BEGIN = row("a", anomalies=(began("1"),))
LATER = row("b", AT_MS + TICK_MS, anomalies=(began("2"),))
END = row("a", AT_MS + 2 * TICK_MS, anomalies=(ended("1"),))
ROWS = [BEGIN, LATER, END]
STORED = [
    anomaly_record(BEGIN, began("1"))._replace(ended_at=END.at_ms),
    anomaly_record(LATER, began("2")),
]


def compared(
    rows: Sequence[ScoreRow], stored: Sequence[AnomalyColumns], coverage: Coverage = ALL
) -> AnomalyComparison:
    def in_range(first_ms: int, last_ms: int) -> Sequence[AnomalyColumns]:
        return [each for each in stored if first_ms <= each.timestamp <= last_ms]

    comparison = AnomalyComparison(in_range, coverage)
    for _, tick in groupby(rows, key=lambda each: each.at_ms):
        comparison.add_tick(list(tick))
    comparison.finish(max((each.at_ms for each in rows), default=0))
    return comparison


def counts(found: AnomalyComparison) -> tuple[int, int, int, int]:
    """Return compared, missing, different, unexpected."""
    return found.compared, found.missing, found.different, found.unexpected


def test_the_same_anomalies_are_equal() -> None:
    found = compared(ROWS, STORED)
    assert found.is_equal
    assert counts(found) == (2, 0, 0, 0)


def test_an_anomaly_that_is_not_stored_is_missing() -> None:
    found = compared(ROWS, STORED[1:])
    assert counts(found) == (1, 1, 0, 0)
    assert found.first == AnomalyDifference(None, STORED[0])


def test_a_stored_anomaly_that_is_not_replayed_is_unexpected() -> None:
    found = compared([replace(each, anomalies=()) for each in ROWS], STORED)
    assert counts(found) == (0, 0, 0, 2)
    assert found.first == AnomalyDifference(STORED[0], None)


@pytest.mark.parametrize(
    "change",
    [
        {"severity": "WARNING"},
        {"anomaly_score": 0.91},
        {"deviation": -0.0981},
        {"signals": (12.0, 0.4, 31, 50, 9.0, 0.03)},
        {"onset": AT_MS - 8000},
        {"reason": "3 events in 9 s, 14 were expected."},
        {"ended_at": None},
        {"ended_at": END.at_ms + TICK_MS},
    ],
    ids=str,
)
def test_an_anomaly_with_another_value_is_different(change: dict[str, Any]) -> None:
    other = STORED[0]._replace(**change)
    found = compared(ROWS, [other, STORED[1]])
    assert counts(found) == (2, 0, 1, 0)
    assert found.first == AnomalyDifference(other, STORED[0])


def test_an_end_after_the_covered_ticks_is_not_compared() -> None:
    coverage = Coverage(0, AT_MS + TICK_MS)
    assert compared(ROWS, STORED, coverage).is_equal
    assert compared(ROWS, [STORED[0]._replace(ended_at=None), STORED[1]], coverage).is_equal


def test_anomalies_of_sessions_that_are_not_in_the_recording_are_no_difference() -> None:
    other = STORED[0]._replace(id="3", session_id="other")
    assert counts(compared(ROWS, [*STORED, other])) == (2, 0, 0, 0)


def test_sessions_with_rows_before_the_covered_ticks_are_not_compared() -> None:
    coverage = Coverage(LATER.at_ms, ALL.until_ms)
    again = row("a", AT_MS + 3 * TICK_MS, anomalies=(began("3"),))
    found = compared([*ROWS, again], STORED, coverage)
    assert found.is_equal
    assert counts(found) == (1, 0, 0, 0)


def test_a_session_that_was_forgotten_and_began_anew_is_compared() -> None:
    coverage = Coverage(
        LATER.at_ms, ALL.until_ms, has_older_sessions=False, forgotten_after_ms=60_000
    )
    again = row("a", AT_MS + 120_000, anomalies=(began("3"),))
    found = compared([BEGIN, LATER, again], STORED[1:], coverage)
    assert counts(found) == (1, 1, 0, 0)
