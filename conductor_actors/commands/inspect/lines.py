"""The log lines that the inspection understands, as types: a part of the vocabulary.

A log is hostile: it may be cut, mixed with anything else, or made up. What does not fit these
types and bounds is no line.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, TypeAlias, get_args

import msgspec

from conductor_actors.log_events import VOCABULARY

LONGEST_BYTES: Final = 1 << 18
MOST_ROWS: Final = 1000
MOST_KINDS: Final = 20

Name = Annotated[str, msgspec.Meta(max_length=512)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Figure = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]


class Line(msgspec.Struct, tag_field="event"):
    """What every line has."""

    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    actor: Name = ""
    tenant: Name = ""
    session: Name = ""


class ServiceStarted(Line, tag="service_started", kw_only=True):
    """Events are being read."""

    version: Name
    vocabulary: Count = 0


class ServiceStats(Line, tag="service_stats", kw_only=True):
    """What the service is and how it is doing."""

    version: Name
    vocabulary: Count
    uptime_s: Figure
    cpu_s: Figure


class DrainBegan(Line, tag="drain_began"):
    """Nothing more is read."""


class ServiceStopped(Line, tag="service_stopped"):
    """Everything was drained."""


class ActorStarted(Line, tag="actor_started"):
    """An actor begins its life."""


class ActorStopped(Line, tag="actor_stopped"):
    """An actor stopped as asked."""


class ActorFailed(Line, tag="actor_failed"):
    """An actor died of a bug."""

    error: str = ""


class ActorRestarted(Line, tag="actor_restarted"):
    """It goes on."""


class RestartsExhausted(Line, tag="restarts_exhausted"):
    """It failed too often; the process ends."""


class SessionQuarantined(Line, tag="session_quarantined"):
    """A session is left alone."""

    for_s: Figure = 0.0


class SessionReleased(Line, tag="session_released"):
    """Its quarantine is over."""

    lost_messages: Count = 0


class HandlerSlow(Line, tag="handler_slow", kw_only=True):
    """A session has been on its thread for long."""

    name: Name
    running_s: Figure


class MessageTraced(Line, tag="message_traced", kw_only=True):
    """A session that is traced handled a message."""

    kind: Name
    kinds: Annotated[dict[Name, Count], msgspec.Meta(max_length=MOST_KINDS)] = {}
    duration_s: Figure = 0.0
    score: Figure | None = None
    mailbox_depth: Count = 0
    has_failed: bool = False
    suppressed: Count = 0


class ActorStats(Line, tag="actor_stats", kw_only=True):
    """How a kind of actor is doing. `handled` and `failures` count from its start."""

    kind: Name
    count: Count
    mailbox_depth: Count
    handled: Count
    oldest_s: Figure
    failures: Count
    quarantined: Count = 0


class SessionRow(msgspec.Struct, frozen=True):
    """One session in `session_stats`."""

    tenant: Name
    session: Name
    state: Name
    mailbox_depth: Count
    handled_per_s: Figure
    busy_share: Figure
    oldest_s: Figure
    refused: Count


class SessionStats(Line, tag="session_stats", kw_only=True):
    """The sessions most worth a look, of so many."""

    count: Count
    sessions: Annotated[Sequence[SessionRow], msgspec.Meta(max_length=MOST_ROWS)]


class TenantRow(msgspec.Struct, frozen=True):
    """One tenant in `tenant_stats`."""

    tenant: Name
    sessions: Count
    quarantined: Count
    mailbox_depth: Count
    handled_per_s: Figure
    busy_share: Figure
    oldest_s: Figure
    refused: Count


class TenantStats(Line, tag="tenant_stats", kw_only=True):
    """The busiest tenants, of so many."""

    count: Count
    tenants: Annotated[Sequence[TenantRow], msgspec.Meta(max_length=MOST_ROWS)]


class EventsRouted(Line, tag="events_routed", kw_only=True):
    """How many events were read since the last such line."""

    events: Count


class EventsInvalid(Line, tag="events_invalid", kw_only=True):
    """How many of them were none."""

    events: Count


class GapDetected(Line, tag="gap_detected", kw_only=True):
    """Events were never read; how many is not always known."""

    lost_events: Count | None = None


class TickCompleted(Line, tag="tick_completed", kw_only=True):
    """Every session was scored."""

    tick_at_ms: Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]
    sessions: Count
    duration_s: Figure
    lag_s: Figure


class BatchWritten(Line, tag="batch_written", kw_only=True):
    """Rows were stored."""

    rows: Count


class RowsRefused(Line, tag="rows_refused", kw_only=True):
    """Rows that can't be stored."""

    rows: Count


class UpdatesDropped(Line, tag="updates_dropped", kw_only=True):
    """Updates that came to nobody."""

    updates: Count


class LogLinesDropped(Line, tag="log_lines_dropped", kw_only=True):
    """Lines that are missing here."""

    lines: Count


class OutageBegan(Line, tag="outage_began", kw_only=True):
    """A service is away."""

    service: Name
    error: str = ""


class OutageContinues(Line, tag="outage_continues", kw_only=True):
    """It is still away."""

    service: Name
    error: str = ""
    lasted_s: Figure = 0.0


class OutageEnded(Line, tag="outage_ended", kw_only=True):
    """It is back."""

    service: Name


AnyLine: TypeAlias = (
    ServiceStarted
    | ServiceStats
    | DrainBegan
    | ServiceStopped
    | ActorStarted
    | ActorStopped
    | ActorFailed
    | ActorRestarted
    | RestartsExhausted
    | SessionQuarantined
    | SessionReleased
    | HandlerSlow
    | MessageTraced
    | ActorStats
    | SessionStats
    | TenantStats
    | EventsRouted
    | EventsInvalid
    | GapDetected
    | TickCompleted
    | BatchWritten
    | RowsRefused
    | UpdatesDropped
    | LogLinesDropped
    | OutageBegan
    | OutageContinues
    | OutageEnded
)

_line: Final[msgspec.json.Decoder[AnyLine]] = msgspec.json.Decoder(AnyLine)


class _Other(msgspec.Struct):
    """A line of the vocabulary that says nothing that is shown."""

    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    event: str


_other: Final = msgspec.json.Decoder(_Other)


def line_of(text: bytes) -> AnyLine | None:
    """Read a line, whatever stands before its brace; None if there is nothing to be learned.

    Raises `ValueError` if it is no line of ours.
    """
    begin = text.find(b"{")
    if begin < 0 or len(text) > LONGEST_BYTES:
        raise ValueError
    try:
        return _line.decode(text[begin:])
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        _require_known(text[begin:], error)
        return None


def _require_known(text: bytes, error: Exception) -> None:
    """Pass lines that the vocabulary lists and the types above don't."""
    try:
        event = _other.decode(text).event
    except (ValueError, RecursionError):
        raise ValueError from None
    if event not in VOCABULARY or event in _SHOWN:
        raise ValueError from error


_SHOWN: Final = frozenset(str(kind.__struct_config__.tag) for kind in get_args(AnyLine))
