"""Statistics of actors, sessions and tenants in the log, and handlers that take too long."""

import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nlargest
from importlib.metadata import version
from operator import attrgetter
from typing import Final, NamedTuple

from conductor_actors.actors.messages import Passivate, RefusedEvents
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import PooledMailbox, ThreadMailbox
from conductor_actors.actors.session_supervisor import SessionSupervisor
from conductor_actors.domain.identity import SessionKey
from conductor_actors.log_events import (
    VERSION,
    ActorStats,
    EventsRefused,
    HandlerSlow,
    ServiceStats,
    SessionFigures,
    SessionStats,
    TenantFigures,
    TenantStats,
    emit,
)
from conductor_actors.ports import Clock

STATS_PERIOD_S: Final = 5.0
SLOW_HANDLER_S: Final = 1.0


class Stats:
    """Reports each kind of actor every 5 s, and a handler slower than 1 s at once."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        sessions: SessionSupervisor,
        mailboxes: Mapping[str, ThreadMailbox],
        clock: Clock,
    ) -> None:
        self._dispatcher = dispatcher
        self._sessions = sessions
        self._mailboxes = mailboxes
        self._clock = clock
        self._failures: Counter[str] = Counter()
        self._refused: Counter[tuple[str, str]] = Counter()
        self._top_sessions = TopSessions(dispatcher, clock)
        self._version = version("conductor-actors")
        self._began_s = clock()
        self._next_s = self._began_s + STATS_PERIOD_S

    def count_failure(self, name: str) -> None:
        """Count the failure of a system actor."""
        self._failures[name] += 1

    def count_refused(self, refused: RefusedEvents) -> None:
        """Count events that a session refused."""
        self._refused[refused.tenant, refused.reason] += refused.events

    def report(self) -> None:
        """Report slow handlers and, every 5 s, the statistics."""
        self._report_slow_handlers()
        if self._clock() < self._next_s:
            return
        self._next_s = self._clock() + STATS_PERIOD_S
        self._report_service()
        self._report_sessions()
        refused, self._refused = self._refused, Counter()
        report_refused(refused)
        for name, mailbox in self._mailboxes.items():
            emit(
                ActorStats(
                    kind=name,
                    count=1,
                    mailbox_depth=mailbox.depth(),
                    handled=mailbox.handled,
                    oldest_s=round(mailbox.oldest_s(), 3),
                    failures=self._failures[name],
                )
            )
        self._top_sessions.report()

    def _report_service(self) -> None:
        emit(
            ServiceStats(
                version=self._version,
                vocabulary=VERSION,
                uptime_s=round(self._clock() - self._began_s),
                cpu_s=round(time.process_time(), 2),
            )
        )

    def _report_sessions(self) -> None:
        emit(
            ActorStats(
                kind="session",
                count=len(self._sessions),
                mailbox_depth=self._dispatcher.waiting,
                handled=self._dispatcher.handled,
                oldest_s=round(self._dispatcher.oldest_s(), 3),
                failures=self._sessions.failures,
                quarantined=self._sessions.quarantined,
                refused=self._dispatcher.refused,
            )
        )

    def _report_slow_handlers(self) -> None:
        for turn in self._dispatcher.slow_turns(SLOW_HANDLER_S):
            frame = sys._current_frames().get(turn.thread_id)  # noqa: SLF001 - its documented use
            emit(
                HandlerSlow(
                    name=turn.name,
                    running_s=round(turn.running_s, 1),
                    stack="".join(traceback.format_stack(frame)),
                )
            )


def report_refused(refused: Mapping[tuple[str, str], int]) -> None:
    """Report the events over a limit, by tenant and limit, since the last report."""
    for (tenant, reason), events in refused.items():
        emit(EventsRefused(tenant=tenant, reason=reason, events=events))


MAX_PER_RANKING: Final = 20  # sessions that lead in one of four figures, or do not run
MAX_TENANT_ROWS: Final = 50


class SessionActivity(NamedTuple):
    """What one session did since the last report, and what waits for it."""

    mailbox: PooledMailbox
    mailbox_depth: int
    handled: int
    busy_s: float
    oldest_s: float


@dataclass(slots=True)
class TenantActivity:
    """The activity of a tenant's sessions together."""

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
        sessions = self._count(now_s)
        emit(
            SessionStats(
                count=len(sessions),
                sessions=[_session(one, over_s) for one in _leading(sessions)],
            )
        )
        tenants = _by_tenant(sessions)
        busiest = nlargest(MAX_TENANT_ROWS, tenants, key=attrgetter("mailbox_depth", "busy_s"))
        emit(TenantStats(count=len(tenants), tenants=[_tenant(each, over_s) for each in busiest]))

    def _count(self, now_s: float) -> list[SessionActivity]:
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


def _leading(sessions: list[SessionActivity]) -> Iterable[SessionActivity]:
    """Return the sessions that lead in a figure or do not run, once each."""
    waiting = [one for one in sessions if one.mailbox_depth]
    leading = [
        *nlargest(MAX_PER_RANKING, waiting, key=attrgetter("mailbox_depth")),
        *nlargest(MAX_PER_RANKING, waiting, key=attrgetter("oldest_s")),
        *nlargest(MAX_PER_RANKING, sessions, key=attrgetter("busy_s")),
        *nlargest(MAX_PER_RANKING, sessions, key=attrgetter("handled")),
        *[one for one in sessions if one.mailbox.run is None][:MAX_PER_RANKING],
    ]
    return {one.mailbox: one for one in leading}.values()


def _by_tenant(sessions: list[SessionActivity]) -> list[TenantActivity]:
    totals: dict[str, TenantActivity] = {}
    for one in sessions:
        tenant = SessionKey.parse(one.mailbox.name).tenant_id
        if tenant not in totals:
            totals[tenant] = TenantActivity(tenant)
        totals[tenant].add(one)
    return [*totals.values()]


def _session(one: SessionActivity, over_s: float) -> SessionFigures:
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


def _tenant(one: TenantActivity, over_s: float) -> TenantFigures:
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
