"""Reports to the log, for the Supervisor: statistics of actors, and slow handlers."""

import sys
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

from conductor_actors.actors.messages import RefusedEvents
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.actors.session_supervisor import SessionSupervisor
from conductor_actors.actors.top_sessions import TopSessions
from conductor_actors.log_events import (
    VERSION,
    ActorStats,
    EventsRefused,
    HandlerSlow,
    ServiceStats,
    emit,
)
from conductor_actors.ports import Clock

STATS_INTERVAL_S: Final = 5.0
SLOW_HANDLER_S: Final = 1.0


class Stats:
    """Reports every kind of actor every 5 s, and a handler that is slower than 1 s at each call."""

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
        self._next_s = self._began_s + STATS_INTERVAL_S

    def count_failure(self, name: str) -> None:
        """Count the failure of a system actor."""
        self._failures[name] += 1

    def count_refused(self, refused: RefusedEvents) -> None:
        """Count the events that a session refused, for the next report."""
        self._refused[refused.tenant, refused.reason] += refused.events

    def report(self) -> None:
        """Report slow handlers and, every 5 s, the statistics; call it every second."""
        self._report_slow_handlers()
        if self._clock() < self._next_s:
            return
        self._next_s = self._clock() + STATS_INTERVAL_S
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
    """Report how many events were refused, by tenant and by the limit that they exceed."""
    for (tenant, reason), events in refused.items():
        emit(EventsRefused(tenant=tenant, reason=reason, events=events))
