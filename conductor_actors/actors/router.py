"""The actor that reads events and dispatches them to sessions, tick by tick."""

from collections import Counter
from collections.abc import Callable, Iterator
from random import random
from typing import Final, NamedTuple, assert_never

from conductor_actors.actors.messages import (
    Barrier,
    BarrierPassed,
    Committed,
    IntervalElapsed,
    ReadNext,
    RequireFull,
    RouterMessage,
    StartTicking,
    TicksBroadcast,
    TitlesChanged,
    Undeliverable,
    WatermarkReached,
)
from conductor_actors.actors.runtime.base import ActorContext, SystemActor
from conductor_actors.actors.runtime.mailbox import (
    BACK_PRESSURE_POLL_S,
    Mailbox,
    ThreadMailbox,
)
from conductor_actors.actors.session_table import SessionTable
from conductor_actors.actors.stats import report_refused
from conductor_actors.domain.checkpoints.encoding import Header
from conductor_actors.domain.entries import id_of
from conductor_actors.domain.intake import EventsBySession, Intake, Rejected
from conductor_actors.domain.ticks import TickPosition, Watermark
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import (
    EventKeysIgnored,
    EventsInvalid,
    EventsRouted,
    GapDetected,
    emit,
)
from conductor_actors.outages import Outage
from conductor_actors.ports import DeadLetter, EventSource, ReadResult

READ_RETRY_S: Final = 0.5


class Downstream(NamedTuple):
    """The receivers of the Router's messages, and the limit of their mailboxes.

    While one is full the Router does not read, so events wait in Redis and not in memory. The gaps
    of partitions are the same in all, so another process reports them.
    """

    depths: tuple[Callable[[], int], ...]
    limit: int
    ticker: Mailbox
    dead_letters: Mailbox
    checkpointer: Mailbox
    title_writer: Mailbox
    is_aborted: Callable[[], bool]
    reports_gaps: bool = True

    def is_full(self) -> bool:
        """Check whether a mailbox has reached the limit."""
        return any(depth() >= self.limit for depth in self.depths)


class RouterActor(SystemActor):
    """A switch over `RouterMessage`.

    It gathers the events of a read up to the next tick, tells the Ticker, and continues once the
    Ticker has broadcast the ticks that are due, the first of them together with the events. A
    checkpoint begins only after a whole read was dispatched, when the source's position, the intake
    and the sessions' mailboxes agree.
    """

    def __init__(
        self,
        context: ActorContext[ThreadMailbox],
        source: EventSource,
        intake: Intake,
        sessions: SessionTable,
        downstream: Downstream,
    ) -> None:
        super().__init__(context)
        self._source = source
        self._intake = intake
        self._sessions = sessions
        self._downstream = downstream
        self._outage = Outage("redis events", context.mailbox.clock)
        self._rejected: Counter[tuple[str, str]] = Counter()
        self._read: ReadResult | None = None  # the read that is being routed
        self._steps: Iterator[EventsBySession | Watermark] = iter(())
        self._is_barrier_requested = False
        self._has_routed = False

    def on_start(self) -> None:
        self._next = ReadNext()
        self._context.mailbox.tell(self._next)

    def on_receive(self, message: RouterMessage) -> None:
        match message:
            case ReadNext():
                if message is self._next:  # otherwise a failed predecessor sent it
                    self._read_next()
            case TicksBroadcast(position):
                self._pass_ticks(position)
            case IntervalElapsed():
                self._report()
            case Barrier():
                self._is_barrier_requested = True
            case Committed(number):
                self._sessions.dirty.mark_committed(number)
            case RequireFull():
                self._sessions.dirty.require_full()
            case _:
                assert_never(message)

    def _read_next(self) -> None:
        pause_s = 0.0
        if self._downstream.is_full():
            pause_s = BACK_PRESSURE_POLL_S
        else:
            try:
                self._read = self._source.read()
            except (Unavailable, ConfigError) as error:  # a restart would not help
                self._outage.record_failure(error)
                pause_s = random() * READ_RETRY_S  # noqa: S311 - jitter
        if self._read is None:
            self._context.mailbox.wait(pause_s)
            self._context.mailbox.tell(self._next)
        else:
            self._outage.record_success()
            self._begin_routing(self._read)

    def _begin_routing(self, read: ReadResult) -> None:
        if read.first_tick_ms is not None:
            self._intake.start_ticks_at(read.first_tick_ms)
            self._intake.start_with_directives(read.directives)
            self._downstream.ticker.tell(StartTicking(read.first_tick_ms))
        for gap in (*read.gaps, *read.clock_gaps):
            is_new = self._intake.gaps.add(gap)  # each read can extend one of the clock
            if is_new and self._downstream.reports_gaps:
                emit(GapDetected(tenant=gap.tenant, reason=gap.reason, lost_events=gap.lost))
        self._steps = self._intake.batches(read.entries, read.watermark_ms)
        self._route(read)

    def _route(self, read: ReadResult) -> None:
        """Dispatch up to the next tick, or to the end of the read."""
        for step in self._steps:
            match step:
                case EventsBySession():
                    self._sessions.gather(step)
                case Watermark():
                    self._downstream.ticker.tell(WatermarkReached(step, read.now_ms))
                    return
        self._finish_routing(read)

    def _pass_ticks(self, position: TickPosition) -> None:
        if position.next_ms is not None:
            if position.next_ms != self._intake.next_tick_ms:  # else it is from a restarted Ticker
                self._sessions.deliver_gathered()  # if no tick was due
            self._intake.pass_ticks(position)
            self._sessions.passivate(position.passed_ms)
        if self._read is not None:
            self._route(self._read)

    def _finish_routing(self, read: ReadResult) -> None:
        self._read = None
        self._sessions.deliver_gathered()
        if not self._intake.has_pending:  # otherwise the next tick does it
            self._sessions.passivate(read.watermark_ms)
        self._report_rejected()
        self._send_titles()
        self._has_routed = True
        if self._is_barrier_requested:
            self._is_barrier_requested = False
            self._pass_barrier()
        self._context.mailbox.tell(self._next)

    def _pass_barrier(self) -> None:
        self._sessions.deliver(self._intake.flush())
        contents = self._sessions.begin_checkpoint()
        intake = self._intake
        header = Header(contents.number, intake.window_s, self._source.position(), intake.state())
        checkpointer = self._downstream.checkpointer
        checkpointer.tell(BarrierPassed(header, contents.ended, contents.is_full))
        self._sessions.request_snapshots(contents, checkpointer, self._context.mailbox.clock())

    def _report_rejected(self) -> None:
        """Count invalid events and send them to the dead letters. Their content is never logged."""
        rejected, self._intake.rejected = self._intake.rejected, []
        if rejected:
            self._rejected.update((each.entry[2], each.reason) for each in rejected)
            letters = [_letter(each) for each in rejected]
            self._downstream.dead_letters.tell(Undeliverable(letters))

    def _send_titles(self) -> None:
        changes = self._intake.titles.pop()
        if changes:
            self._downstream.title_writer.tell(TitlesChanged(changes))

    def _report(self) -> None:
        intake = self._intake
        emit(
            EventsRouted(
                events=intake.accepted, skipped=intake.skipped, sessions=len(self._sessions)
            )
        )
        intake.accepted = intake.skipped = 0
        for (source, reason), events in self._rejected.items():
            emit(EventsInvalid(source=source, reason=reason, events=events))
        self._rejected.clear()
        for key, events in intake.ignored_keys.items():
            emit(EventKeysIgnored(key=key, events=events))
        intake.ignored_keys.clear()
        report_refused(intake.quotas.pop_refused())

    def on_stop(self) -> None:
        """Finish the current read, which the Ticker makes possible: it stops after the Router."""
        self._receive_until(lambda: self._read is None or self._downstream.is_aborted())
        if self._has_routed and self._read is None:
            self._pass_barrier()
        self._report()
        self._source.close()


def _letter(rejected: Rejected) -> DeadLetter:
    (ms, sequence), (_, _, name, body) = id_of(rejected.entry), rejected.entry
    return DeadLetter(name, f"{ms}-{sequence}", rejected.reason, body)
