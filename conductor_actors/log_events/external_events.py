"""Log events of the outside world: servers that are away, the dashboard, the simulation."""

from typing import ClassVar

from conductor_actors.log_events.log_event import Count, Level, LogEvent, Name, Number


class OutageBegan(LogEvent):
    """A service is away; it is tried again."""

    level: ClassVar[Level] = "warning"
    service: Name
    error: str


class OutageContinues(LogEvent):
    """A service is still away."""

    level: ClassVar[Level] = "warning"
    service: Name
    error: str
    lasted_s: Number


class OutageEnded(LogEvent):
    """A service is back."""

    service: Name
    lasted_s: Number


class DatabaseConnected(LogEvent):
    """The database was reached; its edition decides what is used."""

    edition: Name
    postgresql: Name
    timescaledb: str | None


class ExtensionCreated(LogEvent):
    """TimescaleDB was set up in this database."""

    extension: Name


class ExtensionRefused(LogEvent):
    """TimescaleDB can't be set up; plain tables are used."""

    level: ClassVar[Level] = "warning"
    extension: Name
    reason: Name


class DashboardStarted(LogEvent):
    """The dashboard can be opened."""

    address: Name
    needs_token: bool


class DashboardStopped(LogEvent):
    """The dashboard has closed every connection."""


class DashboardFailed(LogEvent):
    """The dashboard died of a bug; the process ends."""

    level: ClassVar[Level] = "error"


class LibraryComplained(LogEvent):
    """A library logged a warning or an error; once a minute for each place."""

    level: ClassVar[Level] = "warning"
    library: Name
    message: str
    error: str | None
    repeats: Count


class SimulationInterrupted(LogEvent):
    """Redis is away: simulated events are lost."""

    level: ClassVar[Level] = "warning"
    error: str


class SimulationResumed(LogEvent):
    """The simulation goes on."""
