"""The state of a service, computed from its log events. No clock, no I/O."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import msgspec

from conductor_actors.commands.inspect.histories import (
    MAX_DETAIL_CHARS,
    SessionEvent,
    SessionHistories,
)
from conductor_actors.commands.inspect.process_model import (
    MAX_SESSIONS_WITH_ANOMALY,
    ActorKind,
    LastTick,
    ProcessModel,
    combine_processes,
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
    PartitionEnded,
    RestartsExhausted,
    RowsRefused,
    ServiceStarted,
    ServiceStats,
    ServiceStopped,
    SessionQuarantined,
    SessionReleased,
    SessionStats,
    TenantStats,
    TickCompleted,
    UpdatesDropped,
)
from conductor_actors.log_events.cluster_events import HostLost, HostStarted, PartitionMoved
from conductor_actors.observability.open_anomalies import OpenAnomalies

MAX_LINE_BYTES: Final = 1 << 18
MAX_NAMES: Final = 1000  # kinds, outages, tenants with gaps; a real log has far fewer
MAX_HOSTS: Final = 200
MAX_HOST_SILENCE: Final = timedelta(seconds=15)

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


class ServiceModel:
    """The service as its log describes it. Add the lines in the order of the log."""

    def __init__(self, followed: SessionKey | None = None) -> None:
        self.followed = followed
        self._processes: dict[str, ProcessModel] = {}  # by host, or by partition without one
        self._histories = SessionHistories(followed)
        self._anomalies = OpenAnomalies(MAX_SESSIONS_WITH_ANOMALY)
        self._has_resumed = False
        self.since: datetime | None = None
        self.at: datetime | None = None
        self.lines_read = 0
        self.lines_ignored = 0
        self.lines_dropped = 0

    @property
    def process(self) -> ProcessModel:
        """The processes together that have written lines lately."""
        known = [one for one in self._processes.values() if not self._is_gone(one)]
        return combine_processes(known or [self._new_process()])

    def follow(self, key: SessionKey | None) -> None:
        """Record every event of this session from now on."""
        self.followed = key
        self._histories.follow(key)

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
        if isinstance(event, HostLost | HostStarted | PartitionMoved):
            self._processes.pop(event.host, None)
            return
        if isinstance(event, ServiceStarted | ServiceStats):
            self._identify_process(event)
        process = self._process_of(event)
        process.seen_at = event.timestamp
        self._apply(event, process)

    def _is_gone(self, process: ProcessModel) -> bool:
        """Check whether a process is silent while others are not, as a host that has ended."""
        if self.at is None or process.seen_at is None:
            return False
        return self.at - process.seen_at > MAX_HOST_SILENCE

    def _process_of(self, event: AnyEvent) -> ProcessModel:
        name = event.host or event.partition
        known = self._processes.get(name)
        if known is None:
            known = self._new_process()
            present = {key: one for key, one in self._processes.items() if not self._is_gone(one)}
            self._processes = present | ({name: known} if len(present) < MAX_HOSTS else {})
        return known

    def _new_process(self) -> ProcessModel:
        return ProcessModel(self._histories, self._anomalies)

    def _apply(self, event: AnyEvent, process: ProcessModel) -> None:  # noqa: C901, PLR0912 - a switch over many events
        match event:
            case DrainBegan():
                if not event.partition:
                    process.phase = "draining"
            case ServiceStopped():  # of the program that has started all hosts, if there are hosts
                for one in self._processes.values():
                    _stop_all(one)
            case ActorStats():
                _add_actor_stats(process, event)
            case SessionStats():
                rows = {SessionKey(row.tenant, row.session): row for row in event.sessions}
                process.session_count, process.sessions = event.count, rows
                process.histories.set_states({key: row.state for key, row in rows.items()})
            case TenantStats():
                process.tenant_count = event.count
                process.tenants = {row.tenant: row for row in event.tenants}
            case HandlerSlow():
                self._add_session_event(process, SessionKey.parse(event.name), event)
            case MessageTraced():
                process.histories.add_message(SessionKey(event.tenant, event.session), event)
            case SessionQuarantined() | SessionReleased():
                self._add_session_event(process, SessionKey(event.tenant, event.session), event)
            case AnomalyDetected() | AnomalyOver():
                process.anomalies.observe(event)
                self._add_session_event(process, SessionKey(event.tenant, event.session), event)
            case (
                DecisionMade()
                | InterventionMoved()
                | InterventionDelivered()
                | InterventionGivenUp()
                | InterventionRefused()
                | OutcomeMeasured()
            ):
                self._add_session_event(process, SessionKey(event.tenant, event.session), event)
            case AnomalyContinues():
                process.anomalies.observe(event)
            case CheckpointLoaded():  # then the owner reports what is open
                process.anomalies.forget(event.partition)
                self._has_resumed = True
            case ActorStarted() | ActorStopped() | ActorFailed() | ActorRestarted():
                if event.session:
                    self._add_session_event(process, SessionKey(event.tenant, event.session), event)
                else:
                    _add_system_event(process, event)
            case RestartsExhausted():
                _kind(process, event.actor).states[event.partition] = "failed"
            case PartitionEnded():
                for kind in process.kinds.values():
                    kind.states.pop(event.partition, None)
            case OutageBegan() | OutageContinues() | OutageEnded():
                _add_outage(process, event)
            case LogLinesDropped():
                self.lines_dropped += event.lines
            case _:
                _add_data_event(process, event)

    def _identify_process(self, event: ServiceStarted | ServiceStats) -> None:
        """Start an empty model for a new process, recognized by its start or its uptime."""
        name = event.host or event.partition
        known = self._processes.get(name)
        uptime_s = event.uptime_s if isinstance(event, ServiceStats) else 0.0
        if known is not None and _is_new_process(known, event, uptime_s):
            del self._processes[name]
            if not name:  # a host shares them with others
                self._histories = SessionHistories(self.followed)
            if not name and not self._has_resumed:
                self._anomalies = OpenAnomalies(MAX_SESSIONS_WITH_ANOMALY)
        self._has_resumed = False
        process = self._process_of(event)
        process.version, process.vocabulary = event.version, event.vocabulary
        process.uptime_s = uptime_s
        if process.phase == "unknown":
            process.phase = "running"
        if isinstance(event, ServiceStats):
            process.cpu.add(event.timestamp, event.cpu_s)

    def _add_session_event(
        self, process: ProcessModel, key: SessionKey, event: SessionEvent
    ) -> None:
        self._histories.add(key, event)
        if isinstance(event, ActorStopped):
            process.sessions.pop(key, None)


def _is_new_process(
    known: ProcessModel, event: ServiceStarted | ServiceStats, uptime_s: float
) -> bool:
    if isinstance(event, ServiceStarted):
        return known.phase != "unknown"
    return known.uptime_s is not None and uptime_s < known.uptime_s


def _stop_all(process: ProcessModel) -> None:
    """Record the clean end of the process, which has ended every actor."""
    process.phase = "stopped"
    for kind in process.kinds.values():
        kind.states = {"": "stopped"}
    for key, row in process.sessions.items():
        process.sessions[key] = msgspec.structs.replace(row, state="stopped")
    process.histories.stop_all()


def _add_data_event(process: ProcessModel, event: AnyEvent) -> None:
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


def _add_actor_stats(process: ProcessModel, event: ActorStats) -> None:
    kind = _kind(process, event.kind)
    kind.stats = event
    kind.rate.add(event.timestamp, event.handled)


def _add_system_event(
    process: ProcessModel, event: ActorStarted | ActorStopped | ActorFailed | ActorRestarted
) -> None:
    kind = _kind(process, event.actor)
    kind.restarts += isinstance(event, ActorRestarted)
    if event.partition not in kind.states and len(kind.states) >= MAX_NAMES:
        return
    match event:
        case ActorStopped():
            kind.states[event.partition] = "stopped"
        case ActorFailed():
            kind.states[event.partition] = "restarting"
        case _:
            kind.states[event.partition] = "running"


def _add_outage(process: ProcessModel, event: OutageBegan | OutageContinues | OutageEnded) -> None:
    outages, key = process.outages, (event.service, event.partition)
    if isinstance(event, OutageEnded):
        outages.pop(key, None)
    elif key not in outages and len(outages) < MAX_NAMES:
        outages[key] = _began_at(event), event.error[:MAX_DETAIL_CHARS]


def _kind(process: ProcessModel, name: str) -> ActorKind:
    kinds = process.kinds
    if name not in kinds and len(kinds) >= MAX_NAMES:
        return ActorKind()
    return kinds.setdefault(name, ActorKind())


def _began_at(event: OutageBegan | OutageContinues) -> datetime:
    if isinstance(event, OutageContinues):
        with suppress(OverflowError):  # before the year 1: a forged line
            return event.timestamp - timedelta(seconds=event.lasted_s)
    return event.timestamp
