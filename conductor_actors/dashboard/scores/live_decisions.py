"""What the conductor does in watched sessions: mode and status, open decisions, and recent ones.

It is known from published messages and updates, and from the database: at the start, after an
outage, and at intervals, because a message may be missed.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from conductor_actors.dashboard.bodies import encode
from conductor_actors.dashboard.scores.decision_records import (
    changed_ms,
    decided_ms,
    expires_ms,
    is_newer,
    stored_decision,
)
from conductor_actors.dashboard.scores.live_sessions import HISTORY_S, SESSION_EXPIRY_S
from conductor_actors.domain.conductor.interventions import AgentState, Mode
from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports import Clock
from conductor_actors.ports.conductor_port import StoredIntervention
from conductor_actors.wire.intervention_bodies import DecisionBody
from conductor_actors.wire.updates import Update

MAX_SUGGESTED_S: Final = 3600.0  # since now; a suggestion expires earlier
OUTCOME_WAIT_S: Final = 150.0  # after a decision, its outcome is known
MAX_DECISIONS_PER_SESSION: Final = 64


class _LiveDecision:
    """A record, encoded, and the kinds of messages about it that subscribers got."""

    def __init__(self, record: DecisionBody, now_s: float) -> None:
        self.reported: set[str] = set()
        self.replace(record, now_s)

    def replace(self, record: DecisionBody, now_s: float) -> None:
        self.record = record
        self.body = encode(record)
        self.decided_ms = decided_ms(record)
        self._suggested_until_ms = expires_ms(record)
        kept_s = min(changed_ms(record) / 1000, now_s) + HISTORY_S
        if record.outcome is None:
            kept_s = max(kept_s, min(self.decided_ms / 1000, now_s) + OUTCOME_WAIT_S + HISTORY_S)
        if self._suggested_until_ms is not None:
            kept_s = max(kept_s, min(self._suggested_until_ms / 1000, now_s + MAX_SUGGESTED_S))
        self.expires_s = kept_s

    def is_open(self, now_s: float) -> bool:
        """Check whether a person can decide it now."""
        return self._suggested_until_ms is not None and self._suggested_until_ms > now_s * 1000


class _LiveConduct:
    """The conductor of one session."""

    def __init__(self, state: AgentState) -> None:
        self.state = state
        self.known_ms = 0  # of the state
        self.updated_s = 0.0
        self.decisions: dict[str, _LiveDecision] = {}


class LiveDecisions:
    """All interventions that are open or changed recently. `clock` returns seconds since 1970.

    `default_mode` is that of sessions for which none was set.
    """

    def __init__(self, clock: Clock, default_mode: Mode) -> None:
        self._clock = clock
        self._default = AgentState(default_mode, "IDLE" if default_mode == "OFF" else "MONITORING")
        self._tenants: dict[str, dict[str, _LiveConduct]] = {}

    @property
    def default_mode(self) -> Mode:
        """The mode of sessions for which none was set."""
        return self._default.mode

    def __len__(self) -> int:
        now_s = self._clock()
        conducts = (conduct for _, conduct in self._sessions())
        return sum(one.is_open(now_s) for each in conducts for one in each.decisions.values())

    def update(self, update: Update) -> bool:
        """Record what an update says; return whether mode, status or decision are others now."""
        tenant_id, session_id, state = update.tenant_id, update.session_id, self._default
        if update.agent is not msgspec.UNSET:
            decision_id = update.agent.decision_id
            known_id = None if decision_id is msgspec.UNSET else decision_id
            state = AgentState(update.agent.mode, update.agent.status, known_id)
        elif session_id not in self._tenants.get(tenant_id, ()):
            return False
        return self.set_state(SessionKey(tenant_id, session_id), state, update.at_ms)

    def set_state(self, key: SessionKey, state: AgentState, at_ms: int) -> bool:
        """Record a session's state at an instant; return whether it is another one now."""
        conduct = self._conduct_or_new(key)
        if at_ms < conduct.known_ms:
            return False
        has_changed = conduct.state != state
        conduct.state, conduct.known_ms, conduct.updated_s = state, at_ms, self._clock()
        return has_changed

    def add(self, tenant: str, record: DecisionBody) -> bool:
        """Add a record, or replace the one that is known; return False if that is as new."""
        decisions = self._conduct_or_new(SessionKey(tenant, record.session_id)).decisions
        known = decisions.get(record.id)
        if known is not None and not is_newer(record, known.record):
            return False
        if known is not None:
            known.replace(record, self._clock())
            return True
        decisions[record.id] = _LiveDecision(record, self._clock())
        if len(decisions) > MAX_DECISIONS_PER_SESSION:
            del decisions[min(decisions, key=lambda each: decisions[each].expires_s)]
        return True

    def report(self, key: SessionKey, decision_id: str, kind: str) -> bool:
        """Record that subscribers get this kind of message; return False if they did before."""
        decision = self._decisions(key).get(decision_id)
        if decision is None:
            return True
        is_first = kind not in decision.reported
        decision.reported.add(kind)
        return is_first

    def merge(self, stored: Sequence[StoredIntervention]) -> list[tuple[str, DecisionBody]]:
        """Add what the database has; return the records that are newer, with their tenants."""
        records = [(one.tenant_id, stored_decision(one)) for one in stored]
        records.sort(key=lambda each: (each[1].timestamp, each[1].id))
        now_s = self._clock()
        live = [each for each in records if _LiveDecision(each[1], now_s).expires_s > now_s]
        return [(tenant, record) for tenant, record in live if self.add(tenant, record)]

    def state(self, key: SessionKey) -> AgentState:
        """Return mode and status of a session that is live."""
        conduct = self._conduct(key)
        return self._default if conduct is None else conduct.state

    def is_default(self, key: SessionKey) -> bool:
        """Check whether a conductor has its default mode and only watches."""
        return self.state(key) == self._default

    def get(self, key: SessionKey, decision_id: str) -> DecisionBody | None:
        """Return an intervention of a session, if it is one of these."""
        decision = self._decisions(key).get(decision_id)
        return None if decision is None else decision.record

    def last_changed_ms(self, key: SessionKey) -> int | None:
        """Return when the conductor of a session last did something, if that is known."""
        return max((changed_ms(one.record) for one in self._decisions(key).values()), default=None)

    def current(self, key: SessionKey) -> DecisionBody | None:
        """Return the decision that the state of a session names, or else one that is open."""
        decisions, now_s = self._decisions(key), self._clock()
        named = decisions.get(self.state(key).decision_id or "")
        opened = [one for one in decisions.values() if one.is_open(now_s)]
        found = named or max(opened, key=lambda one: one.decided_ms, default=None)
        return None if found is None else found.record

    def open(self, tenant: str, session_ids: AbstractSet[str]) -> list[bytes]:
        """Return the open decisions of these sessions of a tenant, oldest first."""
        sessions, now_s = self._tenants.get(tenant, {}), self._clock()
        found = [
            one
            for each in sessions.keys() & session_ids
            for one in sessions[each].decisions.values()
            if one.is_open(now_s)
        ]
        return _bodies(found)

    def recent(self, key: SessionKey) -> list[bytes]:
        """Return a session's decisions that are open or changed recently, oldest first."""
        now_s = self._clock()
        return _bodies(one for one in self._decisions(key).values() if one.expires_s > now_s)

    def recent_of_tenant(
        self, tenant: str, session_ids: AbstractSet[str] | None = None
    ) -> list[bytes]:
        """Return the same of all sessions of a tenant, or of these."""
        sessions, now_s = self._tenants.get(tenant, {}), self._clock()
        listed = sessions.keys() if session_ids is None else sessions.keys() & session_ids
        found = (one for each in listed for one in sessions[each].decisions.values())
        return _bodies(one for one in found if one.expires_s > now_s)

    def forget(self, tenant: str) -> None:
        """Remove all that is known of a tenant."""
        self._tenants.pop(tenant, None)

    def remove_expired(self) -> None:
        """Remove the decisions that are over, and the sessions of which nothing is known."""
        now_s = self._clock()
        for key, conduct in list(self._sessions()):
            decisions = conduct.decisions
            for each in [each for each, one in decisions.items() if one.expires_s <= now_s]:
                del decisions[each]
            is_known = conduct.state != self._default
            if not decisions and not (is_known and conduct.updated_s > now_s - SESSION_EXPIRY_S):
                del self._tenants[key.tenant_id][key.session_id]
        self._tenants = {name: sessions for name, sessions in self._tenants.items() if sessions}

    def _conduct(self, key: SessionKey) -> _LiveConduct | None:
        return self._tenants.get(key.tenant_id, {}).get(key.session_id)

    def _conduct_or_new(self, key: SessionKey) -> _LiveConduct:
        sessions = self._tenants.setdefault(key.tenant_id, {})
        conduct = sessions.get(key.session_id)
        if conduct is None:
            conduct = sessions[key.session_id] = _LiveConduct(self._default)
        return conduct

    def _decisions(self, key: SessionKey) -> dict[str, _LiveDecision]:
        conduct = self._conduct(key)
        return {} if conduct is None else conduct.decisions

    def _sessions(self) -> Iterable[tuple[SessionKey, _LiveConduct]]:
        for tenant_id, sessions in self._tenants.items():
            for session_id, conduct in sessions.items():
                yield SessionKey(tenant_id, session_id), conduct


def _bodies(decisions: Iterable[_LiveDecision]) -> list[bytes]:
    in_order = sorted(decisions, key=lambda one: (one.decided_ms, one.record.id))
    return [one.body for one in in_order]
