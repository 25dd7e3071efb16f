"""What the actors are doing, as lines of the log stream, and which handler takes too long."""

import sys
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

import structlog

from conductor_actors.actors.census import Census
from conductor_actors.actors.dispatcher import Dispatcher
from conductor_actors.actors.mailbox import ThreadMailbox
from conductor_actors.actors.messages import EventsRefused
from conductor_actors.actors.sessions import Sessions
from conductor_actors.ports import Clock
from conductor_actors.vocabulary import VERSION

log = structlog.get_logger()

REPORT_EVERY_S: Final = 5.0
SLOW_S: Final = 1.0


class Stats:
    """Speaks every 5 s of each kind of actor, and at once of a handler slower than 1 s."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        sessions: Sessions,
        mailboxes: Mapping[str, ThreadMailbox],
        clock: Clock,
    ) -> None:
        self._dispatcher = dispatcher
        self._sessions = sessions
        self._mailboxes = mailboxes
        self._clock = clock
        self._failures: Counter[str] = Counter()
        self._refused: Counter[tuple[str, str]] = Counter()
        self._census = Census(dispatcher, clock)
        self._version = version("conductor-actors")
        self._began_s = clock()
        self._next_s = self._began_s + REPORT_EVERY_S

    def count_failure(self, name: str) -> None:
        """Count the failure of a system actor."""
        self._failures[name] += 1

    def count_refused(self, refused: EventsRefused) -> None:
        """Count events that a session has refused."""
        self._refused[refused.tenant, refused.reason] += refused.events

    def report(self) -> None:
        """Look for slow handlers; every 5 s, say how each kind of actor is doing."""
        self._warn_of_slow_handlers()
        if self._clock() < self._next_s:
            return
        self._next_s = self._clock() + REPORT_EVERY_S
        self._report_service()
        self._report_sessions()
        refused, self._refused = self._refused, Counter()
        warn_of_refused(refused)
        for name, mailbox in self._mailboxes.items():
            log.info(
                "actor_stats",
                kind=name,
                count=1,
                mailbox_depth=mailbox.depth(),
                handled=mailbox.handled,
                oldest_s=round(mailbox.oldest_s(), 3),
                failures=self._failures[name],
            )
        self._census.report()

    def _report_service(self) -> None:
        log.info(
            "service_stats",
            version=self._version,
            vocabulary=VERSION,
            uptime_s=round(self._clock() - self._began_s),
            cpu_s=round(time.process_time(), 2),
        )

    def _report_sessions(self) -> None:
        log.info(
            "actor_stats",
            kind="session",
            count=len(self._sessions),
            mailbox_depth=self._dispatcher.waiting,
            handled=self._dispatcher.handled,
            oldest_s=round(self._dispatcher.oldest_s(), 3),
            failures=self._sessions.failures,
            quarantined=self._sessions.quarantined,
            refused=self._dispatcher.refused,
        )

    def _warn_of_slow_handlers(self) -> None:
        for turn in self._dispatcher.slow_turns(SLOW_S):
            frame = sys._current_frames().get(turn.thread_id)  # noqa: SLF001 - its documented use
            log.warning(
                "handler_slow",
                name=turn.name,
                running_s=round(turn.running_s, 1),
                stack="".join(traceback.format_stack(frame)),
            )


def warn_of_refused(refused: Mapping[tuple[str, str], int]) -> None:
    """Say whose events were over which limit since the last report."""
    for (tenant, reason), events in refused.items():
        log.warning("events_refused", tenant=tenant, reason=reason, events=events)
