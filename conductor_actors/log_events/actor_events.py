"""Log events of actors: starts, failures, statistics and traces."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from conductor_actors.log_events.log_event import Count, Level, LogEvent, Name, Number, TickMs

MAX_ROWS: Final = 1000
MAX_KINDS: Final = 20


class SessionFigures(msgspec.Struct, frozen=True):
    """One session in `session_stats`: its figures of the last 5 s.

    `handled_per_s` counts messages, such as a batch of events or a tick. `busy_share` is the share
    of one thread's time.
    """

    tenant: Name
    session: Name
    state: Name
    mailbox_depth: Count
    handled_per_s: Number
    busy_share: Number
    oldest_s: Number
    refused: Count


class TenantFigures(msgspec.Struct, frozen=True):
    """One tenant in `tenant_stats`: the totals of its sessions."""

    tenant: Name
    sessions: Count
    quarantined: Count
    mailbox_depth: Count
    handled_per_s: Number
    busy_share: Number
    oldest_s: Number
    refused: Count


class ActorStarted(LogEvent):
    """An actor has started."""


class ActorStopped(LogEvent):
    """An actor has stopped, as it was asked to."""


class ActorFailed(LogEvent):
    """An actor failed because of a bug."""

    level: ClassVar[Level] = "error"
    error: str


class ActorRestarted(LogEvent):
    """An actor was restarted with the state from before the failure."""

    level: ClassVar[Level] = "warning"


class RestartsExhausted(LogEvent):
    """An actor or process failed too often; the process ends."""

    level: ClassVar[Level] = "error"
    restarts: Count


class SessionQuarantined(LogEvent):
    """A session failed too often and is not scored for a while."""

    level: ClassVar[Level] = "error"
    for_s: Number


class SessionReleased(LogEvent):
    """The quarantine of a session is over. `lost_messages` were refused meanwhile."""

    level: ClassVar[Level] = "warning"
    lost_messages: Count


class SessionsUnfinished(LogEvent):
    """Sessions did not finish during a drain. `messages` were not handled."""

    level: ClassVar[Level] = "error"
    messages: Count


class HandlerSlow(LogEvent):
    """A session's handler has been running for more than 1 s. `name` is tenant/session."""

    level: ClassVar[Level] = "warning"
    name: Name
    running_s: Number
    stack: str


class ActorStats(LogEvent):
    """The statistics of one kind of actor, every 5 s. `handled` and `failures` are totals.

    Only the kind `session` has `quarantined` and `refused`.
    """

    kind: Name
    count: Count
    mailbox_depth: Count
    handled: Count
    oldest_s: Number
    failures: Count
    quarantined: Count | UnsetType = UNSET
    refused: Count | UnsetType = UNSET


class SessionStats(LogEvent):
    """The number of sessions, and those with the highest figures, every 5 s."""

    in_text: ClassVar[bool] = False
    count: Count
    sessions: Annotated[Sequence[SessionFigures], msgspec.Meta(max_length=MAX_ROWS)]


class TenantStats(LogEvent):
    """The number of tenants with sessions, and the busiest of them, every 5 s."""

    in_text: ClassVar[bool] = False
    count: Count
    tenants: Annotated[Sequence[TenantFigures], msgspec.Meta(max_length=MAX_ROWS)]


class TraceBegan(LogEvent):
    """A trace has begun: every message that the session handles is logged."""

    for_s: Number


class MessageTraced(LogEvent):
    """A traced session has handled a message. Keys of other kinds are null or empty."""

    kind: Name
    events: Count
    kinds: Annotated[dict[Name, Count], msgspec.Meta(max_length=MAX_KINDS)]
    tick_at_ms: TickMs | None
    score: Number | None
    duration_s: Number
    mailbox_depth: Count
    has_failed: bool
    suppressed: Count


class TraceEnded(LogEvent):
    """A trace is over. Of `messages` that were handled, `suppressed` were not logged."""

    messages: Count
    suppressed: Count


ActorEvent: TypeAlias = (
    ActorFailed
    | ActorRestarted
    | ActorStarted
    | ActorStats
    | ActorStopped
    | HandlerSlow
    | MessageTraced
    | RestartsExhausted
    | SessionQuarantined
    | SessionReleased
    | SessionStats
    | SessionsUnfinished
    | TenantStats
    | TraceBegan
    | TraceEnded
)
