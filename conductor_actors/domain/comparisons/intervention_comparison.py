"""Compare what a replay decides, and what it measures, with the stored interventions."""

from typing import NamedTuple, TypeAlias

from conductor_actors.domain.comparisons.change_comparison import (
    ChangeComparison,
    ChangeDifference,
    StoredChanges,
)
from conductor_actors.domain.comparisons.row_comparison import Coverage
from conductor_actors.domain.conductor.interventions import STATUS_RANKS, Choice, Intervention
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import ScoreRow


class InterventionColumns(NamedTuple):
    """An intervention as columns, with its times in milliseconds since 1970.

    `timestamp` is the tick of the decision. What belongs to a random choice is None if a person
    decided, and what belongs to an outcome is None until there is one.
    """

    timestamp: int
    tenant_id: str
    session_id: str
    id: str
    event_id: str
    type: str
    origin: str | None
    status: str
    confidence: float | None
    reasoning: str | None
    steps: tuple[tuple[str, int], ...]
    anomaly_id: str | None
    anomaly_type: str | None
    policy_version: int | None
    probabilities: tuple[tuple[str, int], ...]
    draw: float | None
    engagement_before: float | None
    engagement_after: float | None = None
    reward: float | None = None
    censored: str | None = None
    measured_at: int | None = None

    @property
    def key(self) -> SessionKey:
        """The session that has the intervention."""
        return SessionKey(self.tenant_id, self.session_id)


StoredInterventions: TypeAlias = StoredChanges[InterventionColumns]
InterventionDifference: TypeAlias = ChangeDifference[InterventionColumns]


class InterventionComparison(ChangeComparison[InterventionColumns]):
    """Compares interventions.

    `uncovered` counts decisions by a version of the policy that the recording does not have,
    because few versions are kept: they are not compared.
    """

    def __init__(self, stored: StoredInterventions, coverage: Coverage) -> None:
        super().__init__(stored, coverage)
        self.uncovered = 0

    def _add(self, row: ScoreRow) -> None:
        for record in row.interventions:
            self._replayed[record.id] = intervention_record(row, record)

    def _covered(self, stored: InterventionColumns) -> InterventionColumns:
        until_ms = self._coverage.until_ms
        steps = tuple(step for step in stored.steps if step[1] <= until_ms)
        if steps and steps != stored.steps:
            newest = max((name for name, _ in steps), key=_rank)
            stored = stored._replace(steps=steps, status=newest)
        if stored.measured_at is not None and stored.measured_at > until_ms:
            return stored._replace(
                engagement_after=None, reward=None, censored=None, measured_at=None
            )
        return stored

    def _compare(
        self, stored: InterventionColumns | None, replayed: InterventionColumns | None
    ) -> None:
        versions = [each.policy_version or 0 for each in (stored, replayed) if each is not None]
        if len(versions) == 2 and versions[0] > versions[1]:
            self.uncovered += 1
        else:
            super()._compare(stored, replayed)


def intervention_record(row: ScoreRow, record: Intervention) -> InterventionColumns:
    """Return an intervention of a row as columns."""
    outcome = record.outcome
    columns = InterventionColumns(
        record.at_ms,
        row.tenant_id,
        row.session_id,
        record.id,
        record.event_id,
        record.type,
        record.origin,
        record.status,
        record.confidence,
        record.reasoning,
        tuple(sorted(record.steps.items())),
        *_choice_columns(record.choice),
        record.before,
    )
    if outcome is None:
        return columns
    return columns._replace(
        engagement_after=outcome.after,
        reward=outcome.reward,
        censored=outcome.censored,
        measured_at=outcome.measured_ms,
    )


def _choice_columns(
    choice: Choice | None,
) -> tuple[str | None, str | None, int | None, tuple[tuple[str, int], ...], float | None]:
    if choice is None:
        return None, None, None, (), None
    shares: tuple[tuple[str, int], ...] = tuple(sorted(choice.probabilities.items()))
    return choice.anomaly_id, choice.anomaly_type, choice.policy_version, shares, choice.draw


def _rank(status: str) -> int:
    return next((rank for name, rank in STATUS_RANKS.items() if name == status), -1)
