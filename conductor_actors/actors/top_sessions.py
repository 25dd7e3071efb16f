"""The figures of the sessions that lead in one of them, and of the busiest tenants."""

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nlargest
from operator import attrgetter
from typing import Final, NamedTuple

from conductor_actors.actors.messages import Passivate
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import PooledMailbox
from conductor_actors.domain.identity import SessionKey
from conductor_actors.log_events import (
    SessionFigures,
    SessionStats,
    TenantFigures,
    TenantStats,
    emit,
)
from conductor_actors.ports import Clock

MAX_PER_RANKING: Final = 20  # there are four rankings, and the sessions that do not run
MAX_TENANT_ROWS: Final = 50


class SessionActivity(NamedTuple):
    """What one session has handled since the last report, and how much mail it has."""

    mailbox: PooledMailbox
    mailbox_depth: int
    handled: int
    busy_s: float
    oldest_s: float


@dataclass(slots=True)
class TenantActivity:
    """The activity of all sessions of a tenant."""

    tenant: str
    sessions: int = 0
    quarantined: int = 0
    mailbox_depth: int = 0
    handled: int = 0
    busy_s: float = 0.0
    oldest_s: float = 0.0
    refused: int = 0

    def add(self, one: SessionActivity) -> None:
        """Add a session."""
        self.sessions += 1
        self.quarantined += one.mailbox.is_closed
        self.mailbox_depth += one.mailbox_depth
        self.handled += one.handled
        self.busy_s += one.busy_s
        self.oldest_s = max(self.oldest_s, one.oldest_s)
        self.refused += one.mailbox.refused


class TopSessions:
    """Reports the sessions with the highest figures, and the busiest tenants."""

    def __init__(self, dispatcher: Dispatcher, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._before: dict[PooledMailbox, tuple[int, float]] = {}
        self._reported_s = clock()

    def report(self) -> None:
        """Report the activity since the last report."""
        now_s = self._clock()
        over_s, self._reported_s = max(now_s - self._reported_s, 1e-3), now_s
        sessions = self._measure(now_s)
        emit(
            SessionStats(
                count=len(sessions),
                sessions=[_session_figures(one, over_s) for one in _top(sessions)],
            )
        )
        tenants = _by_tenant(sessions)
        busiest = nlargest(MAX_TENANT_ROWS, tenants, key=attrgetter("mailbox_depth", "busy_s"))
        emit(
            TenantStats(
                count=len(tenants), tenants=[_tenant_figures(each, over_s) for each in busiest]
            )
        )

    def _measure(self, now_s: float) -> list[SessionActivity]:
        before, self._before = self._before, {}
        sessions = []
        for mailbox in self._dispatcher.mailboxes():
            total = mailbox.handled, mailbox.busy_s
            handled, busy_s = before.get(mailbox, (0, 0.0))
            self._before[mailbox] = total
            sessions.append(
                SessionActivity(
                    mailbox,
                    mailbox.depth(),
                    total[0] - handled,
                    total[1] - busy_s,
                    mailbox.oldest_s(now_s),
                )
            )
        return sessions


def _top(sessions: list[SessionActivity]) -> Iterable[SessionActivity]:
    """Return the sessions that lead in a figure or do not run, each once."""
    waiting = [one for one in sessions if one.mailbox_depth]
    top = [
        *nlargest(MAX_PER_RANKING, waiting, key=attrgetter("mailbox_depth")),
        *nlargest(MAX_PER_RANKING, waiting, key=attrgetter("oldest_s")),
        *nlargest(MAX_PER_RANKING, sessions, key=attrgetter("busy_s")),
        *nlargest(MAX_PER_RANKING, sessions, key=attrgetter("handled")),
        *[one for one in sessions if one.mailbox.run is None][:MAX_PER_RANKING],
    ]
    return {one.mailbox: one for one in top}.values()


def _by_tenant(sessions: list[SessionActivity]) -> list[TenantActivity]:
    totals: dict[str, TenantActivity] = {}
    for one in sessions:
        tenant = SessionKey.parse(one.mailbox.name).tenant_id
        if tenant not in totals:
            totals[tenant] = TenantActivity(tenant)
        totals[tenant].add(one)
    return [*totals.values()]


def _session_figures(one: SessionActivity, over_s: float) -> SessionFigures:
    tenant, session = SessionKey.parse(one.mailbox.name)
    handled_per_s, busy_share, oldest_s = _rates(one, over_s)
    return SessionFigures(
        tenant,
        session,
        _state(one.mailbox),
        one.mailbox_depth,
        handled_per_s,
        busy_share,
        oldest_s,
        one.mailbox.refused,
    )


def _tenant_figures(one: TenantActivity, over_s: float) -> TenantFigures:
    handled_per_s, busy_share, oldest_s = _rates(one, over_s)
    return TenantFigures(
        one.tenant,
        one.sessions,
        one.quarantined,
        one.mailbox_depth,
        handled_per_s,
        busy_share,
        oldest_s,
        one.refused,
    )


def _rates(one: SessionActivity | TenantActivity, over_s: float) -> tuple[float, float, float]:
    return round(one.handled / over_s, 2), round(one.busy_s / over_s, 7), round(one.oldest_s, 3)


def _state(mailbox: PooledMailbox) -> str:
    if mailbox.is_closed:
        return "quarantined"
    if mailbox.run is None:
        return "restarting"
    mail = mailbox.mail
    if mail and isinstance(mail[-1].message, Passivate):
        return "passivating"
    return "running"
