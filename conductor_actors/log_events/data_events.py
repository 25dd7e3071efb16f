"""Log events of the data on its way: events in, checkpoints, scores out."""

from typing import ClassVar

from conductor_actors.log_events.log_event import Count, Level, LogEvent, Name, Number, TickMs


class EventsRead(LogEvent):
    """What was read since the last such line, and how far reading is behind; every second."""

    level: ClassVar[Level] = "debug"
    entries: Count
    lag_s: Number


class EventsRouted(LogEvent):
    """What was routed since the last such line."""

    events: Count
    skipped: Count
    sessions: Count


class EventsInvalid(LogEvent):
    """Invalid events since the last such line."""

    level: ClassVar[Level] = "warning"
    source: Name
    reason: Name
    events: Count


class EventsRefused(LogEvent):
    """Events over a limit of their tenant or session since the last such line."""

    level: ClassVar[Level] = "warning"
    reason: Name
    events: Count


class StreamUnreadable(LogEvent):
    """A stream's name is taken by another type of key and is skipped; every minute.

    `streams` counts all such names.
    """

    level: ClassVar[Level] = "warning"
    source: Name
    kind: Name
    streams: Count


class StreamReadable(LogEvent):
    """The name is a stream again, or gone."""

    source: Name
    streams: Count


class GapDetected(LogEvent):
    """Events were published that were never read. `lost_events` is null where unknown."""

    level: ClassVar[Level] = "warning"
    reason: Name
    lost_events: Count | None


class CheckpointLoaded(LogEvent):
    """Recovery starts from this checkpoint."""

    number: Count
    sessions: Count
    size_bytes: Count
    duration_s: Number


class CheckpointCommitted(LogEvent):
    """Everything up to this checkpoint is durable."""

    number: Count
    sessions: Count
    ended: Count
    size_bytes: Count
    duration_s: Number


class CheckpointPostponed(LogEvent):
    """A checkpoint was given up; the next one holds what it would have held."""

    level: ClassVar[Level] = "warning"
    reason: Name


class TickCompleted(LogEvent):
    """Every session was scored."""

    tick_at_ms: TickMs
    sessions: Count
    duration_s: Number
    lag_s: Number


class BatchWritten(LogEvent):
    """Rows were stored."""

    rows: Count
    new_rows: Count
    duration_s: Number


class RowsSetAside(LogEvent):
    """Rows were spilled to the outbox: memory is full, a flush is due, or the Writer stops."""

    rows: Count
    reason: Name


class OutboxFound(LogEvent):
    """Rows of an earlier process wait in the outbox."""

    entries: Count


class OutboxDrained(LogEvent):
    """Every row that waited in the outbox is stored."""

    rows: Count
    duration_s: Number


class OutboxEntryUnreadable(LogEvent):
    """An outbox entry can't be read and is left there."""

    level: ClassVar[Level] = "error"
    entry_id: str
    advice: str


class RowsRefused(LogEvent):
    """The database refuses these rows for good."""

    level: ClassVar[Level] = "error"
    rows: Count
    reason: Name


class RowsExpired(LogEvent):
    """Retention dropped rows or chunks."""

    dropped: Count
    older_than_days: Number


class UpdatesPublished(LogEvent):
    """A batch of updates was published."""

    level: ClassVar[Level] = "debug"
    updates: Count
    duration_s: Number


class UpdatesDropped(LogEvent):
    """Redis was away: late updates were dropped."""

    level: ClassVar[Level] = "warning"
    updates: Count
    dead_letters: Count
