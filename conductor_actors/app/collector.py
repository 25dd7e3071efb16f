"""The actors of the collector and their connections, in start order; they drain in reverse."""

import gc
import sys
import threading
import time
from typing import Any, Final

import pykka

from conductor_actors.actors.catalog import (
    LOST_SESSIONS_INTERVAL_S,
    CatalogActor,
    CatalogScope,
)
from conductor_actors.actors.checkpointer import CheckpointerActor
from conductor_actors.actors.conductor import ConductorActor
from conductor_actors.actors.courier import CourierActor
from conductor_actors.actors.delivery import DeliveryActor
from conductor_actors.actors.introspection import IntrospectionActor, ServiceFacts
from conductor_actors.actors.lease_keeper import LeaseKeeperActor
from conductor_actors.actors.messages import Drain, Scored
from conductor_actors.actors.publisher import PublisherActor
from conductor_actors.actors.retention import RetentionActor
from conductor_actors.actors.router import Downstream, RouterActor
from conductor_actors.actors.runtime.awake_clock import AwakeClock
from conductor_actors.actors.runtime.base import ActorContext, ChildFailed, SystemActor
from conductor_actors.actors.runtime.coalescing_mailbox import CoalescingMailbox
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.actors.session import SessionParts
from conductor_actors.actors.session_supervisor import SessionLimits, SessionSupervisor
from conductor_actors.actors.session_table import DirtySet, SessionTable
from conductor_actors.actors.stats import Stats
from conductor_actors.actors.supervisor import (
    ROUTER,
    Child,
    Outcome,
    SupervisorActor,
)
from conductor_actors.actors.ticker import TickerActor
from conductor_actors.actors.timer import Timer, TimerEntry
from conductor_actors.actors.title_writer import (
    MAX_TITLES_IN_MEMORY,
    TITLE_BATCH,
    TitleWriterActor,
)
from conductor_actors.actors.writer import Sinks, WriterActor
from conductor_actors.app.collector_ports import Ports
from conductor_actors.app.deliveries import serves_all
from conductor_actors.app.signals import DRAIN_TIMEOUT_S
from conductor_actors.app.tick_watchdog import MAX_STALL_S, TickActivity
from conductor_actors.domain.backlog import Backlog, Batch
from conductor_actors.domain.checkpoints.encoding import Recovered
from conductor_actors.domain.failures import RestartBudget
from conductor_actors.domain.intake import Intake
from conductor_actors.domain.partitions.partition import Partition, partition_of
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.domain.session_titles import TitleChange
from conductor_actors.domain.ticks import TickPosition, TickSchedule
from conductor_actors.log_events import ActorFailed, DrainBegan, DrainIncomplete, emit
from conductor_actors.settings import Settings

# State lives long and has no cycles, so the garbage collector finds nothing in it; with the default
# thresholds (700, 10, 10), traversing 10,000 sessions costs more than all other work. The first is
# more than the number of objects that a tick of 100,000 sessions allocates and frees.
GC_THRESHOLDS: Final = (500_000, 10, 10)
# Writer and Publisher wait for the interpreter lock after each reply of a server while sessions are
# scored. With the default of 5 ms they wait longer for that than for the database.
THREAD_SWITCH_INTERVAL_S: Final = 0.001
DRAIN_ABORT_AFTER_S: Final = 17.0  # leaves time to count and report what is unfinished
DATABASE_MAX_BACKOFF_S: Final = 15.0
LEASE_RENEWAL_INTERVAL_S: Final = 2.5  # the lease expires after 8 s
MAX_FLUSH_INTERVAL_S: Final = 0.5  # flushes a batch when no further rows come
SUPERVISION_INTERVAL_S: Final = 1.0
CONDUCT_INTERVAL_S: Final = 0.5  # retries what Redis did not take
MAX_DATABASE_AWAY_S: Final = 15.0  # then nothing is sent: what it leads to could not be stored
RETENTION_INTERVAL_S: Final = 3600.0
CATALOG_INTERVAL_S: Final = 7.0  # not that of ticks, because it may always fall on a busy moment
DELIVERY_INTERVAL_S: Final = 1.0  # between looks at what is due

MAX_RESTARTS: Final = 3
RESTART_WINDOW_S: Final = 60.0


class Collector:
    """Events in, rows and updates out. Start it once, drain it once.

    With a recovered checkpoint it continues from there; the source must be at its position.
    """

    def __init__(
        self,
        settings: Settings,
        ports: Ports,
        recovered: Recovered | None = None,
        partition: Partition | None = None,
    ) -> None:
        self._settings = settings
        self._ports = ports
        self._recovered = recovered
        self._partition = partition
        self._give_up = threading.Event()
        self._outcome = Outcome()
        self._awake_clock = AwakeClock()
        self._dispatcher = Dispatcher(settings.dispatcher_threads, awake_clock=self._awake_clock)
        batch: Batch[ScoreRow] = Batch(settings.batch_rows, settings.batch_age_s)
        self._backlog = Backlog(batch, settings.outbox_after_rows)
        self._titles: Batch[TitleChange] = Batch(TITLE_BATCH, settings.batch_age_s)
        self._intake = self._recovered_intake()
        self._schedule = self._recovered_schedule()
        names = ["supervisor", "introspection", "lease_keeper", "checkpointer", ROUTER, "ticker"]
        names += ["courier", "conductor", "catalog", "title_writer"]
        if settings.retention_days:
            names.append("retention")
        if ports.deliveries is not None:
            names.append("delivery")
        self._mailboxes = {name: ThreadMailbox() for name in names}
        self._to_writer: CoalescingMailbox[ScoreRow] = CoalescingMailbox(Scored)
        self._to_publisher: CoalescingMailbox[ScoreRow] = CoalescingMailbox(Scored)
        self._mailboxes |= {"writer": self._to_writer, "publisher": self._to_publisher}
        self._sessions = self._session_table()
        self._supervisor: pykka.ActorRef[SupervisorActor]
        self._timer = Timer(self._timer_entries(), self._awake_clock)

    def start(self) -> None:
        """Start every actor; return at once."""
        gc.set_threshold(*GC_THRESHOLDS)
        sys.setswitchinterval(THREAD_SWITCH_INTERVAL_S)
        supervisor = self._mailboxes["supervisor"]
        sessions = SessionSupervisor(
            self._session_parts(),
            self._settings.session_rules(),
            SessionLimits(quarantine_s=self._settings.quarantine_s),
            supervisor,
        )
        context = ActorContext("supervisor", supervisor, _RootMailbox(self._outcome))
        stats = Stats(self._dispatcher, sessions, self._mailboxes, time.monotonic)
        self._supervisor = SupervisorActor.start(
            context, self._children(), sessions, stats, self._outcome
        )
        self._timer.start()

    def wait(self, timeout_s: float) -> int | None:
        """Wait for a failure that ends the process; return its exit code, or None."""
        return self._outcome.exit_code if self._outcome.wait_failed(timeout_s) else None

    def tick_activity(self) -> TickActivity:
        """Return what was done for ticks so far. A handler that never returns is no activity."""
        hangs = bool(self._dispatcher.slow_turns(MAX_STALL_S))
        handled = 0 if hangs else self._dispatcher.handled
        is_blocked = self._backlog.overflow() > 0
        return TickActivity(self._schedule.position.next_ms, handled, is_blocked)

    def session_count(self) -> int:
        """Return the number of sessions; any thread may call this."""
        return len(self._sessions)

    def drain(self) -> int:
        """Stop reading, then score and store what was read, within 20 s; return the exit code."""
        emit(DrainBegan(within_s=DRAIN_TIMEOUT_S))
        self._mailboxes["supervisor"].tell(Drain())
        if not self._outcome.wait_drained(DRAIN_ABORT_AFTER_S):
            self._give_up.set()
            self._outcome.wait_drained(DRAIN_TIMEOUT_S - DRAIN_ABORT_AFTER_S - 1)
        self._timer.stop()
        self._supervisor.stop(block=False)
        self._report_unfinished()
        self._dispatcher.close()
        return self._outcome.exit_code

    def _report_unfinished(self) -> None:
        session_messages = self._dispatcher.waiting
        rows = len(self._backlog) + self._to_writer.items()
        updates = self._to_publisher.items()
        if session_messages or rows or updates:
            emit(DrainIncomplete(session_messages=session_messages, rows=rows, updates=updates))

    def _session_parts(self) -> SessionParts:
        return SessionParts(
            self._settings.scoring(),
            self._to_writer,
            self._to_publisher,
            self._dispatcher,
            time.monotonic,
            self._mailboxes["courier"],
            self._mailboxes["conductor"],
        )

    def _children(self) -> list[Child]:
        """List the system actors in start order, each with its restart budget."""
        settings, ports, mail = self._settings, self._ports, self._mailboxes
        session_table, downstream = self._sessions, self._downstream()
        children = [
            # First, so that it stops last: it answers requests during a drain.
            self._child(
                "introspection",
                IntrospectionActor,
                ports.introspection,
                mail["supervisor"],
                self._facts(),
            ),
            self._child("catalog", CatalogActor, ports.catalog, self._catalog_scope()),
            self._child("lease_keeper", LeaseKeeperActor, ports.lease),
            self._child(
                "ticker",
                TickerActor,
                self._schedule,
                session_table,
                mail[ROUTER],
                downstream.is_full,
            ),
            self._child("courier", CourierActor, ports.actions, self._is_database_away),
            self._child("conductor", ConductorActor, ports.policies),
            self._child("publisher", PublisherActor, ports.publisher, ports.dead_letters),
            self._child(
                "writer",
                WriterActor,
                Sinks(ports.store, ports.outbox),
                self._backlog,
                mail["publisher"],
                self._give_up,
            ),
            self._child(
                "title_writer",
                TitleWriterActor,
                ports.titles,
                self._titles,
                mail["publisher"],
            ),
            self._child(
                "checkpointer",
                CheckpointerActor,
                ports.checkpoints,
                mail[ROUTER],
                (mail["writer"], mail["publisher"], mail["conductor"], mail["title_writer"]),
                self._is_aborted,
            ),
            self._child(
                ROUTER,
                RouterActor,
                ports.source,
                self._intake,
                session_table,
                downstream,
            ),
        ]
        if settings.retention_days:
            days = settings.retention_days
            children.insert(0, self._child("retention", RetentionActor, ports.retention, days))
        if ports.deliveries is not None:
            receivers = settings.webhook_receivers()
            children.insert(0, self._child("delivery", DeliveryActor, ports.deliveries, receivers))
        return children

    def _child(
        self,
        name: str,
        actor: type[SystemActor],
        *parts: Any,  # noqa: ANN401
    ) -> Child:
        """Return a child. Its parts outlive a failure: the next actor continues with them."""

        def start(context: ActorContext[ThreadMailbox]) -> pykka.ActorRef[Any]:
            return actor.start(context, *parts)

        return Child(
            name, self._mailboxes[name], start, RestartBudget(MAX_RESTARTS, RESTART_WINDOW_S)
        )

    def _is_aborted(self) -> bool:
        """Check whether a drain can no longer complete."""
        return self._give_up.is_set() or self._outcome.wait_failed(0)

    def _is_database_away(self) -> bool:
        return self._backlog.is_away(time.monotonic(), MAX_DATABASE_AWAY_S)

    def _catalog_scope(self) -> CatalogScope:
        partition, timeout_ms = self._partition, self._settings.session_timeout_s * 1000
        return CatalogScope(
            lambda key: partition is None or partition_of(*key, partition.of) == partition.number,
            self._stored_until_ms,
            timeout_ms,
            serves_all(self._settings, partition),
            LOST_SESSIONS_INTERVAL_S * (1 if partition is None else partition.of),
        )

    def _stored_until_ms(self) -> int | None:
        """Return the last tick if no row of it can be on its way, else None."""
        passed_ms = self._schedule.position.passed_ms
        waiting = self._dispatcher.waiting + self._to_writer.items()
        return None if waiting or not self._backlog.is_empty() else passed_ms or None

    def _recovered_schedule(self) -> TickSchedule:
        rules, recovered = self._settings.intake_rules(), self._recovered
        position = recovered.header.intake.position if recovered else TickPosition()
        return TickSchedule(rules.tick_s, rules.timeout_s, rules.window_s, position)

    def _recovered_intake(self) -> Intake:
        rules, recovered = self._settings.intake_rules(), self._recovered
        intake = Intake(rules, recovered.header.intake if recovered else None)
        if recovered:
            states = recovered.states.items()
            intake.quotas.restore_sessions((key, state.last_event_ms or 0) for key, state in states)
        return intake

    def _session_table(self) -> SessionTable:
        recovered = self._recovered
        dirty = DirtySet(recovered.header.number, recovered.ended) if recovered else DirtySet()
        supervisor, timeout_s = self._mailboxes["supervisor"], self._settings.session_timeout_s
        session_table = SessionTable(self._dispatcher, supervisor, timeout_s, dirty)
        if recovered:
            session_table.restore(recovered.states)
        return session_table

    def _facts(self) -> ServiceFacts:
        return ServiceFacts(
            lambda: self._schedule.position.next_ms, self._settings.trace_destination()
        )

    def _downstream(self) -> Downstream:
        depths = (
            lambda: self._dispatcher.waiting,
            lambda: self._mailboxes["writer"].depth() + self._backlog.overflow(),
            self._mailboxes["publisher"].depth,
            lambda: self._mailboxes["title_writer"].depth() + self._excess_titles(),
        )
        return Downstream(
            depths,
            self._settings.mailbox_limit,
            self._mailboxes["ticker"],
            self._mailboxes["publisher"],
            self._mailboxes["checkpointer"],
            self._mailboxes["title_writer"],
            self._is_aborted,
            reports_gaps=self._partition is None,
        )

    def _excess_titles(self) -> int:
        """Return how many titles are in memory that neither sink takes."""
        return max(0, len(self._titles) - MAX_TITLES_IN_MEMORY)

    def _timer_entries(self) -> list[TimerEntry]:
        mail = self._mailboxes
        entries = [
            TimerEntry(mail[ROUTER], self._settings.tick_s),
            TimerEntry(mail["writer"], min(MAX_FLUSH_INTERVAL_S, self._settings.batch_age_s)),
            TimerEntry(mail["publisher"], min(MAX_FLUSH_INTERVAL_S, self._settings.tick_s)),
            TimerEntry(mail["supervisor"], SUPERVISION_INTERVAL_S),
            TimerEntry(mail["lease_keeper"], LEASE_RENEWAL_INTERVAL_S),
            TimerEntry(mail["checkpointer"], self._settings.checkpoint_s),
            TimerEntry(mail["courier"], CONDUCT_INTERVAL_S),
            TimerEntry(mail["conductor"], CONDUCT_INTERVAL_S),
            TimerEntry(mail["catalog"], CATALOG_INTERVAL_S),
            TimerEntry(mail["title_writer"], MAX_FLUSH_INTERVAL_S),
        ]
        if self._settings.retention_days:
            entries.append(TimerEntry(mail["retention"], RETENTION_INTERVAL_S))
        if self._ports.deliveries is not None:
            entries.append(TimerEntry(mail["delivery"], DELIVERY_INTERVAL_S))
        return entries


class _RootMailbox:
    """The supervisor of the Supervisor: a failure of that ends the process."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def tell(self, message: object) -> None:
        if isinstance(message, ChildFailed):
            emit(ActorFailed(actor=message.name, error=repr(message.error)))
            self._outcome.mark_failed()
            self._outcome.mark_drained()

    def depth(self) -> int:
        return 0
