"""A comparison finds every difference between replayed and stored interventions, and no other."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import pytest
from msgspec.structs import replace

from conductor_actors.domain.comparisons.intervention_comparison import (
    InterventionColumns,
    InterventionComparison,
    intervention_record,
)
from conductor_actors.domain.comparisons.row_comparison import Coverage
from conductor_actors.domain.scoring import ScoreRow
from tests.support.interventions import MEASURED, MEASURED_MS, intervention
from tests.support.score_rows import AT_MS, row

TICK_MS = 5000
ALL = Coverage(0, AT_MS + 10**9)
DECIDED = row("a", interventions=(intervention(1),))
OTHER = row("b", interventions=(intervention(2),))
SENT = intervention(1, status="SENT", steps={"APPROVED": AT_MS, "SENT": AT_MS + TICK_MS})
MOVED = row("a", AT_MS + TICK_MS, interventions=(SENT,))
COMPLETED = replace(
    SENT, status="COMPLETED", outcome=MEASURED, steps={**SENT.steps, "COMPLETED": MEASURED_MS}
)
DONE = row("a", MEASURED_MS, interventions=(COMPLETED,))
ROWS = [DECIDED, OTHER, MOVED, DONE]
STORED = [
    intervention_record(DONE, COMPLETED),
    intervention_record(OTHER, intervention(2)),
]


def compared(
    rows: Sequence[ScoreRow], stored: Sequence[InterventionColumns], coverage: Coverage = ALL
) -> InterventionComparison:
    def in_range(first_ms: int, last_ms: int) -> Sequence[InterventionColumns]:
        return [each for each in stored if first_ms <= each.timestamp <= last_ms]

    comparison = InterventionComparison(in_range, coverage)
    for _, tick in groupby(rows, key=lambda each: each.at_ms):
        comparison.add_tick(list(tick))
    comparison.finish(max((each.at_ms for each in rows), default=0))
    return comparison


def counts(found: InterventionComparison) -> tuple[int, int, int, int, int]:
    return found.compared, found.missing, found.different, found.unexpected, found.uncovered


def test_the_same_interventions_are_equal() -> None:
    found = compared(ROWS, STORED)
    assert found.is_equal
    assert counts(found) == (2, 0, 0, 0, 0)


def test_one_that_a_side_lacks_is_missing_or_unexpected() -> None:
    assert counts(compared(ROWS, STORED[1:])) == (1, 1, 0, 0, 0)
    assert counts(compared([row("a"), OTHER], STORED)) == (1, 0, 0, 1, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "FAILED"},
        {"type": "POLL"},
        {"draw": 0.1},
        {"probabilities": ()},
        {"reward": 0.2},
        {"steps": ()},
        {"measured_at": MEASURED_MS + TICK_MS},
        {"censored": "gap"},
        {"event_id": "other"},
    ],
    ids=str,
)
def test_every_column_is_compared(change: dict[str, Any]) -> None:
    found = compared(ROWS, [STORED[0]._replace(**change), STORED[1]])
    assert counts(found) == (2, 0, 1, 0, 0)
    assert found.first == (STORED[0]._replace(**change), STORED[0])


def test_what_changed_after_the_coverage_is_not_compared() -> None:
    until = Coverage(0, AT_MS + TICK_MS)
    assert counts(compared(ROWS, STORED, until)) == (2, 0, 0, 0, 0)
    assert counts(compared(ROWS, STORED, Coverage(0, AT_MS))) == (2, 0, 0, 0, 0)


def test_a_decision_by_a_policy_that_the_recording_lacks_is_not_compared() -> None:
    later = [STORED[0]._replace(policy_version=4, draw=0.1), STORED[1]]
    assert counts(compared(ROWS, later)) == (1, 0, 0, 0, 1)
    earlier = [STORED[0]._replace(policy_version=2), STORED[1]]
    assert counts(compared(ROWS, earlier)) == (2, 0, 1, 0, 0)


def test_sessions_from_before_the_coverage_are_not_compared() -> None:
    before = row("a", AT_MS - TICK_MS)
    found = compared([before, *ROWS], STORED, Coverage(AT_MS, AT_MS + 10**9))
    assert counts(found) == (1, 0, 0, 0, 0)
