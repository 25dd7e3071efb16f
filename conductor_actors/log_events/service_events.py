"""Log events of processes: starts, stops, drains, shards and embedded servers."""

from collections.abc import Sequence
from typing import ClassVar

from conductor_actors.log_events.log_event import Count, Level, LogEvent, Name, Number


class ServiceStarted(LogEvent):
    """Events are being read."""

    version: Name
    vocabulary: Count
    tenants: Sequence[str]
    transport: Name


class ServiceStats(LogEvent):
    """What the service is and how it is doing, every 5 s."""

    version: Name
    vocabulary: Count
    uptime_s: Number
    cpu_s: Number


class ServiceStopped(LogEvent):
    """Everything was drained."""

    duration_s: Number
    exit_code: int


class DrainBegan(LogEvent):
    """A stop signal came: nothing more is read."""

    within_s: Number


class DrainIncomplete(LogEvent):
    """The time for draining was up; this is what was left."""

    level: ClassVar[Level] = "error"
    session_messages: Count
    rows: Count
    updates: Count


class ShardStarted(LogEvent):
    """A process of the group begins; or the dashboard's."""

    shard: Name
    pid: Count


class ShardStopped(LogEvent):
    """A process of the group has ended; unless asked to, it is started again."""

    shard: Name
    pid: Count
    exit_code: int


class ShardKilled(LogEvent):
    """A process did not drain within 20 s; what it had not stored is read again."""

    level: ClassVar[Level] = "error"
    shard: Name
    pid: Count


class SessionsReshared(LogEvent):
    """The sessions are now shared by another number of collectors."""

    old_shards: Count
    new_shards: Count
    sessions: Count
    duration_s: Number


class LeaseAwaited(LogEvent):
    """Another process owns the events; this one is a standby."""

    level: ClassVar[Level] = "warning"
    owner: Name
    waited_s: Number


class OwnershipTaken(LogEvent, tag="ownership_lost"):
    """Another process took over the events; this one ends."""

    level: ClassVar[Level] = "warning"
    reason: Name


class MigrationApplied(LogEvent):
    """A migration was applied to the database."""

    name: Name
    duration_s: Number


class ServerStarted(LogEvent):
    """An embedded server answers."""

    server: Name
    pid: Count
    port: Count
    duration_s: Number


class ServerStopped(LogEvent):
    """An embedded server has stopped."""

    server: Name
    pid: Count
    port: Count
    duration_s: Number
    signal: Name


class FolderOpened(LogEvent):
    """A directory was made passable for the account that runs PostgreSQL."""

    level: ClassVar[Level] = "warning"
    path: str


class LogLinesDropped(LogEvent):
    """Lines are missing from the log stream in Redis."""

    level: ClassVar[Level] = "warning"
    lines: Count
