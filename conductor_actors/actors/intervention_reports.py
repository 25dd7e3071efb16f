"""Report the interventions of sessions to the log: one line for each change."""

from typing import Final

from conductor_actors.domain.conductor.interventions import (
    MICRO,
    Intervention,
    InterventionStatus,
    MeasuredOutcome,
)
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.log_events import DecisionMade, InterventionMoved, OutcomeMeasured, emit

FIRST_STATUSES: Final[tuple[InterventionStatus, ...]] = ("HELD", "SUGGESTED", "APPROVED")


def report_interventions(row: ScoreRow) -> None:
    """Report what is decided, what has moved on, and what is measured with a row."""
    for record in row.interventions:
        is_new = record.at_ms == row.at_ms
        if is_new:
            _report_decision(row, record)
        has_moved = not is_new or record.status not in FIRST_STATUSES
        if has_moved and record.steps.get(record.status) == row.at_ms:
            _report_move(row, record)
        if record.outcome is not None and record.outcome.measured_ms == row.at_ms:
            _report_outcome(row, record, record.outcome)


def _report_decision(row: ScoreRow, record: Intervention) -> None:
    choice = record.choice
    emit(
        DecisionMade(
            id=record.id,
            type=record.type,
            origin=record.origin,
            tick_at_ms=row.at_ms,
            confidence=round(record.confidence, 4),
            probability=choice.probabilities.get(record.type, 0) / MICRO if choice else 0.0,
            policy_version=choice.policy_version if choice else 0,
            reason=record.reasoning,
        ).of_session(row.tenant_id, row.session_id)
    )


def _report_move(row: ScoreRow, record: Intervention) -> None:
    emit(
        InterventionMoved(
            id=record.id,
            type=record.type,
            status=record.status,
            tick_at_ms=row.at_ms,
            note=record.note or "",
        ).of_session(row.tenant_id, row.session_id)
    )


def _report_outcome(row: ScoreRow, record: Intervention, outcome: MeasuredOutcome) -> None:
    emit(
        OutcomeMeasured(
            id=record.id,
            type=record.type,
            tick_at_ms=row.at_ms,
            score_before=round(outcome.before, 4),
            score_after=round(outcome.after or 0.0, 4),
            reward=round(outcome.reward or 0.0, 4),
            censored=outcome.censored or "",
        ).of_session(row.tenant_id, row.session_id)
    )
