"""A fold of log lines: what a service is doing, as far as its lines tell. No clock, no I/O."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from conductor_actors.commands.inspect.histories import LONGEST_DETAIL, Histories, Told
from conductor_actors.commands.inspect.lines import read_line
from conductor_actors.commands.inspect.rates import CounterRate, StepRate, WindowRate
from conductor_actors.commands.inspect.report import LastTick, Phase
from conductor_actors.domain.identity import SessionKey
from conductor_actors.instants import to_datetime
from conductor_actors.log_events import (
    ActorFailed,
    ActorRestarted,
    ActorStarted,
    ActorStats,
    ActorStopped,
    AnyEvent,
    BatchWritten,
    DrainBegan,
    EventsInvalid,
    EventsRouted,
    GapDetected,
    HandlerSlow,
    LogLinesDropped,
    MessageTraced,
    OutageBegan,
    OutageContinues,
    OutageEnded,
    RestartsExhausted,
    RowsRefused,
    ServiceStarted,
    ServiceStats,
    ServiceStopped,
    SessionFigures,
    SessionQuarantined,
    SessionReleased,
    SessionStats,
    TenantFigures,
    TenantStats,
    TickCompleted,
    UpdatesDropped,
)

MOST_NAMES: Final = 1000  # of kinds, outages and tenants with gaps: more are made up


@dataclass(slots=True)
class Kind:
    """A kind of actor."""

    stats: ActorStats | None = None
    rate: CounterRate = field(default_factory=CounterRate)
    state: str = "running"
    restarts: int = 0


@dataclass(slots=True)
class Process:
    """What is known of one process; the next begins with nothing."""

    histories: Histories
    phase: Phase = "unknown"
    version: str | None = None
    vocabulary: int | None = None
    uptime_s: float | None = None
    cpu: CounterRate = field(default_factory=CounterRate)
    kinds: dict[str, Kind] = field(default_factory=dict)
    outages: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    session_count: int = 0
    sessions: dict[SessionKey, SessionFigures] = field(default_factory=dict)
    tenant_count: int = 0
    tenants: dict[str, TenantFigures] = field(default_factory=dict)
    events: StepRate = field(default_factory=StepRate)
    rows: WindowRate = field(default_factory=WindowRate)
    tick: LastTick | None = None
    gaps: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    invalid: int = 0
    refused_rows: int = 0
    dropped_updates: int = 0


class Model:
    """Take lines in the order in which they were said."""

    def __init__(self, followed: SessionKey | None = None) -> None:
        self.followed = followed
        self.process = Process(Histories(followed))
        self.since: datetime | None = None
        self.at: datetime | None = None
        self.read = 0
        self.ignored = 0
        self.dropped = 0

    def follow(self, key: SessionKey | None) -> None:
        """Keep all that is said of this session from now on."""
        self.followed = key
        self.process.histories.follow(key)

    def take(self, text: bytes) -> None:
        """Take a line, whatever it is."""
        self.read += 1
        try:
            line = read_line(text)
        except ValueError:
            self.ignored += 1
            return
        if line is not None:
            self.since = self.since or line.timestamp
            self.at = line.timestamp
            self._apply(line)

    def _apply(self, line: AnyEvent) -> None:  # noqa: C901, PLR0912 - a switch over all there is
        now = self.process
        match line:
            case ServiceStarted() | ServiceStats():
                self._introduce(line)
            case DrainBegan():
                now.phase = "draining"
            case ServiceStopped():
                now.phase = "stopped"
            case ActorStats():
                self._count(line)
            case SessionStats():
                now.session_count = line.count
                now.sessions = {SessionKey(row.tenant, row.session): row for row in line.sessions}
                now.histories.settle({key: row.state for key, row in now.sessions.items()})
            case TenantStats():
                now.tenant_count = line.count
                now.tenants = {row.tenant: row for row in line.tenants}
            case HandlerSlow():
                self._session(SessionKey.parse(line.name), line)
            case MessageTraced():
                now.histories.trace(SessionKey(line.tenant, line.session), line)
            case SessionQuarantined() | SessionReleased():
                self._session(SessionKey(line.tenant, line.session), line)
            case ActorStarted() | ActorStopped() | ActorFailed() | ActorRestarted():
                if line.session:
                    self._session(SessionKey(line.tenant, line.session), line)
                else:
                    self._system(line)
            case RestartsExhausted():
                self._kind(line.actor).state = "failed"
            case OutageBegan() | OutageContinues() | OutageEnded():
                self._outage(line)
            case LogLinesDropped():
                self.dropped += line.lines
            case _:
                self._flow(line)

    def _flow(self, line: AnyEvent) -> None:
        now = self.process
        match line:
            case EventsRouted():
                now.events.take(line.timestamp, line.events)
            case EventsInvalid():
                now.invalid += line.events
            case GapDetected():
                if line.tenant in now.gaps or len(now.gaps) < MOST_NAMES:
                    now.gaps[line.tenant] += 1
                    now.lost[line.tenant] += line.lost_events or 0
            case TickCompleted():
                at = to_datetime(line.tick_at_ms)
                now.tick = LastTick(at, line.lag_s, line.duration_s, line.sessions)
            case BatchWritten():
                now.rows.take(line.timestamp, line.rows)
            case RowsRefused():
                now.refused_rows += line.rows
            case UpdatesDropped():
                now.dropped_updates += line.updates

    def _introduce(self, line: ServiceStarted | ServiceStats) -> None:
        """Begin anew with a new process, heard of by its first line or by its age."""
        uptime_s = line.uptime_s if isinstance(line, ServiceStats) else 0.0
        if self._is_another(line, uptime_s):
            self.process = Process(Histories(self.followed))
        now = self.process
        now.version, now.vocabulary, now.uptime_s = line.version, line.vocabulary, uptime_s
        if now.phase == "unknown":
            now.phase = "running"
        if isinstance(line, ServiceStats):
            now.cpu.take(line.timestamp, line.cpu_s)

    def _is_another(self, line: ServiceStarted | ServiceStats, uptime_s: float) -> bool:
        known_s = self.process.uptime_s
        if isinstance(line, ServiceStarted):
            return self.process.phase != "unknown"
        return known_s is not None and uptime_s < known_s

    def _count(self, line: ActorStats) -> None:
        kind = self._kind(line.kind)
        kind.stats = line
        kind.rate.take(line.timestamp, line.handled)

    def _system(self, line: ActorStarted | ActorStopped | ActorFailed | ActorRestarted) -> None:
        kind = self._kind(line.actor)
        kind.restarts += isinstance(line, ActorRestarted)
        match line:
            case ActorStopped():
                kind.state = "stopped"
            case ActorFailed():
                kind.state = "restarting"
            case _:
                kind.state = "running"

    def _session(self, key: SessionKey, line: Told) -> None:
        self.process.histories.take(key, line)
        if isinstance(line, ActorStopped):
            self.process.sessions.pop(key, None)

    def _outage(self, line: OutageBegan | OutageContinues | OutageEnded) -> None:
        outages = self.process.outages
        if isinstance(line, OutageEnded):
            outages.pop(line.service, None)
        elif line.service not in outages and len(outages) < MOST_NAMES:
            outages[line.service] = _began_at(line), line.error[:LONGEST_DETAIL]

    def _kind(self, name: str) -> Kind:
        kinds = self.process.kinds
        if name not in kinds and len(kinds) >= MOST_NAMES:
            return Kind()
        return kinds.setdefault(name, Kind())


def _began_at(line: OutageBegan | OutageContinues) -> datetime:
    if isinstance(line, OutageContinues):
        with suppress(OverflowError):  # before the year 1, says a line that somebody made up
            return line.timestamp - timedelta(seconds=line.lasted_s)
    return line.timestamp
