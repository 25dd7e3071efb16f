"""From what was folded to what is shown: chosen, sorted, counted."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias, TypeVar

from conductor_actors.commands.inspect.model import Kind, Model, Process
from conductor_actors.commands.inspect.report import (
    FORMAT,
    Actor,
    Flow,
    Followed,
    LineCounts,
    Report,
    ServiceOutage,
    ServiceState,
    Session,
    Tenant,
)
from conductor_actors.domain.identity import SessionKey
from conductor_actors.log_events import SessionFigures, TenantFigures

Order = Literal["depth", "rate", "handling", "oldest", "name"]
Figure: TypeAlias = Callable[[Session | Tenant], float]
One = TypeVar("One", Session, Tenant)

SESSIONS: Final = "session"  # the kind whose restarts are those of all sessions

_FIGURES: Final[dict[Order, Figure]] = {
    "depth": lambda one: one.mailbox_depth or 0,
    "rate": lambda one: one.handled_per_s or 0,
    "handling": lambda one: one.handling_s or 0,
    "oldest": lambda one: one.oldest_s or 0,
    "name": lambda _: 0,
}


class Choice(NamedTuple):
    """What is to be shown: the order of sessions and tenants, and the only tenant."""

    order: Order = "depth"
    tenant: str | None = None


def report(model: Model, now: datetime, choice: Choice = Choice()) -> Report:  # noqa: B008 - immutable
    """Say what is known at this moment."""
    process = model.process
    sessions = [one for one in _sessions(process) if choice.tenant in (None, one.tenant)]
    tenants = [one for one in _tenants(process) if choice.tenant in (None, one.tenant)]
    return Report(
        format=FORMAT,
        since=model.since,
        at=model.at,
        silent_s=max(0.0, (now - model.at).total_seconds()) if model.at else None,
        lines=LineCounts(model.read, model.ignored, model.dropped),
        service=_service(process),
        flow=_flow(process, model.at),
        outages=[ServiceOutage(name, error, at) for name, (at, error) in process.outages.items()],
        actors=[_actor(name, kind, process) for name, kind in process.kinds.items()],
        session_count=_session_count(process, choice),
        sessions=_sorted(sessions, choice.order),
        tenant_count=process.tenant_count,
        tenants=_sorted(tenants, choice.order),
        followed=_followed(model),
    )


def _session_count(process: Process, choice: Choice) -> int:
    if choice.tenant is None:
        return process.session_count
    tenant = process.tenants.get(choice.tenant)
    return tenant.sessions if tenant else 0


def _service(process: Process) -> ServiceState:
    cpu_share = process.cpu.per_s
    return ServiceState(
        process.phase, process.version, process.vocabulary, process.uptime_s, _rounded(cpu_share)
    )


def _flow(process: Process, at: datetime | None) -> Flow:
    return Flow(
        events_per_s=_rounded(process.events.per_s),
        rows_per_s=_rounded(process.rows.per_s(at) if at else None),
        tick=process.tick,
        gaps=process.gaps.total(),
        lost_events=process.lost.total(),
        invalid_events=process.invalid,
        refused_rows=process.refused_rows,
        dropped_updates=process.dropped_updates,
    )


def _actor(name: str, kind: Kind, process: Process) -> Actor:
    stats = kind.stats
    return Actor(
        kind=name,
        state=kind.state,
        count=stats.count if stats else 1,
        mailbox_depth=stats.mailbox_depth if stats else 0,
        handled_per_s=_rounded(kind.rate.per_s),
        oldest_s=stats.oldest_s if stats else 0.0,
        failures=stats.failures if stats else 0,
        restarts=process.histories.restarts if name == SESSIONS else kind.restarts,
    )


def _sessions(process: Process) -> Iterable[Session]:
    """Give those that were counted, and those of which something was said."""
    keys = dict.fromkeys([*process.sessions, *process.histories.present()])
    return [_session(key, process) for key in keys]


def _session(key: SessionKey, process: Process) -> Session:
    history, row = process.histories.of(key), process.sessions.get(key)
    return Session(
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
    )


def _tenants(process: Process) -> Iterable[Tenant]:
    return [
        Tenant(
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
        )
        for row in process.tenants.values()
    ]


def _handling_s(row: SessionFigures | TenantFigures) -> float | None:
    """Say how long a message took in the mean; None if there was none."""
    return round(row.busy_share / row.handled_per_s, 7) if row.handled_per_s > 0 else None


def _followed(model: Model) -> Followed | None:
    if model.followed is None:
        return None
    histories = model.process.histories
    incidents = histories.of(model.followed).incidents
    session = _session(model.followed, model.process)
    return Followed(session, [*incidents], histories.messages())


def _sorted(rows: Iterable[One], order: Order) -> list[One]:
    figure = _FIGURES[order]
    return sorted(rows, key=lambda one: (-figure(one), _name(one)))


def _name(one: Session | Tenant) -> tuple[str, str]:
    return one.tenant, one.session if isinstance(one, Session) else ""


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 3)
