"""Reads events, and tells each session at every tick what happened before it."""

import time
from collections import Counter
from collections.abc import Callable
from random import random
from typing import Final, NamedTuple, assert_never

from conductor_actors.actors.messages import (
    Barrier,
    BarrierPassed,
    Committed,
    Latch,
    ReadNext,
    RequireFull,
    RouterMessage,
    Tick,
    TimePassed,
    Undeliverable,
)
from conductor_actors.actors.runtime.base import ActorContext, SystemActor
from conductor_actors.actors.runtime.mailbox import Mailbox, ThreadMailbox
from conductor_actors.actors.session_table import SessionTable
from conductor_actors.actors.stats import warn_of_refused
from conductor_actors.domain.checkpoints import Header
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.intake import LIVE_MS, EventsBySession, Intake, Rejected, TickDue
from conductor_actors.errors import Unavailable
from conductor_actors.log_events import EventsInvalid, EventsRouted, GapDetected, emit
from conductor_actors.outages import Outage
from conductor_actors.ports import DeadLetter, EventSource, Read

FULL_PAUSE_S: Final = 0.005
OUTAGE_PAUSE_S: Final = 0.5


class Downstream(NamedTuple):
    """What the Router looks at before it reads on: Redis is the buffer, not our memory.

    And whom it tells what is not for sessions.
    """

    depths: tuple[Callable[[], int], ...]
    limit: int
    dead_letters: Mailbox
    checkpointer: Mailbox

    def is_full(self) -> bool:
        """Tell whether a mailbox has reached the limit."""
        return any(depth() >= self.limit for depth in self.depths)


class RouterActor(SystemActor):
    """A switch over `RouterMessage`. Back-pressure is by pulling: it reads while there is room.

    A checkpoint is cut behind a read that was routed whole: then the source's position, the
    intake and every session's mail say the same.
    """

    def __init__(
        self,
        context: ActorContext[ThreadMailbox],
        source: EventSource,
        intake: Intake,
        session_table: SessionTable,
        downstream: Downstream,
    ) -> None:
        super().__init__(context)
        self._source = source
        self._intake = intake
        self._sessions = session_table
        self._downstream = downstream
        self._outage = Outage("redis events", context.mailbox.clock)
        self._rejected: Counter[tuple[str, str]] = Counter()
        self._is_barrier_wanted = False
        self._has_routed = False

    def on_start(self) -> None:
        self._next = ReadNext()
        self._context.mailbox.tell(self._next)

    def on_receive(self, message: RouterMessage) -> None:
        match message:
            case ReadNext():
                if message is self._next:  # not a failed predecessor's, which is still in the mail
                    self._read_next()
                    self._context.mailbox.tell(message)
            case TimePassed():
                self._report()
            case Barrier():
                self._is_barrier_wanted = True
            case Committed(number):
                self._sessions.dirty.committed(number)
            case RequireFull():
                self._sessions.dirty.require_full()
            case _:
                assert_never(message)

    def _read_next(self) -> None:
        if self._downstream.is_full():
            self._context.mailbox.wait(FULL_PAUSE_S)
            return
        try:
            read = self._source.read()
        except Unavailable as error:
            self._outage.failed(error)
            self._context.mailbox.wait(random() * OUTAGE_PAUSE_S)  # noqa: S311 - jitter
            return
        self._outage.worked()
        self._route(read)
        self._has_routed = True
        if self._is_barrier_wanted:
            self._is_barrier_wanted = False
            self._pass_barrier()

    def _route(self, read: Read) -> None:
        if read.first_tick_ms is not None:
            self._intake.no_tick_before(read.first_tick_ms)
        for gap in read.gaps:
            _warn_of(gap)
            self._intake.gaps.add(gap)
        for step in self._intake.take(read.entries, read.watermark_ms):
            match step:
                case EventsBySession():
                    self._sessions.deliver(step)
                case TickDue():
                    self._tick(step, read.now_ms)
        if not self._intake.holds_events:  # else the next tick sees to it
            self._sessions.passivate(read.watermark_ms)
        self._put_aside()

    def _tick(self, due: TickDue, now_ms: int) -> None:
        at_ms = due.at_ms
        while self._downstream.is_full():
            time.sleep(FULL_PAUSE_S)
        self._sessions.passivate(at_ms)
        lag_ms = now_ms - at_ms
        began_s = self._context.mailbox.clock()
        countdown = Latch(self._sessions.listening(), began_s, lag_ms / 1000)
        self._sessions.broadcast(Tick(at_ms, lag_ms <= LIVE_MS, countdown, due.marks))

    def _pass_barrier(self) -> None:
        self._sessions.deliver(self._intake.rest())
        contents = self._sessions.begin_checkpoint()
        intake = self._intake
        header = Header(contents.number, intake.window_s, self._source.position(), intake.state())
        checkpointer = self._downstream.checkpointer
        checkpointer.tell(BarrierPassed(header, contents.ended, contents.is_full))
        self._sessions.snapshot(contents, checkpointer, self._context.mailbox.clock())

    def _put_aside(self) -> None:
        """Count what is no event, and send it to the dead letters; its text is never logged."""
        rejected, self._intake.rejected = self._intake.rejected, []
        if rejected:
            self._rejected.update((each.entry[2], each.reason) for each in rejected)
            letters = [_letter(each) for each in rejected]
            self._downstream.dead_letters.tell(Undeliverable(letters))

    def _report(self) -> None:
        intake = self._intake
        emit(
            EventsRouted(
                events=intake.counted, skipped=intake.skipped, sessions=len(self._sessions)
            )
        )
        intake.counted = intake.skipped = 0
        for (source, reason), events in self._rejected.items():
            emit(EventsInvalid(source=source, reason=reason, events=events))
        self._rejected.clear()
        warn_of_refused(intake.quotas.take_refused())

    def on_stop(self) -> None:
        if self._has_routed:
            self._pass_barrier()
        self._report()
        self._source.close()


def _letter(rejected: Rejected) -> DeadLetter:
    ms, sequence, name, body = rejected.entry
    return DeadLetter(name, f"{ms}-{sequence}", rejected.reason, body)


def _warn_of(gap: Gap) -> None:
    emit(GapDetected(tenant=gap.tenant, reason=gap.reason, lost_events=gap.lost))
