"""Add to a row what the conductor of its session did at its tick."""

from conductor_actors.domain.conducting.session_conductor import SessionConductor
from conductor_actors.domain.conductor.directives import (
    DEFAULT_DIRECTIVES,
    DirectivesByTenant,
)
from conductor_actors.domain.conductor.session_conduct import NO_CONDUCT
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.domain.session_state import SessionState


def with_interventions(
    row: ScoreRow, state: SessionState, directives: DirectivesByTenant
) -> ScoreRow:
    """Return the row with what changed at its tick; each tick is conducted once, in order.

    A conductor that raises is forgotten, with what was open.
    """
    detector, conduct = state.detector, state.conduct
    has_anomaly = bool(row.anomalies) or (detector is not None and detector.anomaly is not None)
    if conduct is None and not has_anomaly and not directives:
        return row
    rules, own = state.rules.conduct, directives.get(row.tenant_id, DEFAULT_DIRECTIVES)
    is_watched = rules.is_enabled and (has_anomaly or row.event_id in own.modes)
    if conduct is None and not is_watched:
        return row
    state.conduct = None
    conductor = SessionConductor(conduct or NO_CONDUCT, row, own, rules)
    after, conducted = conductor.run(has_anomaly=has_anomaly)
    state.conduct = None if after == NO_CONDUCT else after
    return conducted
