"""The messages between actors. All are frozen: a message is a value."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TypeAlias

from conductor_actors.actors.runtime.base import ChildFailed, ChildStopped
from conductor_actors.actors.runtime.mailbox import Mailbox, PooledMailbox
from conductor_actors.domain.checkpoints import Header
from conductor_actors.domain.events import Event
from conductor_actors.domain.gaps import NO_MARKS, GapMarks
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
    """To a session: its events, in order."""

    events: Sequence[Event]


class Latch:
    """Detect the last of `total` sessions, whichever threads they run on."""

    __slots__ = ("_count", "began_s", "lag_s", "total")

    def __init__(self, total: int, began_s: float, lag_s: float) -> None:
        self.total = total
        self.began_s = began_s
        self.lag_s = lag_s
        self._count = count(1)

    def is_last(self) -> bool:
        """Count one and return whether it was the last.

        `next` of a count is one step of the interpreter, so no lock is needed.
        """
        return next(self._count) == self.total


@dataclass(frozen=True, slots=True)
class Tick:
    """To every session: it has received all events before `at_ms`, except those of `marks`.

    The scores of a tick that is not live are stored, and not published.
    """

    at_ms: int
    is_live: bool
    sessions: Latch
    marks: GapMarks = field(default_factory=lambda: NO_MARKS)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """To every session: send your state as it is now, if it has changed; the last reports the end.

    By then each session has handed over its rows of every earlier tick, changed or not.
    """

    number: int
    has_changed: bool
    sessions: Latch
    reply_to: Mailbox


@dataclass(frozen=True, slots=True)
class Passivate:
    """To a session: there was no event for your timeout; stop."""


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
    """To the Router: the stored checkpoint is gone; the next one must be full."""


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
    """To Writer and Publisher: rows, those of each session in order."""

    rows: Sequence[ScoreRow]


@dataclass(frozen=True, slots=True)
class TickScored:
    """To Writer and Publisher: you have all rows of a tick; no more come before the next."""


@dataclass(frozen=True, slots=True)
class Undeliverable:
    """To the Publisher: add these to the dead-letter stream."""

    letters: Sequence[DeadLetter]


@dataclass(frozen=True, slots=True)
class Flush:
    """To Writer and Publisher: make durable what came before this, then reply `Flushed`."""

    number: int
    reply_to: Mailbox


@dataclass(frozen=True, slots=True)
class Flushed:
    """To the Checkpointer: everything sent to `by` before flush `number` is durable."""

    number: int
    by: str


WriterMessage: TypeAlias = Scored | TickScored | IntervalElapsed | Flush
PublisherMessage: TypeAlias = Scored | TickScored | Undeliverable | IntervalElapsed | Flush


@dataclass(frozen=True, slots=True)
class BarrierPassed:
    """To the Checkpointer: a checkpoint has begun; these sessions ended since the last one."""

    header: Header
    ended: frozenset[SessionKey]
    is_full: bool


@dataclass(frozen=True, slots=True)
class SnapshotTaken:
    """To the Checkpointer: a session's state at the barrier."""

    number: int
    key: SessionKey
    state: bytes


@dataclass(frozen=True, slots=True)
class AllSnapshotsTaken:
    """To the Checkpointer: every session has sent its snapshot for this checkpoint."""

    number: int


CheckpointerMessage: TypeAlias = (
    IntervalElapsed | BarrierPassed | SnapshotTaken | AllSnapshotsTaken | Flushed
)


@dataclass(frozen=True, slots=True)
class StartSession:
    """To the Supervisor: start a session's actor; with a state if it comes from a checkpoint."""

    key: SessionKey
    mailbox: PooledMailbox
    state: SessionState | None = None


@dataclass(frozen=True, slots=True)
class SnapshotQuarantined:
    """To the Supervisor: send the snapshot of a session in quarantine in its place."""

    mailbox: PooledMailbox
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class RefusedEvents:
    """To the Supervisor, from a session: events were over a limit that the session enforces."""

    tenant: str
    reason: str
    events: int


@dataclass(frozen=True, slots=True)
class Drain:
    """To the Supervisor: stop every actor in order, losing nothing."""


@dataclass(frozen=True, slots=True)
class FinishSessions:
    """To the Supervisor, from itself: wait for the sessions; `failures` counts those by now."""

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
