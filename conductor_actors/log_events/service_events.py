"""Log events of processes: starts, stops, drains and embedded servers."""

from collections.abc import Sequence
from typing import ClassVar, TypeAlias

from conductor_actors.log_events.log_event import Count, Level, LogEvent, Name, Number


class ServiceStarted(LogEvent):
    """The service has started, and reads events. `compiled`: its hot path is not pure Python."""

    version: Name
    vocabulary: Count
    tenants: Sequence[str]
    transport: Name
    compiled: bool = False


class PartitionStarted(LogEvent):
    """The collector of a partition has its lease and continues from its last checkpoint."""


class PartitionEnded(LogEvent):
    """The collector of a partition has drained (exit code 0), or failed for the reason."""

    exit_code: int
    reason: str = ""


class SplitterStarted(LogEvent):
    """The splitter has its lease, and continues where `frontier_ms` says; 0: at the start."""

    partitions: Count
    frontier_ms: Count


class SplitterStopped(LogEvent):
    """The splitter has stopped, after its last checkpoint."""


class VariableIgnored(LogEvent):
    """An environment variable `CONDUCTOR_*` is no setting. `nearest` is the most similar one."""

    level: ClassVar[Level] = "warning"
    variable: Name
    nearest: str | None


class ServiceStats(LogEvent):
    """The version, age and CPU time of the process, every 5 s."""

    version: Name
    vocabulary: Count
    uptime_s: Number
    cpu_s: Number


class ServiceStopped(LogEvent):
    """The service has stopped. `duration_s` is the time since the stop signal."""

    duration_s: Number
    exit_code: int


class DrainBegan(LogEvent):
    """The service received a stop signal, and reads no more events."""

    within_s: Number


class DrainIncomplete(LogEvent):
    """The time for the drain is over. These messages, rows and updates are left."""

    level: ClassVar[Level] = "error"
    session_messages: Count
    rows: Count
    updates: Count


class NamesShared(LogEvent):
    """The Redis database has a number other than 0, and there is no namespace.

    Pub/sub knows no database number: services in other databases receive each other's messages.
    """

    level: ClassVar[Level] = "warning"
    database: Count
    advice: str


class LeaseAwaited(LogEvent):
    """Another process owns the events. This one is a standby."""

    level: ClassVar[Level] = "warning"
    owner: Name
    waited_s: Number


class OwnershipTaken(LogEvent, tag="ownership_lost"):
    """Another process has taken over the events. This one ends."""

    level: ClassVar[Level] = "warning"
    reason: Name


class TicksStalled(LogEvent):
    """No tick was made for 30 s, although it could. This process gives up the lease and ends.

    `stacks` are those of its threads.
    """

    level: ClassVar[Level] = "error"
    stalled_s: Number
    stacks: str


class MigrationApplied(LogEvent):
    """A migration was applied to the database."""

    name: Name
    duration_s: Number


class ServerStarted(LogEvent):
    """An embedded server accepts connections."""

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
    """The account that runs PostgreSQL was permitted to enter a directory."""

    level: ClassVar[Level] = "warning"
    path: str


class LogLinesDropped(LogEvent):
    """Lines were dropped, because `output` accepted none for long: redis or stdout."""

    level: ClassVar[Level] = "warning"
    lines: Count
    output: Name = "redis"


ServiceEvent: TypeAlias = (
    DrainBegan
    | DrainIncomplete
    | FolderOpened
    | LeaseAwaited
    | LogLinesDropped
    | MigrationApplied
    | NamesShared
    | OwnershipTaken
    | PartitionEnded
    | PartitionStarted
    | ServerStarted
    | ServerStopped
    | SplitterStarted
    | SplitterStopped
    | ServiceStarted
    | ServiceStats
    | ServiceStopped
    | TicksStalled
    | VariableIgnored
)
