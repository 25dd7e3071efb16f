"""A model of a service, folded from the events of its log. No clock, no I/O."""

from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

import msgspec

from conductor_actors.commands.inspect.histories import (
    MAX_DETAIL_CHARS,
    SessionEvent,
    SessionHistories,
)
from conductor_actors.domain.identity import SessionKey
from conductor_actors.instants import to_datetime
from conductor_actors.log_events import (
    NEVER,
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

MAX_LINE_BYTES: Final = 1 << 18
MAX_NAMES: Final = 1000  # of kinds, outages and tenants with gaps: more are made up
ROW_WINDOW: Final = timedelta(seconds=15)  # three ticks
MAX_ROW_BATCHES: Final = 1000

Phase: TypeAlias = Literal["unknown", "running", "draining", "stopped"]

_NO_TIME: Final = timedelta(0)
_event_decoder: Final[msgspec.json.Decoder[AnyEvent]] = msgspec.json.Decoder(AnyEvent)


def read_line(text: bytes) -> AnyEvent:
    """Return the log event of a line, whatever stands before its brace.

    Raise `ValueError` if the line holds none: it may be cut, mixed with anything, or made up.
    """
    begin = text.find(b"{")
    if begin < 0 or len(text) > MAX_LINE_BYTES:
        raise ValueError
    try:
        event = _event_decoder.decode(text[begin:])
    except RecursionError:
        raise ValueError from None
    if event.timestamp == NEVER:
        raise ValueError
    return event


class CounterRate:
    """The rate of a counter that only grows, or restarts from 0 with its process."""

    def __init__(self) -> None:
        self._last: tuple[datetime, float] | None = None
        self.per_s: float | None = None

    def add(self, at: datetime, total: float) -> None:
        """Add a reading of the counter."""
        if self._last is not None:
            over_s = (at - self._last[0]).total_seconds()
            if over_s <= 0:
                return
            self.per_s = (total - self._last[1]) / over_s if total >= self._last[1] else None
        self._last = at, total


class StepRate:
    """The rate of amounts, each counted since the one before it."""

    def __init__(self) -> None:
        self._counter = CounterRate()
        self._total = 0

    @property
    def per_s(self) -> float | None:
        """The amount a second between the last two."""
        return self._counter.per_s

    def add(self, at: datetime, amount: int) -> None:
        """Add an amount."""
        self._total += amount
        self._counter.add(at, self._total)


class WindowRate:
    """The rate of amounts that come at irregular times, averaged over `ROW_WINDOW`."""

    def __init__(self) -> None:
        self._amounts: deque[tuple[datetime, int]] = deque(maxlen=MAX_ROW_BATCHES)

    def add(self, at: datetime, amount: int) -> None:
        """Add an amount."""
        self._amounts.append((at, amount))

    def per_s(self, now: datetime) -> float | None:
        """Return the amount a second; None before the first amount."""
        if not self._amounts:
            return None
        recent = sum(amount for at, amount in self._amounts if _NO_TIME <= now - at < ROW_WINDOW)
        return recent / ROW_WINDOW.total_seconds()


class LastTick(msgspec.Struct, frozen=True):
    """The last tick: its instant, how late it came, how long all sessions took."""

    at: datetime
    lag_s: float
    duration_s: float
    sessions: int


@dataclass(slots=True)
class ActorKind:
    """A kind of actor."""

    stats: ActorStats | None = None
    rate: CounterRate = field(default_factory=CounterRate)
    state: str = "running"
    restarts: int = 0


@dataclass(slots=True)
class ProcessModel:
    """One process of the service; the next one starts with an empty model."""

    histories: SessionHistories
    phase: Phase = "unknown"
    version: str | None = None
    vocabulary: int | None = None
    uptime_s: float | None = None
    cpu: CounterRate = field(default_factory=CounterRate)
    kinds: dict[str, ActorKind] = field(default_factory=dict)
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


class ServiceModel:
    """The service as its log describes it. Lines are added in their order in the log."""

    def __init__(self, followed: SessionKey | None = None) -> None:
        self.followed = followed
        self.process = ProcessModel(SessionHistories(followed))
        self.since: datetime | None = None
        self.at: datetime | None = None
        self.lines_read = 0
        self.lines_ignored = 0
        self.lines_dropped = 0

    def follow(self, key: SessionKey | None) -> None:
        """Record every event of this session from now on."""
        self.followed = key
        self.process.histories.follow(key)

    def add(self, text: bytes) -> None:
        """Add a line, whatever it is."""
        self.lines_read += 1
        try:
            event = read_line(text)
        except ValueError:
            self.lines_ignored += 1
            return
        self.since = self.since or event.timestamp
        self.at = event.timestamp
        self._apply(event)

    def _apply(self, event: AnyEvent) -> None:  # noqa: C901, PLR0912 - a switch over many events
        process = self.process
        match event:
            case ServiceStarted() | ServiceStats():
                self._identify_process(event)
            case DrainBegan():
                process.phase = "draining"
            case ServiceStopped():
                process.phase = "stopped"
            case ActorStats():
                self._add_actor_stats(event)
            case SessionStats():
                rows = {SessionKey(row.tenant, row.session): row for row in event.sessions}
                process.session_count, process.sessions = event.count, rows
                process.histories.set_states({key: row.state for key, row in rows.items()})
            case TenantStats():
                process.tenant_count = event.count
                process.tenants = {row.tenant: row for row in event.tenants}
            case HandlerSlow():
                self._add_session_event(SessionKey.parse(event.name), event)
            case MessageTraced():
                process.histories.add_message(SessionKey(event.tenant, event.session), event)
            case SessionQuarantined() | SessionReleased():
                self._add_session_event(SessionKey(event.tenant, event.session), event)
            case ActorStarted() | ActorStopped() | ActorFailed() | ActorRestarted():
                if event.session:
                    self._add_session_event(SessionKey(event.tenant, event.session), event)
                else:
                    self._add_system_event(event)
            case RestartsExhausted():
                self._kind(event.actor).state = "failed"
            case OutageBegan() | OutageContinues() | OutageEnded():
                self._add_outage(event)
            case LogLinesDropped():
                self.lines_dropped += event.lines
            case _:
                self._add_data_event(event)

    def _add_data_event(self, event: AnyEvent) -> None:
        process = self.process
        match event:
            case EventsRouted():
                process.events.add(event.timestamp, event.events)
            case EventsInvalid():
                process.invalid += event.events
            case GapDetected():
                if event.tenant in process.gaps or len(process.gaps) < MAX_NAMES:
                    process.gaps[event.tenant] += 1
                    process.lost[event.tenant] += event.lost_events or 0
            case TickCompleted():
                at = to_datetime(event.tick_at_ms)
                process.tick = LastTick(at, event.lag_s, event.duration_s, event.sessions)
            case BatchWritten():
                process.rows.add(event.timestamp, event.rows)
            case RowsRefused():
                process.refused_rows += event.rows
            case UpdatesDropped():
                process.dropped_updates += event.updates

    def _identify_process(self, event: ServiceStarted | ServiceStats) -> None:
        """Start an empty model for a new process, recognized by its start or its uptime."""
        uptime_s = event.uptime_s if isinstance(event, ServiceStats) else 0.0
        if self._is_new_process(event, uptime_s):
            self.process = ProcessModel(SessionHistories(self.followed))
        process = self.process
        process.version, process.vocabulary = event.version, event.vocabulary
        process.uptime_s = uptime_s
        if process.phase == "unknown":
            process.phase = "running"
        if isinstance(event, ServiceStats):
            process.cpu.add(event.timestamp, event.cpu_s)

    def _is_new_process(self, event: ServiceStarted | ServiceStats, uptime_s: float) -> bool:
        known_s = self.process.uptime_s
        if isinstance(event, ServiceStarted):
            return self.process.phase != "unknown"
        return known_s is not None and uptime_s < known_s

    def _add_actor_stats(self, event: ActorStats) -> None:
        kind = self._kind(event.kind)
        kind.stats = event
        kind.rate.add(event.timestamp, event.handled)

    def _add_system_event(
        self, event: ActorStarted | ActorStopped | ActorFailed | ActorRestarted
    ) -> None:
        kind = self._kind(event.actor)
        kind.restarts += isinstance(event, ActorRestarted)
        match event:
            case ActorStopped():
                kind.state = "stopped"
            case ActorFailed():
                kind.state = "restarting"
            case _:
                kind.state = "running"

    def _add_session_event(self, key: SessionKey, event: SessionEvent) -> None:
        self.process.histories.add(key, event)
        if isinstance(event, ActorStopped):
            self.process.sessions.pop(key, None)

    def _add_outage(self, event: OutageBegan | OutageContinues | OutageEnded) -> None:
        outages = self.process.outages
        if isinstance(event, OutageEnded):
            outages.pop(event.service, None)
        elif event.service not in outages and len(outages) < MAX_NAMES:
            outages[event.service] = _began_at(event), event.error[:MAX_DETAIL_CHARS]

    def _kind(self, name: str) -> ActorKind:
        kinds = self.process.kinds
        if name not in kinds and len(kinds) >= MAX_NAMES:
            return ActorKind()
        return kinds.setdefault(name, ActorKind())


def _began_at(event: OutageBegan | OutageContinues) -> datetime:
    if isinstance(event, OutageContinues):
        with suppress(OverflowError):  # before the year 1, in a line that somebody made up
            return event.timestamp - timedelta(seconds=event.lasted_s)
    return event.timestamp
