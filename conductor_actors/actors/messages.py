"""Everything actors tell each other. All are frozen: a message is a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

from conductor_actors.actors.mailbox import Mailbox, PooledMailbox
from conductor_actors.domain.events import Event
from conductor_actors.domain.intake import SessionKey
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports import DeadLetter


@dataclass(frozen=True, slots=True)
class EventBatch:
    """To a session: what happened, in order."""

    events: Sequence[Event]


class Countdown:
    """Tell the last of `total` from the others, whichever threads they are on."""

    __slots__ = ("_count", "began_s", "lag_s", "total")

    def __init__(self, total: int, began_s: float, lag_s: float) -> None:
        self.total = total
        self.began_s = began_s
        self.lag_s = lag_s
        self._count = count(1)

    def is_last(self) -> bool:
        """Count one; `next` of a count is one step of the interpreter, so no lock is needed."""
        return next(self._count) == self.total


@dataclass(frozen=True, slots=True)
class Tick:
    """To every session: all events before `at_ms` have been told. Old ticks are not announced."""

    at_ms: int
    is_live: bool
    sessions: Countdown


@dataclass(frozen=True, slots=True)
class Passivate:
    """To a session: nothing was heard of you for your timeout; stop."""


SessionMessage: TypeAlias = EventBatch | Tick | Passivate


@dataclass(frozen=True, slots=True)
class ReadNext:
    """To the Router, from itself: read again."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """From the Ticker: one of your intervals has passed."""


RouterMessage: TypeAlias = ReadNext | TimePassed


@dataclass(frozen=True, slots=True)
class Scored:
    """To Writer and Publisher: a session's row at a tick."""

    row: ScoreRow


@dataclass(frozen=True, slots=True)
class Undeliverable:
    """To the Publisher: put these into the dead-letter stream."""

    letters: Sequence[DeadLetter]


@dataclass(frozen=True, slots=True)
class Flush:
    """To Writer and Publisher: make durable what came before this, then say so."""

    number: int
    reply_to: Mailbox


@dataclass(frozen=True, slots=True)
class Flushed:
    """To the Checkpointer: everything told to `by` before flush `number` is durable."""

    number: int
    by: str


WriterMessage: TypeAlias = Scored | TimePassed | Flush
PublisherMessage: TypeAlias = Scored | Undeliverable | TimePassed


@dataclass(frozen=True, slots=True)
class StartSession:
    """To the Supervisor: mail is waiting for a session that has no actor yet."""

    key: SessionKey
    mailbox: PooledMailbox


@dataclass(frozen=True, slots=True)
class ActorFailed:
    """To the Supervisor: an actor died of `error`; `legacy` is what its successor inherits."""

    name: str
    mailbox: object
    message: object
    error: BaseException
    legacy: object


@dataclass(frozen=True, slots=True)
class ActorStopped:
    """To the Supervisor: an actor stopped as asked."""

    name: str
    mailbox: object


@dataclass(frozen=True, slots=True)
class Drain:
    """To the Supervisor: stop everything in order, losing nothing."""


@dataclass(frozen=True, slots=True)
class FinishSessions:
    """To the Supervisor, from itself: wait for the sessions; so many had failed by now."""

    failures: int


SupervisorMessage: TypeAlias = (
    StartSession | ActorFailed | ActorStopped | TimePassed | Drain | FinishSessions
)
