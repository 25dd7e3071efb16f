"""Log events of external services and of libraries, the dashboard and the simulation."""

from typing import ClassVar, TypeAlias

from conductor_actors.log_events.log_event import Count, Level, LogEvent, Name, Number


class OutageBegan(LogEvent):
    """A service is unavailable. It is tried again."""

    level: ClassVar[Level] = "warning"
    service: Name
    error: str


class OutageContinues(LogEvent):
    """A service is still unavailable."""

    level: ClassVar[Level] = "warning"
    service: Name
    error: str
    lasted_s: Number


class OutageEnded(LogEvent):
    """A service is available again."""

    service: Name
    lasted_s: Number


class PrimaryLost(LogEvent):
    """The server of a connection to Redis is not the primary any more; the connection is closed.

    `reason` says who reports it: role (the server itself), sentinels, or moved (a node of a
    cluster, which does not own the keys any more).
    """

    level: ClassVar[Level] = "warning"
    reason: Name


class PrimaryChanged(LogEvent):
    """The Sentinels name another server as the primary `primary` than before.

    In a cluster: another node than before owns the slots of that many partitions.
    """

    level: ClassVar[Level] = "warning"
    primary: Name
    address: Name


class RedisOutdated(LogEvent):
    """This Redis is older than recommended; once a process. `advice` says what does not work."""

    level: ClassVar[Level] = "warning"
    version: Name
    advice: str


class RedisClockStepped(LogEvent):
    """Redis' clock differs from real time since the last read, by more than 10 s."""

    level: ClassVar[Level] = "warning"
    by_s: Number


class RedisClockTrusted(LogEvent):
    """Redis' clock is right again, or its step is accepted, which it is after a minute."""

    after_s: Number


class DatabaseConnected(LogEvent):
    """The service has connected to the database. Its edition decides which features are used."""

    edition: Name
    postgresql: Name
    timescaledb: str | None


class ExtensionCreated(LogEvent):
    """The extension TimescaleDB was created in the database."""

    extension: Name


class ExtensionRefused(LogEvent):
    """The extension TimescaleDB can't be created. Plain tables are used."""

    level: ClassVar[Level] = "warning"
    extension: Name
    reason: Name


class DashboardStarted(LogEvent):
    """The dashboard accepts connections."""

    address: Name
    needs_token: bool


class CommandGiven(LogEvent):
    """A person has given a command to a session, or without one to all of the tenant.

    `entry_id` is that of its stream entry, and of an answer to a suggestion that of the suggestion.
    """

    command: Name
    entry_id: Name


class ExportEnded(LogEvent):
    """An export over HTTP has ended.

    `outcome` is completed, client_left, or failed: then its client knows that rows are missing.
    """

    table: Name
    outcome: Name
    rows: Count = 0
    bytes: Count = 0
    duration_s: Number = 0.0


class DashboardStopped(LogEvent):
    """The dashboard has closed every connection."""


class DashboardFailed(LogEvent):
    """The dashboard failed because of a bug. The process ends."""

    level: ClassVar[Level] = "error"


class LibraryComplained(LogEvent):
    """A library logged a warning or an error; once a minute for each place in its code."""

    level: ClassVar[Level] = "warning"
    library: Name
    message: str
    error: str | None
    repeats: Count


class SimulationInterrupted(LogEvent):
    """Redis is unavailable. Simulated events are lost."""

    level: ClassVar[Level] = "warning"
    error: str


class SimulationResumed(LogEvent):
    """Redis is available again. The simulation continues."""


ExternalEvent: TypeAlias = (
    CommandGiven
    | DashboardFailed
    | DashboardStarted
    | DashboardStopped
    | DatabaseConnected
    | ExportEnded
    | ExtensionCreated
    | ExtensionRefused
    | LibraryComplained
    | OutageBegan
    | OutageContinues
    | OutageEnded
    | PrimaryChanged
    | PrimaryLost
    | RedisClockStepped
    | RedisClockTrusted
    | RedisOutdated
    | SimulationInterrupted
    | SimulationResumed
)
