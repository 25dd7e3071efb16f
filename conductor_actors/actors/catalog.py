"""The actor that looks after sessions that are over: it ends lost ones, and stores figures."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from conductor_actors.actors.messages import IntervalElapsed
from conductor_actors.actors.runtime.base import ActorContext, SystemActor
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import LostSessionsEnded, SessionsSummarised, emit
from conductor_actors.outages import Backoff
from conductor_actors.ports.catalog_port import SessionCatalog

MAX_CATALOG_BACKOFF_S: Final = 60.0
LOST_SESSIONS_INTERVAL_S: Final = 60.0
ADOPTION_INTERVAL_S: Final = 600.0
LOST_MARGIN_MS: Final = 600_000  # longer than a session is in quarantine
SUMMARY_BATCH: Final = 100
END_BATCH: Final = 1000
MAX_PASS_S: Final = 5.0  # then other messages are handled


class CatalogScope(NamedTuple):
    """What a collector is responsible for.

    `stored_until` returns the tick up to which all rows are stored; None if that is not certain.
    One collector `summarises` the sessions of all. Each looks for lost ones at its interval.
    """

    is_own: Callable[[SessionKey], bool]
    stored_until: Callable[[], int | None]
    timeout_ms: int
    summarises: bool
    search_interval_s: float = LOST_SESSIONS_INTERVAL_S


class CatalogActor(SystemActor):
    """Works at each interval, on a connection of its own: rows never wait for it.

    A session ends with its last row. If its collector is lost before, it is ended here, but only
    while the database has every row up to a tick: a session without a row for much longer than its
    timeout before that tick has none. After an outage of Redis, the ticks come before the rows, so
    the tick is the one of the interval before.
    """

    def __init__(
        self, context: ActorContext[ThreadMailbox], catalog: SessionCatalog, scope: CatalogScope
    ) -> None:
        super().__init__(context)
        self._catalog = catalog
        self._scope = scope
        self._clock = context.mailbox.clock
        self._backoff = Backoff("database catalog", MAX_CATALOG_BACKOFF_S, self._clock)
        self._stored_until_ms: int | None = None
        self._next_search_s = self._next_adoption_s = self._clock()

    def on_start(self) -> None:
        self._context.mailbox.remind(IntervalElapsed())

    def on_receive(self, message: IntervalElapsed) -> None:
        del message
        if self._backoff.is_over():
            with suppress(Unavailable, ConfigError), self._backoff.attempt():
                if self._scope.summarises:
                    self._adopt()
                self._end_lost()
                if self._scope.summarises:
                    self._summarise()

    def _adopt(self) -> None:
        """Add what an earlier version leaves out. If it takes too long, all else goes on."""
        if self._clock() >= self._next_adoption_s:
            self._next_adoption_s = self._clock() + ADOPTION_INTERVAL_S
            with suppress(Unavailable):
                self._catalog.adopt()

    def _end_lost(self) -> None:
        before_ms, self._stored_until_ms = self._stored_until_ms, self._scope.stored_until()
        if before_ms is None or self._stored_until_ms is None:
            return
        if self._clock() < self._next_search_s:
            return
        self._next_search_s = self._clock() + self._scope.search_interval_s
        found = self._catalog.find_lost(before_ms - self._scope.timeout_ms - LOST_MARGIN_MS)
        lost = [session for session in found if self._scope.is_own(session.key)]
        ended = 0
        for first in range(0, len(lost), END_BATCH):
            ended += self._catalog.end(lost[first : first + END_BATCH])
        if ended:
            self._next_search_s = self._clock()  # there may be more
            emit(LostSessionsEnded(sessions=ended))

    def _summarise(self) -> None:
        began_s, summarised = self._clock(), 0
        found = self._catalog.find_unsummarised(SUMMARY_BATCH)
        for session in found:
            summarised += self._catalog.summarise(session)
            if self._clock() - began_s > MAX_PASS_S or not self._context.mailbox.empty():
                break
        if summarised:
            duration_s = round(self._clock() - began_s, 3)
            emit(SessionsSummarised(sessions=summarised, duration_s=duration_s))
            if summarised < len(found) or len(found) == SUMMARY_BATCH:
                self._context.mailbox.remind(IntervalElapsed())  # there may be more
