"""The state of a service, computed from its log events. No clock, no I/O."""

from collections import Counter
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
from conductor_actors.commands.inspect.rates import CounterRate, StepRate, WindowRate
from conductor_actors.domain.identity import SessionKey
from conductor_actors.instants import to_datetime
from conductor_actors.log_events import (
    NEVER,
    ActorFailed,
    ActorRestarted,
    ActorStarted,
    ActorStats,
    ActorStopped,
    AnomalyContinues,
    AnomalyDetected,
    AnomalyOver,
    AnyEvent,
    BatchWritten,
    CheckpointLoaded,
    DecisionMade,
    DrainBegan,
    EventsInvalid,
    EventsRouted,
    GapDetected,
    HandlerSlow,
    InterventionDelivered,
    InterventionGivenUp,
    InterventionMoved,
    InterventionRefused,
    LogLinesDropped,
    MessageTraced,
    OutageBegan,
    OutageContinues,
    OutageEnded,
    OutcomeMeasured,
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
from conductor_actors.observability.open_anomalies import OpenAnomalies

MAX_LINE_BYTES: Final = 1 << 18
MAX_NAMES: Final = 1000  # kinds, outages, tenants with gaps; a real log has far fewer
MAX_SESSIONS_WITH_ANOMALY: Final = 10_000

Phase: TypeAlias = Literal["unknown", "running", "draining", "stopped"]

_event_decoder: Final[msgspec.json.Decoder[AnyEvent]] = msgspec.json.Decoder(AnyEvent)


def read_line(text: bytes) -> AnyEvent:
    """Return the log event of a line; a prefix before its first brace is skipped.

    Raise `ValueError` if the line has none: it may be truncated, or from another program.
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


class LastTick(msgspec.Struct, frozen=True):
    """The last tick: its time, its delay, and how long it took to score all sessions."""

    at: datetime
    lag_s: float
    duration_s: float
    sessions: int


@dataclass(slots=True)
class ActorKind:
    """All actors of one kind."""

    stats: ActorStats | None = None
    rate: CounterRate = field(default_factory=CounterRate)
    state: str = "running"
    restarts: int = 0


@dataclass(slots=True)
class ProcessModel:
    """One process of the service. After a restart the model is empty again."""

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
    anomalies: OpenAnomalies = field(
        default_factory=lambda: OpenAnomalies(MAX_SESSIONS_WITH_ANOMALY)
    )


class ServiceModel:
    """The service as its log describes it. Add the lines in the order of the log."""

    def __init__(self, followed: SessionKey | None = None) -> None:
        self.followed = followed
        self.process = ProcessModel(SessionHistories(followed))
        self._resumed: OpenAnomalies | None = None
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
        """Add a line of the log; a line that is not a log event is counted and ignored."""
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
                self._stop_all()
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
            case AnomalyDetected() | AnomalyOver():
                process.anomalies.observe(event)
                self._add_session_event(SessionKey(event.tenant, event.session), event)
            case (
                DecisionMade()
                | InterventionMoved()
                | InterventionDelivered()
                | InterventionGivenUp()
                | InterventionRefused()
                | OutcomeMeasured()
            ):
                self._add_session_event(SessionKey(event.tenant, event.session), event)
            case AnomalyContinues():
                process.anomalies.observe(event)
            case CheckpointLoaded():  # a new process reports what is open before its start
                process.anomalies = self._resumed = OpenAnomalies(MAX_SESSIONS_WITH_ANOMALY)
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
            self.process.anomalies = self._resumed or self.process.anomalies
        self._resumed = None
        process = self.process
        process.version, process.vocabulary = event.version, event.vocabulary
        process.uptime_s = uptime_s
        if process.phase == "unknown":
            process.phase = "running"
        if isinstance(event, ServiceStats):
            process.cpu.add(event.timestamp, event.cpu_s)

    def _stop_all(self) -> None:
        """Record the clean end of the process, which has ended every actor."""
        process = self.process
        process.phase = "stopped"
        for kind in process.kinds.values():
            kind.state = "stopped"
        for key, row in process.sessions.items():
            process.sessions[key] = msgspec.structs.replace(row, state="stopped")
        process.histories.stop_all()

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
        with suppress(OverflowError):  # before the year 1: a forged line
            return event.timestamp - timedelta(seconds=event.lasted_s)
    return event.timestamp
