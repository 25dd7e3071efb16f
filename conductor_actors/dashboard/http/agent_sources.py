"""What the conductor's API answers from, and where it writes."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from conductor_actors.dashboard.access.auth import Denied
from conductor_actors.dashboard.agent_bodies import SessionAgent
from conductor_actors.dashboard.http.given_commands import GivenCommands
from conductor_actors.dashboard.scores.decision_records import is_newer, stored_decision
from conductor_actors.dashboard.scores.live_scores import LiveScores
from conductor_actors.dashboard.scores.stored_interventions import StoredInterventions
from conductor_actors.domain.conductor.interventions import AgentState, Mode
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import Overloaded, Unavailable
from conductor_actors.ports import Clock
from conductor_actors.wire.intervention_bodies import DecisionBody
from conductor_actors.wire.updates import timestamp


class AgentSources(NamedTuple):
    """The sources of the answers, the commands, and whether there is a conductor.

    When `settle` returns, the mode of a session is known, if it is live.
    """

    live: LiveScores
    stored: StoredInterventions
    commands: GivenCommands
    is_enabled: bool
    wall_clock: Clock
    settle: Callable[[SessionKey], Awaitable[None]]

    def require_conductor(self) -> None:
        """Raise `Denied` if the operator has switched the conductor off."""
        if not self.is_enabled:
            raise Denied(
                409,
                "interventions_disabled",
                "there is no conductor: CONDUCTOR_INTERVENTIONS=false",
            )

    async def decision(self, key: SessionKey, decision_id: str) -> DecisionBody:
        """Return an intervention as it is known now; raise `Denied` if it is not known."""
        live = self.live.decisions.get(key, decision_id)
        try:
            stored = await self.stored.find(key, decision_id)
        except (Unavailable, Overloaded):
            if live is None:
                raise
            return live
        if stored is None and live is None:
            raise Denied(404, "unknown_decision", "nothing is known of this decision")
        record = live if stored is None else stored_decision(stored)
        assert record is not None  # noqa: S101 - one of the two is there
        return live if live is not None and not is_newer(record, live) else record

    async def session_agent(self, key: SessionKey, mode: Mode | None = None) -> SessionAgent:
        """Return what the conductor does in a session, with another mode if one was just set."""
        await self.settle(key)
        decisions = self.live.decisions
        is_live = self.live.sessions.get(key) is not None
        state = decisions.state(key)
        if mode is not None:
            state = AgentState(mode, state.status, state.decision_id)
        is_active = is_live and self.is_enabled and state.mode != "OFF"
        current = await self._current(key) if is_active else None
        changed_ms = decisions.last_changed_ms(key)
        return SessionAgent(
            session_id=key.session_id,
            mode=state.mode if self.is_enabled else "OFF",
            status=state.status if is_active else "IDLE",
            last_activity=None if changed_ms is None else timestamp(changed_ms),
            confidence_score=None if current is None else current.confidence,
            current_decision=current,
            is_active=is_active,
        )

    async def _current(self, key: SessionKey) -> DecisionBody | None:
        """Return the decision that a session's state names; None if that is not known."""
        decisions = self.live.decisions
        named, current = decisions.state(key).decision_id, decisions.current(key)
        if named is None or (current is not None and current.id == named):
            return current
        try:
            stored = await self.stored.find(key, named)
        except (Unavailable, Overloaded):
            return current
        return current if stored is None else stored_decision(stored)
