"""The figures of the sessions that lead in one of them, and of the busiest tenants."""

from collections.abc import Iterable
from heapq import heappop, heappush, nlargest
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


class TenantActivity:
    """The activity of all sessions of a tenant."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.sessions = 0
        self.quarantined = 0
        self.mailbox_depth = 0
        self.handled = 0
        self.busy_s = 0.0
        self.oldest_s = 0.0
        self.refused = 0

    def add_unusual(self, one: SessionActivity) -> None:
        """Add what few of its sessions have: mail, refusals, or no mail accepted."""
        self.quarantined += one.mailbox.is_closed
        self.mailbox_depth += one.mailbox_depth
        self.oldest_s = max(self.oldest_s, one.oldest_s)
        self.refused += one.mailbox.refused


class Ranking:
    """The sessions with the highest values, at most `MAX_PER_RANKING`; of equal ones the first."""

    def __init__(self) -> None:
        self.least = float("-inf")  # no value up to this one gets a place
        self._heap: list[tuple[float, int, SessionActivity]] = []  # the last place first
        self._added = 0

    def add(self, value: float, one: SessionActivity) -> None:
        """Add a session, unless its value is too low."""
        if value <= self.least:
            return
        self._added += 1
        heappush(self._heap, (value, -self._added, one))
        if len(self._heap) > MAX_PER_RANKING:
            heappop(self._heap)
        if len(self._heap) == MAX_PER_RANKING:
            self.least = self._heap[0][0]

    def sessions(self) -> list[SessionActivity]:
        """Return the sessions, the highest value first."""
        return [one for _, _, one in sorted(self._heap, reverse=True)]


class Census:
    """The activity of tenants, and the sessions that lead in a figure or do not run.

    All sessions are visited, every time: only what all of them need is done for each.
    """

    def __init__(self, now_s: float) -> None:
        self._now_s = now_s
        self._tenants: dict[str, TenantActivity] = {}
        self._deepest, self._oldest, self._busiest, self._most_handled = (
            Ranking() for _ in range(4)
        )
        self._not_running: list[SessionActivity] = []

    def count(self, mailboxes: Iterable[PooledMailbox]) -> None:
        """Count what sessions have done since the last census."""
        tenants, busiest, most_handled = self._tenants, self._busiest, self._most_handled
        for mailbox in mailboxes:
            total, total_s = mailbox.handled, mailbox.busy_s
            handled, busy_s = total - mailbox.reported_handled, total_s - mailbox.reported_busy_s
            mailbox.reported_handled, mailbox.reported_busy_s = total, total_s
            tenant = tenants.get(mailbox.tenant) or self._add_tenant(mailbox.tenant)
            tenant.sessions += 1
            tenant.handled += handled
            tenant.busy_s += busy_s
            if (
                busy_s > busiest.least
                or handled > most_handled.least
                or mailbox.mail
                or mailbox.turn
                or mailbox.is_closed
                or mailbox.refused
                or mailbox.actor is None
            ):
                self._rank(mailbox, handled, busy_s, tenant)

    def tenants(self) -> list[TenantActivity]:
        """Return the activity of each tenant."""
        return [*self._tenants.values()]

    def top(self) -> Iterable[SessionActivity]:
        """Return the sessions that lead in a figure or do not run, each once."""
        rankings = self._deepest, self._oldest, self._busiest, self._most_handled
        top = [one for ranking in rankings for one in ranking.sessions()]
        return {one.mailbox: one for one in (*top, *self._not_running)}.values()

    def _add_tenant(self, tenant: str) -> TenantActivity:
        added = self._tenants[tenant] = TenantActivity(tenant)
        return added

    def _rank(
        self, mailbox: PooledMailbox, handled: int, busy_s: float, tenant: TenantActivity
    ) -> None:
        depth, oldest_s = mailbox.depth(), mailbox.oldest_s(self._now_s)
        one = SessionActivity(mailbox, depth, handled, busy_s, oldest_s)
        if depth:
            self._deepest.add(depth, one)
            self._oldest.add(oldest_s, one)
        self._busiest.add(busy_s, one)
        self._most_handled.add(handled, one)
        if mailbox.actor is None and len(self._not_running) < MAX_PER_RANKING:
            self._not_running.append(one)
        tenant.add_unusual(one)


class TopSessions:
    """Reports the sessions with the highest figures, and the busiest tenants."""

    def __init__(self, dispatcher: Dispatcher, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._reported_s = clock()

    def report(self) -> None:
        """Report the activity since the last report."""
        now_s = self._clock()
        over_s, self._reported_s = max(now_s - self._reported_s, 1e-3), now_s
        mailboxes, census = self._dispatcher.mailboxes(), Census(now_s)
        census.count(mailboxes)
        emit(
            SessionStats(
                count=len(mailboxes),
                sessions=[_session_figures(one, over_s) for one in census.top()],
            )
        )
        tenants = census.tenants()
        busiest = nlargest(MAX_TENANT_ROWS, tenants, key=attrgetter("mailbox_depth", "busy_s"))
        emit(
            TenantStats(
                count=len(tenants), tenants=[_tenant_figures(each, over_s) for each in busiest]
            )
        )


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
    if mailbox.actor is None:
        return "restarting"
    mail = mailbox.mail
    if mail and isinstance(mail[-1].message, Passivate):
        return "passivating"
    return "running"
