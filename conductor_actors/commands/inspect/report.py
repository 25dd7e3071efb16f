"""The report on a service: the document that `--json` prints, and the data of the screen.

Its keys are an interface: they are only added. An unknown value is null.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec

from conductor_actors.commands.inspect.cluster_report import ClusterReport
from conductor_actors.commands.inspect.histories import Incident, TracedMessage
from conductor_actors.commands.inspect.process_model import (
    ActorKind,
    LastTick,
    Phase,
    ProcessModel,
)
from conductor_actors.commands.inspect.service_model import ServiceModel
from conductor_actors.domain.identity import SessionKey
from conductor_actors.instants import to_datetime
from conductor_actors.log_events import SessionFigures, TenantFigures
from conductor_actors.observability.open_anomalies import OpenAnomalyEvent

REPORT_FORMAT: Final = 1
SESSION_KIND: Final = "session"  # the kind whose restarts are those of all sessions


class LineCounts(msgspec.Struct, frozen=True):
    """The lines that were read, those of them that were ignored, and those known to be missing."""

    read: int
    ignored: int
    dropped: int


class ServiceState(msgspec.Struct, frozen=True):
    """The process. `vocabulary` is the version of its log lines, `cpu_share` 1.0 for one core."""

    phase: Phase
    version: str | None
    vocabulary: int | None
    uptime_s: float | None
    cpu_share: float | None


class DataFlow(msgspec.Struct, frozen=True):
    """Input and output. `gaps` and the keys after it count from the first line that was read."""

    events_per_s: float | None
    rows_per_s: float | None
    tick: LastTick | None
    gaps: int
    lost_events: int
    invalid_events: int
    refused_rows: int
    dropped_updates: int
    open_anomalies: int = 0


class ServiceOutage(msgspec.Struct, frozen=True):
    """An outage that has not ended."""

    service: str
    error: str
    began_at: datetime


class ActorReport(msgspec.Struct, frozen=True):
    """A kind of actor. `failures` counts since its start, `restarts` since the first line read."""

    kind: str
    state: str
    count: int
    mailbox_depth: int
    handled_per_s: float | None
    oldest_s: float
    failures: int
    restarts: int


class SessionAnomaly(msgspec.Struct, frozen=True):
    """The open anomaly of a session; `began_at` is its tick."""

    type: str
    began_at: datetime
    reason: str


class SessionReport(msgspec.Struct, frozen=True):
    """A session. Failures and restarts count since the first line read; figures may be unknown.

    `state`: running, restarting, quarantined, passivating, stopped. `busy_share` is the share of
    one thread's time, `handling_s` the mean time that a message took.
    """

    tenant: str
    session: str
    state: str
    mailbox_depth: int | None = None
    handled_per_s: float | None = None
    busy_share: float | None = None
    oldest_s: float | None = None
    refused: int | None = None
    failures: int = 0
    restarts: int = 0
    last_error: str | None = None
    handling_s: float | None = None
    anomaly: SessionAnomaly | None = None


class TenantReport(msgspec.Struct, frozen=True):
    """A tenant: its sessions together."""

    tenant: str
    sessions: int
    quarantined: int
    mailbox_depth: int
    handled_per_s: float
    busy_share: float
    oldest_s: float
    refused: int
    gaps: int
    lost_events: int
    handling_s: float | None = None
    open_anomalies: int = 0


class FollowedSession(msgspec.Struct, frozen=True):
    """The followed session and its incidents, oldest first.

    `messages` is empty unless the session is traced; it is while it is followed on a screen.
    """

    session: SessionReport
    incidents: Sequence[Incident]
    messages: Sequence[TracedMessage] = ()


class ServiceReport(msgspec.Struct, frozen=True):
    """The document. `since` and `at` are the times of the first and the newest line.

    `cluster` is there if the log is read from the Redis of hosts that share the sessions.
    """

    format: int
    since: datetime | None
    at: datetime | None
    silent_s: float | None
    lines: LineCounts
    service: ServiceState
    flow: DataFlow
    outages: Sequence[ServiceOutage]
    actors: Sequence[ActorReport]
    session_count: int
    sessions: Sequence[SessionReport]
    tenant_count: int
    tenants: Sequence[TenantReport]
    followed: FollowedSession | None = None
    cluster: ClusterReport | None = None


SortOrder: TypeAlias = Literal["depth", "rate", "handling", "oldest", "name"]
Sortable = TypeVar("Sortable", SessionReport, TenantReport)
SortFigure: TypeAlias = Callable[[SessionReport | TenantReport], float]

_SORT_FIGURES: Final[dict[SortOrder, SortFigure]] = {
    "depth": lambda one: one.mailbox_depth or 0,
    "rate": lambda one: one.handled_per_s or 0,
    "handling": lambda one: one.handling_s or 0,
    "oldest": lambda one: one.oldest_s or 0,
    "name": lambda _: 0,
}


class Selection(NamedTuple):
    """The order of sessions and tenants, and the only tenant to report, if any."""

    order: SortOrder = "depth"
    tenant: str | None = None


def make_report(
    model: ServiceModel,
    now: datetime,
    selection: Selection = Selection(),  # noqa: B008 - immutable
) -> ServiceReport:
    """Return the report at `now`."""
    process = model.process
    sessions = [one for one in _sessions(process) if selection.tenant in (None, one.tenant)]
    tenants = [one for one in _tenants(process) if selection.tenant in (None, one.tenant)]
    return ServiceReport(
        format=REPORT_FORMAT,
        since=model.since,
        at=model.at,
        silent_s=max(0.0, (now - model.at).total_seconds()) if model.at else None,
        lines=LineCounts(model.lines_read, model.lines_ignored, model.lines_dropped),
        service=_service(process),
        flow=_flow(process, model.at),
        outages=_outages(process),
        actors=[_actor(name, kind, process) for name, kind in process.kinds.items()],
        session_count=_session_count(process, selection),
        sessions=_sorted(sessions, selection.order),
        tenant_count=process.tenant_count,
        tenants=_sorted(tenants, selection.order),
        followed=_followed(model),
    )


def _outages(process: ProcessModel) -> Sequence[ServiceOutage]:
    """Return the outages, each once however many partitions have it."""
    first: dict[str, ServiceOutage] = {}
    for (name, _), (at, error) in process.outages.items():
        known = first.get(name)
        if known is None or at < known.began_at:
            first[name] = ServiceOutage(name, error, at)
    return [*first.values()]


def _session_count(process: ProcessModel, selection: Selection) -> int:
    if selection.tenant is None:
        return process.session_count
    tenant = process.tenants.get(selection.tenant)
    return tenant.sessions if tenant else 0


def _service(process: ProcessModel) -> ServiceState:
    cpu_share = process.cpu.per_s
    return ServiceState(
        process.phase, process.version, process.vocabulary, process.uptime_s, _rounded(cpu_share)
    )


def _flow(process: ProcessModel, at: datetime | None) -> DataFlow:
    return DataFlow(
        events_per_s=_rounded(process.events.per_s),
        rows_per_s=_rounded(process.rows.per_s(at) if at else None),
        tick=process.tick,
        gaps=process.gaps.total(),
        lost_events=process.lost.total(),
        invalid_events=process.invalid,
        refused_rows=process.refused_rows,
        dropped_updates=process.dropped_updates,
        open_anomalies=len(process.anomalies.sessions()),
    )


def _actor(name: str, kind: ActorKind, process: ProcessModel) -> ActorReport:
    stats = kind.stats
    return ActorReport(
        kind=name,
        state=kind.state,
        count=stats.count if stats else 1,
        mailbox_depth=stats.mailbox_depth if stats else 0,
        handled_per_s=_rounded(kind.rate.per_s),
        oldest_s=stats.oldest_s if stats else 0.0,
        failures=stats.failures if stats else 0,
        restarts=process.histories.restarts if name == SESSION_KIND else kind.restarts,
    )


def _sessions(process: ProcessModel) -> Iterable[SessionReport]:
    """Return the sessions with figures, those with a history, and those with an anomaly."""
    with_history = process.histories.active_sessions()
    keys = dict.fromkeys([*process.sessions, *with_history, *process.anomalies.sessions()])
    return [_session(key, process) for key in keys]


def _session(key: SessionKey, process: ProcessModel) -> SessionReport:
    history, row = process.histories.of(key), process.sessions.get(key)
    return SessionReport(
        *key,
        state=row.state if row and not history.incidents else history.state,
        mailbox_depth=row.mailbox_depth if row else None,
        handled_per_s=row.handled_per_s if row else None,
        busy_share=row.busy_share if row else None,
        oldest_s=row.oldest_s if row else None,
        refused=row.refused if row else None,
        failures=history.failures,
        restarts=history.restarts,
        last_error=history.last_error,
        handling_s=_handling_s(row) if row else None,
        anomaly=_anomaly(process.anomalies.of(key)),
    )


def _anomaly(event: OpenAnomalyEvent | None) -> SessionAnomaly | None:
    if event is None:
        return None
    return SessionAnomaly(event.type, to_datetime(event.tick_at_ms), event.reason)


def _tenants(process: ProcessModel) -> Iterable[TenantReport]:
    open_anomalies = process.anomalies.by_tenant()
    return [
        TenantReport(
            row.tenant,
            row.sessions,
            row.quarantined,
            row.mailbox_depth,
            row.handled_per_s,
            row.busy_share,
            row.oldest_s,
            row.refused,
            process.gaps[row.tenant],
            process.lost[row.tenant],
            _handling_s(row),
            open_anomalies[row.tenant],
        )
        for row in process.tenants.values()
    ]


def _handling_s(row: SessionFigures | TenantFigures) -> float | None:
    """Return the mean time to handle a message; None if none was handled."""
    return round(row.busy_share / row.handled_per_s, 7) if row.handled_per_s > 0 else None


def _followed(model: ServiceModel) -> FollowedSession | None:
    if model.followed is None:
        return None
    histories = model.process.histories
    incidents = histories.of(model.followed).incidents
    session = _session(model.followed, model.process)
    return FollowedSession(session, [*incidents], histories.messages())


def _sorted(rows: Iterable[Sortable], order: SortOrder) -> list[Sortable]:
    figure = _SORT_FIGURES[order]
    return sorted(rows, key=lambda one: (-figure(one), _name(one)))


def _name(one: SessionReport | TenantReport) -> tuple[str, str]:
    return one.tenant, one.session if isinstance(one, SessionReport) else ""


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 3)
