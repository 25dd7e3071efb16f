"""The messages between actors, and the union of those that each kind of actor receives.

They stand in one module because several actors receive the same ones. All are immutable.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from conductor_actors.actors.latch import Latch
from conductor_actors.actors.runtime.base import ChildFailed, ChildStopped
from conductor_actors.actors.runtime.mailbox import Mailbox, PooledMailbox
from conductor_actors.domain.checkpoints.encoding import Header
from conductor_actors.domain.conductor.directives import NO_DIRECTIVES, DirectivesByTenant
from conductor_actors.domain.conductor.interventions import Intervention
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
from conductor_actors.domain.session_titles import TitleChange
from conductor_actors.domain.ticks import TickPosition, Watermark
from conductor_actors.ports import DeadLetter
from conductor_actors.ports.webhook_port import AttemptResult, WebhookDelivery


@dataclass(frozen=True, slots=True)
class Tick:
    """To every session: add a row for `at_ms`. All earlier events were delivered before.

    `marks` says which rows miss events, `directives` what holds for the sessions of each tenant.
    Rows of a tick that is not live are stored, but not published.
    """

    at_ms: int
    is_live: bool
    sessions: Latch
    marks: GapMarks = field(default_factory=lambda: NO_MARKS)
    directives: DirectivesByTenant = field(default_factory=lambda: NO_DIRECTIVES)


@dataclass(frozen=True, slots=True)
class EventBatch:
    """To a session: events that it has to apply, in order, and the tick that follows them, if any.

    One message for both costs half of two.
    """

    events: Sequence[Event]
    tick: Tick | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """To every session: send your state to `reply_to` if it has changed.

    The last session also sends `AllSnapshotsTaken`. A session that has not changed takes part, so
    that by then all rows of earlier ticks have reached Writer and Publisher.
    """

    number: int
    has_changed: bool
    sessions: Latch
    reply_to: Mailbox
    follows_commit: bool = False  # the snapshot before is durable


@dataclass(frozen=True, slots=True)
class Passivate:
    """To a session: stop, because you are forgotten."""


@dataclass(frozen=True, slots=True)
class CheckForgotten:
    """To a session without an event for its timeout: report your key if you are forgotten.

    A session with connected users is asleep instead.
    """

    at_ms: int
    report: Callable[[SessionKey, int], None]


@dataclass(frozen=True, slots=True)
class Introspect:
    """To the Supervisor: answer this request with a `SendAnswer` to `reply_to`."""

    request: IntrospectionRequest
    reply_to: Mailbox


@dataclass(frozen=True, slots=True)
class Describe:
    """To a session, ahead of its other mail: answer the request with a description of yourself."""

    introspect: Introspect
    supervision: Supervision


SessionMessage: TypeAlias = EventBatch | Tick | Snapshot | CheckForgotten | Passivate | Describe


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
    """From the timer: an interval of the receiver has elapsed."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """To the Router: begin a checkpoint after the current read."""


@dataclass(frozen=True, slots=True)
class Committed:
    """To the Router: checkpoint `number` is durable."""

    number: int


@dataclass(frozen=True, slots=True)
class RequireFull:
    """To the Router: the stored checkpoint is gone; the next one must be full."""


@dataclass(frozen=True, slots=True)
class StartTicking:
    """To the Ticker: the first tick is at `at_ms`, or the next one after it."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class WatermarkReached:
    """To the Ticker: broadcast the ticks that are due by this watermark. The Router waits.

    `now_ms` is the time of the Redis server.
    """

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
    """To Writer and Publisher: rows of many sessions, in order for each session."""

    rows: Sequence[ScoreRow]


@dataclass(frozen=True, slots=True)
class TickScored:
    """To Writer and Publisher: all rows of a tick were sent, so don't wait for more."""


@dataclass(frozen=True, slots=True)
class Undeliverable:
    """To the Publisher: add these to the dead-letter stream."""

    letters: Sequence[DeadLetter]


@dataclass(frozen=True, slots=True)
class Flush:
    """To an actor that stores something: store what you received before, then reply `Flushed`."""

    number: int
    reply_to: Mailbox


@dataclass(frozen=True, slots=True)
class Flushed:
    """To the Checkpointer: actor `by` has stored what it received before flush `number`."""

    number: int
    by: str


@dataclass(frozen=True, slots=True)
class InterventionsChanged:
    """To the Courier: interventions of a session that changed, or are not known to be sent yet."""

    tenant_id: str
    session_id: str
    records: Sequence[Intervention]


@dataclass(frozen=True, slots=True)
class TrialsMeasured:
    """To the Conductor: interventions of a session whose outcome was measured at a tick."""

    tenant_id: str
    session_id: str
    records: Sequence[Intervention]


@dataclass(frozen=True, slots=True)
class Attempted:
    """To the DeliveryActor: an attempt to send a delivery has ended."""

    delivery: WebhookDelivery
    result: AttemptResult


CourierMessage: TypeAlias = InterventionsChanged | IntervalElapsed
ConductorMessage: TypeAlias = TrialsMeasured | IntervalElapsed | Flush
DeliveryMessage: TypeAlias = Attempted | IntervalElapsed


@dataclass(frozen=True, slots=True)
class TitlesChanged:
    """To the TitleWriter: what sessions and events are called, in the order of the entries."""

    changes: Sequence[TitleChange]


TitleWriterMessage: TypeAlias = TitlesChanged | IntervalElapsed | Flush
WriterMessage: TypeAlias = Scored | TickScored | IntervalElapsed | Flush
PublisherMessage: TypeAlias = Scored | TickScored | Undeliverable | IntervalElapsed | Flush


@dataclass(frozen=True, slots=True)
class BarrierPassed:
    """To the Checkpointer: a checkpoint has begun; `ended` are the sessions that it removes."""

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
    """To the Supervisor: start a session's actor, with its state if a checkpoint has one."""

    key: SessionKey
    mailbox: PooledMailbox
    state: SessionState | None = None


@dataclass(frozen=True, slots=True)
class SnapshotQuarantined:
    """To the Supervisor: send a snapshot for a session in quarantine, which receives no mail."""

    mailbox: PooledMailbox
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class RefusedEvents:
    """To the Supervisor: a session refused events that exceed a limit of its tenant."""

    tenant: str
    reason: str
    events: int


@dataclass(frozen=True, slots=True)
class Drain:
    """To the Supervisor: stop every actor, each after the mail that it has."""


@dataclass(frozen=True, slots=True)
class FinishSessions:
    """From the Supervisor to itself: wait for the sessions. `failures` is their number so far."""

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
