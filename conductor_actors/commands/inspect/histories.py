"""What became of single sessions: failures, restarts, quarantine, with their causes.

Bounded: the thousand sessions of which something was said last, twenty incidents of each.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from conductor_actors.commands.inspect.report import Incident, TracedMessage
from conductor_actors.domain.identity import SessionKey
from conductor_actors.log_events import (
    ActorFailed,
    ActorRestarted,
    ActorStarted,
    ActorStopped,
    HandlerSlow,
    MessageTraced,
    SessionQuarantined,
    SessionReleased,
)

MOST_SESSIONS: Final = 1000
MOST_INCIDENTS: Final = 20
MOST_MESSAGES: Final = 5
LONGEST_DETAIL: Final = 500

Told: TypeAlias = (
    ActorStarted
    | ActorStopped
    | ActorFailed
    | ActorRestarted
    | SessionQuarantined
    | SessionReleased
    | HandlerSlow
)

_STATES: Final[dict[type, str]] = {
    ActorStarted: "running",
    ActorStopped: "stopped",
    ActorFailed: "restarting",
    ActorRestarted: "running",
    SessionQuarantined: "quarantined",
    SessionReleased: "running",
}
_ORDINARY: Final = (ActorStarted, ActorStopped)


@dataclass(slots=True)
class SessionHistory:
    """One session's."""

    state: str = "running"
    failures: int = 0
    restarts: int = 0
    last_error: str | None = None
    incidents: deque[Incident] = field(default_factory=lambda: deque(maxlen=MOST_INCIDENTS))

    def take(self, line: Told) -> None:
        """Take what was said of it."""
        self.state = _STATES.get(type(line), self.state)
        self.restarts += isinstance(line, ActorRestarted)
        if isinstance(line, ActorFailed):
            self.failures += 1
            self.last_error = line.error[:LONGEST_DETAIL]
        event = line.event_name()
        self.incidents.append(Incident(line.timestamp, event, _detail(line)))


class Histories:
    """By session. Of one that only came and went nothing is kept, unless it is followed."""

    def __init__(self, followed: SessionKey | None) -> None:
        self.followed = followed
        self._histories: OrderedDict[SessionKey, SessionHistory] = OrderedDict()
        self.restarts = 0
        self._messages: deque[TracedMessage] = deque(maxlen=MOST_MESSAGES)

    def follow(self, followed: SessionKey | None) -> None:
        """Keep all that is said of this session from now on."""
        if followed != self.followed:
            self.followed = followed
            self._messages.clear()

    def messages(self) -> list[TracedMessage]:
        """Give the last messages of the session that is followed, as far as it is traced."""
        return [*self._messages]

    def trace(self, key: SessionKey, line: MessageTraced) -> None:
        """Take what was said of one message."""
        if key == self.followed:
            about = line.kind, line.kinds, line.duration_s, line.score, line.has_failed
            self._messages.append(TracedMessage(line.timestamp, *about))

    def take(self, key: SessionKey, line: Told) -> None:
        """Take a line that names a session."""
        self.restarts += isinstance(line, ActorRestarted)
        if isinstance(line, _ORDINARY) and key not in self._histories and key != self.followed:
            return
        history = self._histories.setdefault(key, SessionHistory())
        history.take(line)
        if key != self.followed:
            self._histories.move_to_end(key)
        if len(self._histories) > MOST_SESSIONS:
            oldest = next(each for each in self._histories if each != self.followed)
            del self._histories[oldest]

    def settle(self, states: dict[SessionKey, str]) -> None:
        """Take the states that were counted, which later incidents change again."""
        for key in states.keys() & self._histories.keys():
            self._histories[key].state = states[key]

    def of(self, key: SessionKey) -> SessionHistory:
        """Give a session's history, be it empty."""
        return self._histories.get(key) or SessionHistory()

    def present(self) -> list[SessionKey]:
        """List the sessions that have a history and still run, or will again."""
        return [key for key, each in self._histories.items() if each.state != "stopped"]


def _detail(line: Told) -> str:
    match line:
        case ActorFailed():
            return line.error[:LONGEST_DETAIL]
        case SessionQuarantined():
            return f"for {line.for_s:g} s"
        case SessionReleased():
            return f"{line.lost_messages} messages lost"
        case HandlerSlow():
            return f"for {line.running_s:g} s"
        case _:
            return ""
