"""Score a session's signals: score, category and explanation.

Source of the formula: the contract, section 2. Nothing here rounds.
"""

from functools import lru_cache
from math import log
from typing import NamedTuple

import msgspec

from conductor_actors.domain.anomalies.changes import AnomalyChange, ExpectedScore
from conductor_actors.domain.conductor.interventions import AgentState, Intervention
from conductor_actors.domain.gaps import GapMark
from conductor_actors.domain.identity import SessionKey


class Signals(msgspec.Struct, frozen=True, gc=False):
    """The measurements of the window before a tick. Rates are per minute, shares 0…1."""

    chat_msgs_per_min: float
    poll_participation: float
    active_users: int
    total_users: int
    reactions_per_min: float
    user_leave_rate: float


class Contributions(msgspec.Struct, frozen=True, gc=False):
    """What each signal adds to the score; the five add up to it before clamping."""

    chat: float
    poll: float
    active_users: float
    reactions: float
    leave_rate: float

    def total(self) -> float:
        """Return the sum of the five, added from left to right."""
        return self.chat + self.poll + self.active_users + self.reactions + self.leave_rate


class ScoreRow(msgspec.Struct, frozen=True, gc=False):
    """One session at one tick, as it is stored and published. `at_ms` is the tick.

    `gap` is what its window misses. Without joins the audience is unknown, and shares are of the
    users who were active. `expected` is None while the session has no baseline. `anomalies` begin
    or end at this tick. `quiet_until_ms` is 0 unless quiet was arranged until then or later.
    `interventions` changed at this tick; `agent` is None while the conductor has its default mode
    and only watches. After the `is_last` row, the session is over or asleep, unless an event comes
    before the next tick; `active_until_ms` is then the tick after its last event, and 0 before.
    """

    at_ms: int
    tenant_id: str
    session_id: str
    event_id: str
    score: float
    category: str
    signals: Signals
    contributions: Contributions
    gap: GapMark | None = None
    is_audience_known: bool = True
    expected: ExpectedScore | None = None
    anomalies: tuple[AnomalyChange, ...] = ()
    quiet_until_ms: int = 0
    is_chat_open: bool = True
    interventions: tuple[Intervention, ...] = ()
    agent: AgentState | None = None
    is_last: bool = False
    active_until_ms: int = 0

    @property
    def key(self) -> SessionKey:
        """The session that the row is about."""
        return SessionKey(self.tenant_id, self.session_id)


class ExplainedSignal(NamedTuple):
    """How a signal adds to the score: raw value → normalised (0…1) x weight = contribution."""

    signal: str
    raw: float
    normalised: float
    weight: float
    contribution: float


class Scoring(msgspec.Struct, frozen=True):
    """The weights (the leave rate's is subtracted) and the rates that count as 1."""

    chat_weight: float = 0.30
    poll_weight: float = 0.25
    active_users_weight: float = 0.25
    reactions_weight: float = 0.10
    leave_rate_weight: float = 0.10
    chat_max_per_min: float = 20.0
    reactions_max_per_min: float = 10.0

    def contributions(self, signals: Signals) -> Contributions:
        """Return the contribution of each signal."""
        return Contributions(
            self.chat_weight * _normalised_rate(signals.chat_msgs_per_min, self.chat_max_per_min),
            self.poll_weight * signals.poll_participation,
            self.active_users_weight * _active_share(signals),
            self.reactions_weight
            * _normalised_rate(signals.reactions_per_min, self.reactions_max_per_min),
            -self.leave_rate_weight * signals.user_leave_rate,
        )

    def explain(self, signals: Signals) -> tuple[ExplainedSignal, ...]:
        """Return each signal's raw value, normalised value, weight and contribution."""
        added = self.contributions(signals)
        chat = _normalised_rate(signals.chat_msgs_per_min, self.chat_max_per_min)
        reactions = _normalised_rate(signals.reactions_per_min, self.reactions_max_per_min)
        poll, leave = signals.poll_participation, signals.user_leave_rate
        return (
            ExplainedSignal(
                "chat_msgs_per_min", signals.chat_msgs_per_min, chat, self.chat_weight, added.chat
            ),
            ExplainedSignal("poll_participation", poll, poll, self.poll_weight, added.poll),
            ExplainedSignal(
                "active_users",
                signals.active_users,
                _active_share(signals),
                self.active_users_weight,
                added.active_users,
            ),
            ExplainedSignal(
                "reactions_per_min",
                signals.reactions_per_min,
                reactions,
                self.reactions_weight,
                added.reactions,
            ),
            ExplainedSignal(
                "user_leave_rate", leave, leave, -self.leave_rate_weight, added.leave_rate
            ),
        )


def clamped(total: float) -> float:
    """Return a sum of contributions, limited to 0…1."""
    if 0.0 < total < 1.0:  # most often, and three times as fast
        return total
    return min(1.0, max(0.0, total))


def category(score: float) -> str:
    """Return the category of a score."""
    if score >= 0.8:
        return "VERY_HIGH"
    if score >= 0.6:
        return "HIGH"
    if score >= 0.4:
        return "MODERATE"
    if score >= 0.2:
        return "LOW"
    return "VERY_LOW"


@lru_cache(4096)  # of the few counts that a window holds
def _normalised_rate(per_min: float, max_per_min: float) -> float:
    return min(1.0, log(per_min + 1) / log(max_per_min + 1))


def _active_share(signals: Signals) -> float:
    return signals.active_users / signals.total_users if signals.total_users else 0.0
