"""Everything actors tell each other. All are frozen: a message is a value."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TypeAlias

from conductor_actors.actors.runtime.mailbox import Mailbox, PooledMailbox
from conductor_actors.domain.checkpoints import Header
from conductor_actors.domain.events import Event
from conductor_actors.domain.gaps import NO_MARKS, Marks
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.introspection_protocol import (
    IntrospectionAnswer,
    IntrospectionRequest,
    Supervision,
)
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.domain.session_state import SessionState
from conductor_actors.domain.ticks import TickPosition, Watermark
from conductor_actors.ports import DeadLetter


@dataclass(frozen=True, slots=True)
class EventBatch:
    """To a session: what happened, in order."""

    events: Sequence[Event]


class Latch:
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
    """To every session: all events before `at_ms` have been told, but those of `marks`.

    Old ticks are not announced.
    """

    at_ms: int
    is_live: bool
    sessions: Latch
    marks: Marks = field(default_factory=lambda: NO_MARKS)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """To every session: tell your state as it is now if it has changed; the last tells the end.

    Each has by then told its rows of every tick before, changed or not.
    """

    number: int
    has_changed: bool
    sessions: Latch
    reply_to: Mailbox


@dataclass(frozen=True, slots=True)
class Passivate:
    """To a session: nothing was heard of you for your timeout; stop."""


@dataclass(frozen=True, slots=True)
class Introspect:
    """To the Supervisor: see that `reply_to` gets a `SendAnswer` for this request."""

    request: IntrospectionRequest
    reply_to: Mailbox


@dataclass(frozen=True, slots=True)
class Describe:
    """To a session, before all its mail: answer the request with a description of yourself."""

    introspect: Introspect
    supervision: Supervision


SessionMessage: TypeAlias = EventBatch | Tick | Snapshot | Passivate | Describe


@dataclass(frozen=True, slots=True)
class ReadNext:
    """From an actor to itself: read again."""


@dataclass(frozen=True, slots=True)
class SendAnswer:
    """To the IntrospectionActor: send this answer."""

    answer: IntrospectionAnswer


IntrospectionMessage: TypeAlias = ReadNext | SendAnswer


@dataclass(frozen=True, slots=True)
class IntervalElapsed:
    """From the timer: one of your intervals has elapsed."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """To the Router: begin a checkpoint behind the next read."""


@dataclass(frozen=True, slots=True)
class Committed:
    """To the Router: checkpoint `number` is durable."""

    number: int


@dataclass(frozen=True, slots=True)
class RequireFull:
    """To the Router: there is no checkpoint any more; the next has to be a whole one."""


@dataclass(frozen=True, slots=True)
class StartTicking:
    """To the Ticker: the first tick is the one at `at_ms` or after it."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class WatermarkReached:
    """To the Ticker: the data has come so far; `now_ms` is Redis' clock. The Router waits."""

    watermark: Watermark
    now_ms: int


TickerMessage: TypeAlias = StartTicking | WatermarkReached


@dataclass(frozen=True, slots=True)
class TicksBroadcast:
    """To the Router: every tick up to this position was broadcast."""

    position: TickPosition


RouterMessage: TypeAlias = (
    ReadNext | TicksBroadcast | IntervalElapsed | Barrier | Committed | RequireFull
)


@dataclass(frozen=True, slots=True)
class Scored:
    """To Writer and Publisher: sessions' rows at a tick, each session's in order."""

    rows: Sequence[ScoreRow]


@dataclass(frozen=True, slots=True)
class TickScored:
    """To Writer and Publisher: you have all rows of a tick, and no more come before the next."""


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


WriterMessage: TypeAlias = Scored | TickScored | IntervalElapsed | Flush
PublisherMessage: TypeAlias = Scored | TickScored | Undeliverable | IntervalElapsed | Flush


@dataclass(frozen=True, slots=True)
class BarrierPassed:
    """To the Checkpointer: a checkpoint has begun; which sessions ended since the last one."""

    header: Header
    ended: frozenset[SessionKey]
    is_full: bool


@dataclass(frozen=True, slots=True)
class SnapshotTaken:
    """To the Checkpointer: a session's state at the cut."""

    number: int
    key: SessionKey
    state: bytes


@dataclass(frozen=True, slots=True)
class AllSnapshotsTaken:
    """To the Checkpointer: nothing more comes for this checkpoint."""

    number: int


CheckpointerMessage: TypeAlias = (
    IntervalElapsed | BarrierPassed | SnapshotTaken | AllSnapshotsTaken | Flushed
)


@dataclass(frozen=True, slots=True)
class StartSession:
    """To the Supervisor: a session has no actor yet. One from a checkpoint has a state."""

    key: SessionKey
    mailbox: PooledMailbox
    state: SessionState | None = None


@dataclass(frozen=True, slots=True)
class SnapshotQuarantined:
    """To the Supervisor: answer in the place of a session that is left alone."""

    mailbox: PooledMailbox
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class ChildFailed:
    """To the Supervisor: an actor died of `error`; `legacy` is what its successor inherits."""

    name: str
    mailbox: object
    message: object
    error: BaseException
    handover: object


@dataclass(frozen=True, slots=True)
class ChildStopped:
    """To the Supervisor: an actor stopped as asked."""

    name: str
    mailbox: object


@dataclass(frozen=True, slots=True)
class RefusedEvents:
    """To the Supervisor, from a session: so many events were over a limit that it keeps itself."""

    tenant: str
    reason: str
    events: int


@dataclass(frozen=True, slots=True)
class Drain:
    """To the Supervisor: stop everything in order, losing nothing."""


@dataclass(frozen=True, slots=True)
class FinishSessions:
    """To the Supervisor, from itself: wait for the sessions; so many had failed by now."""

    failures: int


SupervisorMessage: TypeAlias = (
    StartSession
    | SnapshotQuarantined
    | Introspect
    | ChildFailed
    | ChildStopped
    | RefusedEvents
    | IntervalElapsed
    | Drain
    | FinishSessions
)
