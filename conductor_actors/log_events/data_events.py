"""Log events of the data: events, checkpoints, rows and updates."""

from typing import ClassVar, TypeAlias

from conductor_actors.log_events.log_event import Count, Level, LogEvent, Name, Number, TickMs


class EventsRead(LogEvent):
    """Events were read since the last such line; every second. `lag_s` is how late reading is."""

    level: ClassVar[Level] = "debug"
    entries: Count
    lag_s: Number


class EventsRouted(LogEvent):
    """Events were routed to sessions since the last such line."""

    events: Count
    skipped: Count
    sessions: Count


class EventsInvalid(LogEvent):
    """Invalid events were rejected since the last such line."""

    level: ClassVar[Level] = "warning"
    source: Name
    reason: Name
    events: Count


class MessagesUnreadable(LogEvent):
    """Published updates or anomalies could not be read since the last such line.

    `source` and `reason` are those of the last one.
    """

    level: ClassVar[Level] = "warning"
    source: Name
    reason: Name
    messages: Count


class EventKeysIgnored(LogEvent):
    """An optional key could not be used, and counted as absent, since the last such line."""

    level: ClassVar[Level] = "warning"
    key: Name
    events: Count


class EventsRefused(LogEvent):
    """Events over a limit of their tenant or session were refused since the last such line."""

    level: ClassVar[Level] = "warning"
    reason: Name
    events: Count


class StreamUnreadable(LogEvent):
    """A key with a stream's name is not a stream, and is skipped; every minute.

    `kind` is its type, and `streams` the number of such keys.
    """

    level: ClassVar[Level] = "warning"
    source: Name
    kind: Name
    streams: Count


class StreamReadable(LogEvent):
    """A key that was not a stream is one again, or has been deleted."""

    source: Name
    streams: Count


class TenantIgnored(LogEvent):
    """Events come under names whose prefix is no tenant, and are not read; once a prefix.

    `pattern` is what the names of tenants match.
    """

    level: ClassVar[Level] = "warning"
    prefix: Name
    pattern: Name


class EntriesAhead(LogEvent):
    """Entries of a stream have ids ahead of Redis' clock, and count when they are read.

    Every minute. `ahead_s` is of the last one.
    """

    level: ClassVar[Level] = "warning"
    source: Name
    entries: Count
    ahead_s: Number


class GapDetected(LogEvent):
    """Events were published that were never read. `lost_events` is null if unknown.

    For the reason `clock`, they were read and count at other times than a replay counts them.
    """

    level: ClassVar[Level] = "warning"
    reason: Name
    lost_events: Count | None


class EventsSplit(LogEvent):
    """Events were split into blocks of partitions since the last such line."""

    events: Count
    blocks: Count
    lag_s: Number


class BlocksRewritten(LogEvent):
    """Blocks that readers miss are written again, from `from_ms` on.

    What came in the first `lost_s` can't be read again.
    """

    level: ClassVar[Level] = "warning"
    partitions: Count
    from_ms: Count
    lost_s: Number


class RewindRequested(LogEvent):
    """Blocks of a partition are missing (`hole`) or damaged; the splitter is to write them again.

    Nothing is lost if the events are still in their streams; scores are late until then.
    """

    level: ClassVar[Level] = "warning"
    from_ms: Count
    reason: Name


class BlocksRepeated(LogEvent):
    """Blocks of a partition were written that had been read, as by two splitters; they are dropped.

    Since the last such line, which comes every second at most.
    """

    level: ClassVar[Level] = "debug"
    blocks: Count


class CheckpointAdopted(LogEvent):
    """The checkpoint of a single collector was shared out among the partitions."""

    sessions: Count
    partitions: Count


class CheckpointLoaded(LogEvent):
    """The service resumes from this checkpoint."""

    number: Count
    sessions: Count
    size_bytes: Count
    duration_s: Number


class CheckpointCommitted(LogEvent):
    """A checkpoint was stored: a restart resumes from it."""

    number: Count
    sessions: Count
    ended: Count
    size_bytes: Count
    duration_s: Number


class CheckpointPostponed(LogEvent):
    """A checkpoint was given up. The next one includes its contents."""

    level: ClassVar[Level] = "warning"
    reason: Name


class TickBroadcast(LogEvent):
    """A tick was broadcast to the sessions. `lag_s` is how late that was."""

    level: ClassVar[Level] = "debug"
    tick_at_ms: TickMs
    sessions: Count
    lag_s: Number


class TickCompleted(LogEvent):
    """Every session was scored at a tick. `lag_s` is how late the tick was broadcast."""

    tick_at_ms: TickMs
    sessions: Count
    duration_s: Number
    lag_s: Number


class BatchWritten(LogEvent):
    """A batch of rows was written to the database. `new_rows` were not there before."""

    rows: Count
    new_rows: Count
    duration_s: Number


class RowsSetAside(LogEvent):
    """Rows were moved to the outbox. `reason` is memory (full), flush or stop."""

    rows: Count
    reason: Name


class OutboxFound(LogEvent):
    """The outbox has rows of an earlier process."""

    entries: Count


class OutboxDrained(LogEvent):
    """The rows of the outbox were written to the database."""

    rows: Count
    duration_s: Number


class OutboxEntryUnreadable(LogEvent):
    """An entry of the outbox can't be read, and stays there."""

    level: ClassVar[Level] = "error"
    entry_id: str
    advice: str


class RowsRefused(LogEvent):
    """The database refused rows, which are now dead letters."""

    level: ClassVar[Level] = "error"
    rows: Count
    reason: Name


class RowsExpired(LogEvent):
    """Retention dropped old rows, or chunks of them."""

    dropped: Count
    older_than_days: Number


class LostSessionsEnded(LogEvent):
    """Sessions were ended that had no row for long: their collector was lost before the last."""

    level: ClassVar[Level] = "warning"
    sessions: Count


class SessionsSummarised(LogEvent):
    """The figures of sessions that have ended were stored."""

    sessions: Count
    duration_s: Number


class TitlesStored(LogEvent):
    """Titles of sessions and events were stored."""

    titles: Count


class TitlesSetAside(LogEvent):
    """The database did not take titles; they wait in the outbox."""

    titles: Count


class TitlesRefused(LogEvent):
    """The database refused titles, which are now dead letters."""

    level: ClassVar[Level] = "error"
    titles: Count
    reason: Name


class UpdatesPublished(LogEvent):
    """A batch of updates was published."""

    level: ClassVar[Level] = "debug"
    updates: Count
    duration_s: Number


class UpdatesDropped(LogEvent):
    """Redis was unavailable: updates or dead letters were dropped."""

    level: ClassVar[Level] = "warning"
    updates: Count
    dead_letters: Count


DataEvent: TypeAlias = (
    BatchWritten
    | BlocksRepeated
    | BlocksRewritten
    | CheckpointAdopted
    | CheckpointCommitted
    | CheckpointLoaded
    | CheckpointPostponed
    | EntriesAhead
    | EventKeysIgnored
    | EventsInvalid
    | EventsRead
    | EventsRefused
    | EventsRouted
    | EventsSplit
    | GapDetected
    | LostSessionsEnded
    | MessagesUnreadable
    | OutboxDrained
    | OutboxEntryUnreadable
    | OutboxFound
    | RewindRequested
    | RowsExpired
    | RowsRefused
    | RowsSetAside
    | SessionsSummarised
    | StreamReadable
    | StreamUnreadable
    | TenantIgnored
    | TickBroadcast
    | TickCompleted
    | TitlesRefused
    | TitlesSetAside
    | TitlesStored
    | UpdatesDropped
    | UpdatesPublished
)
