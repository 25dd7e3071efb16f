"""What the conductor of a session has decided, or what became of it, as the demo shows it."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from conductor_actors.instants import from_iso
from conductor_actors.ports import PublishedMessage
from conductor_actors.wire.intervention_bodies import DecisionBody, OutcomeBody
from conductor_actors.wire.intervention_messages import (
    decision_of,
    decode_session_event,
    session_channel,
)

MAX_REMEMBERED_DECISIONS: Final = 1000

_CENSORED: Final[Mapping[str | None, str]] = {
    "ended": "the session ended",
    "gap": "events were missed",
    "other_action": "something else was done",
}

_ACTIONS: Final[Mapping[str, str]] = {
    "POLL": "poll",
    "BROADCAST": "message to everybody",
    "NOTIFICATION": "notification of the host",
    "GAMIFICATION": "game",
}


class DecisionNews(NamedTuple):
    """An intervention as it is since a tick."""

    tenant_id: str
    timestamp: str
    decision: DecisionBody

    @property
    def session_id(self) -> str:
        """The session that it is about."""
        return self.decision.session_id

    @property
    def status(self) -> str:
        """What happened to it last, before it was completed."""
        steps = [step for step in self.decision.metadata.steps if step != "COMPLETED"]
        return steps[-1] if steps else self.decision.status


def decode_decision(message: PublishedMessage) -> DecisionNews | None:
    """Return the intervention in a message; None if there is none, or it is invalid."""
    event = decode_session_event(message.body)
    if event is None or session_channel(event.session_id) != message.name:
        return None
    decision = decision_of(event)
    if decision is None or decision.session_id != event.session_id:
        return None
    try:
        from_iso(event.timestamp)
    except ValueError:
        return None
    return DecisionNews(message.tenant, event.timestamp, decision)


class LastDecisions:
    """The newest state of the last interventions, so that only changes are news."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[str, bool]] = {}  # by id, oldest first

    def add(self, news: DecisionNews) -> bool:
        """Add an intervention as it is now; return whether that is news."""
        identity, state = news.decision.id, (news.status, news.decision.outcome is not None)
        is_news = self._states.get(identity) != state
        self._states[identity] = state
        if len(self._states) > MAX_REMEMBERED_DECISIONS:
            del self._states[next(iter(self._states))]
        return is_news


def describe(news: DecisionNews) -> str:
    """Return what was decided, or what became of it, in a few words."""
    decision, outcome = news.decision, news.decision.outcome
    if outcome is not None and outcome.measured_at == news.timestamp:
        return f"outcome of {_what(decision)}: {_outcome(outcome)}"
    action, note = _action(decision), decision.metadata.note
    was_suggested = "SUGGESTED" in decision.metadata.steps
    texts = {
        "HELD": "does nothing for 2 minutes, to learn what happens without an action",
        "SUGGESTED": f"suggests a {action}{_confidence(decision)}: approve it on the page",
        "APPROVED": f"{action} approved"
        if was_suggested
        else f"sends a {action} by itself{_confidence(decision)}",
        "EXECUTED": f"{action} sent, and carried out by the platform",
    }
    because = f": {note}" if note else ""
    return texts.get(news.status, f"{action} {news.status.lower()}{because}")


def _what(decision: DecisionBody) -> str:
    if decision.type == "HOLD":
        return "doing nothing"
    was_sent = "SENT" in decision.metadata.steps or "EXECUTED" in decision.metadata.steps
    return _action(decision) if was_sent else f"a {_action(decision)} that was not sent"


def _action(decision: DecisionBody) -> str:
    return _ACTIONS.get(decision.type, decision.type.lower())


def _outcome(outcome: OutcomeBody) -> str:
    after = outcome.engagement_after
    if after is None:
        censored = outcome.censored if isinstance(outcome.censored, str) else None
        return f"not measured, {_CENSORED.get(censored, 'for an unknown reason')}"
    change = f"{outcome.engagement_before:.0%} before, {after:.0%} after"
    if outcome.reward is None:
        return change
    return f"{change}, {100 * outcome.reward:+.0f} points against what is expected without"


def _confidence(decision: DecisionBody) -> str:
    sure = decision.confidence
    return "" if sure is None else f", {sure:.0%} sure that it helps"
