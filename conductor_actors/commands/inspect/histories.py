"""What happened to each session: failures, restarts, quarantines, anomalies and interventions.

Memory is bounded: 1000 sessions with the newest incidents, and 20 incidents of each.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias, assert_never, get_args

import msgspec

from conductor_actors.domain.identity import SessionKey
from conductor_actors.log_events import (
    ActorFailed,
    ActorRestarted,
    ActorStarted,
    ActorStopped,
    AnomalyDetected,
    AnomalyOver,
    DecisionMade,
    HandlerSlow,
    InterventionDelivered,
    InterventionGivenUp,
    InterventionMoved,
    InterventionRefused,
    MessageTraced,
    OutcomeMeasured,
    SessionQuarantined,
    SessionReleased,
)

MAX_HISTORIES: Final = 1000
MAX_INCIDENTS: Final = 20
MAX_TRACED_MESSAGES: Final = 5
MAX_DETAIL_CHARS: Final = 500

ConductorEvent: TypeAlias = (
    DecisionMade
    | InterventionMoved
    | InterventionDelivered
    | InterventionGivenUp
    | InterventionRefused
    | OutcomeMeasured
)
SessionEvent: TypeAlias = (
    ActorStarted
    | ActorStopped
    | ActorFailed
    | ActorRestarted
    | SessionQuarantined
    | SessionReleased
    | HandlerSlow
    | AnomalyDetected
    | AnomalyOver
    | ConductorEvent
)

_STATES: Final[dict[type, str]] = {
    ActorStarted: "running",
    ActorStopped: "stopped",
    ActorFailed: "restarting",
    ActorRestarted: "running",
    SessionQuarantined: "quarantined",
    SessionReleased: "running",
}
_ROUTINE_EVENTS: Final = (
    *(ActorStarted, ActorStopped, AnomalyDetected, AnomalyOver),
    *get_args(ConductorEvent),
)


class Incident(msgspec.Struct, frozen=True):
    """An event of one session."""

    at: datetime
    event: str
    detail: str


class TracedMessage(msgspec.Struct, frozen=True):
    """A message that a traced session handled; `kinds` counts the events of a batch."""

    at: datetime
    kind: str
    kinds: dict[str, int]
    duration_s: float
    score: float | None
    has_failed: bool


@dataclass(slots=True)
class SessionHistory:
    """The history of one session."""

    state: str = "running"
    failures: int = 0
    restarts: int = 0
    last_error: str | None = None
    incidents: deque[Incident] = field(default_factory=lambda: deque(maxlen=MAX_INCIDENTS))

    def add(self, event: SessionEvent) -> None:
        """Add an event of this session."""
        self.state = _STATES.get(type(event), self.state)
        self.restarts += isinstance(event, ActorRestarted)
        if isinstance(event, ActorFailed):
            self.failures += 1
            self.last_error = event.error[:MAX_DETAIL_CHARS]
        self.incidents.append(Incident(event.timestamp, event.event_name(), _detail(event)))


class SessionHistories:
    """The history of each session, and the last messages of the followed one.

    A session that only starts, stops and has anomalies has no history, unless it is followed.
    """

    def __init__(self, followed: SessionKey | None) -> None:
        self.followed = followed
        self._histories: OrderedDict[SessionKey, SessionHistory] = OrderedDict()
        self.restarts = 0
        self._messages: deque[TracedMessage] = deque(maxlen=MAX_TRACED_MESSAGES)

    def follow(self, followed: SessionKey | None) -> None:
        """Record every event and message of this session from now on."""
        if followed != self.followed:
            self.followed = followed
            self._messages.clear()

    def messages(self) -> list[TracedMessage]:
        """Return the last messages of the followed session; none if it is not traced."""
        return [*self._messages]

    def add_message(self, key: SessionKey, event: MessageTraced) -> None:
        """Add a message that a session handled."""
        if key == self.followed:
            values = event.kind, event.kinds, event.duration_s, event.score, event.has_failed
            self._messages.append(TracedMessage(event.timestamp, *values))

    def add(self, key: SessionKey, event: SessionEvent) -> None:
        """Add an event of a session."""
        self.restarts += isinstance(event, ActorRestarted)
        if (
            isinstance(event, _ROUTINE_EVENTS)
            and key not in self._histories
            and key != self.followed
        ):
            return
        history = self._histories.setdefault(key, SessionHistory())
        history.add(event)
        if key != self.followed:
            self._histories.move_to_end(key)
        if len(self._histories) > MAX_HISTORIES:
            oldest = next(each for each in self._histories if each != self.followed)
            del self._histories[oldest]

    def set_states(self, states: dict[SessionKey, str]) -> None:
        """Set the states that the service reports."""
        for key in states.keys() & self._histories.keys():
            self._histories[key].state = states[key]

    def stop_all(self) -> None:
        """Record that no session runs any more."""
        for history in self._histories.values():
            history.state = "stopped"

    def of(self, key: SessionKey) -> SessionHistory:
        """Return the history of a session, or an empty one."""
        return self._histories.get(key) or SessionHistory()

    def active_sessions(self) -> list[SessionKey]:
        """Return the sessions that have a history and have not stopped."""
        return [key for key, each in self._histories.items() if each.state != "stopped"]


def _detail(event: SessionEvent) -> str:
    match event:
        case ActorFailed():
            detail = event.error
        case SessionQuarantined():
            detail = f"for {event.for_s:g} s"
        case SessionReleased():
            detail = f"{event.lost_messages} messages lost"
        case HandlerSlow():
            detail = f"for {event.running_s:g} s"
        case AnomalyDetected():
            detail = f"{event.type}: {event.reason}"
        case AnomalyOver():
            detail = f"{event.type} after {event.duration_s:g} s"
        case ActorStarted() | ActorStopped() | ActorRestarted():
            detail = ""
        case _:
            detail = _conductor_detail(event)
    return detail[:MAX_DETAIL_CHARS]


def _conductor_detail(event: ConductorEvent) -> str:
    match event:
        case DecisionMade():
            return f"{event.type} ({event.origin}): {event.reason}"
        case InterventionMoved():
            return f"{event.type} {event.status}{f': {event.note}' if event.note else ''}"
        case InterventionDelivered():
            return f"{event.type} after {event.waited_s:g} s"
        case InterventionGivenUp() | InterventionRefused():
            return f"{event.type}: {event.reason}"
        case OutcomeMeasured():
            measured = f"{event.score_before:g} → {event.score_after:g}, reward {event.reward:+g}"
            return f"{event.type}: {event.censored or measured}"
        case _:
            assert_never(event)
