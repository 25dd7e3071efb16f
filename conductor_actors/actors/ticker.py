"""The actor that broadcasts each tick to every session when it is due."""

import time
from collections.abc import Callable
from typing import Protocol, assert_never

from conductor_actors.actors.latch import Latch
from conductor_actors.actors.messages import (
    StartTicking,
    Tick,
    TickerMessage,
    TicksBroadcast,
    WatermarkReached,
)
from conductor_actors.actors.runtime.base import ActorContext, SystemActor
from conductor_actors.actors.runtime.mailbox import (
    BACK_PRESSURE_POLL_S,
    Mailbox,
    ThreadMailbox,
)
from conductor_actors.domain.ticks import LIVE_MS, TickDue, TickSchedule
from conductor_actors.log_events import TickBroadcast, emit


class Broadcaster(Protocol):
    """The mailboxes of all sessions."""

    def count_listening(self) -> int:
        """Count the sessions that accept mail."""

    def broadcast(self, tick: Tick) -> None:
        """Deliver a tick to every session, after the events that were gathered for it."""


class TickerActor(SystemActor):
    """A switch over `TickerMessage`.

    The Router reports the watermark, and dispatches nothing until the ticks that are due by then
    were broadcast. So in every mailbox a tick follows all earlier events and precedes all others.
    """

    def __init__(
        self,
        context: ActorContext[ThreadMailbox],
        schedule: TickSchedule,
        sessions: Broadcaster,
        router: Mailbox,
        is_full: Callable[[], bool],
    ) -> None:
        super().__init__(context)
        self._schedule = schedule
        self._sessions = sessions
        self._router = router
        self._is_full = is_full

    def on_start(self) -> None:
        self._reply()  # the Router may be waiting for a predecessor that failed

    def on_receive(self, message: TickerMessage) -> None:
        match message:
            case WatermarkReached(watermark, now_ms):
                for due in self._schedule.due(watermark):
                    self._broadcast(due, now_ms)
                self._reply()
            case StartTicking(at_ms):
                self._schedule.start_at(at_ms)
            case _:
                assert_never(message)

    def _broadcast(self, due: TickDue, now_ms: int) -> None:
        while self._is_full():  # so that events wait in Redis and not in memory
            time.sleep(BACK_PRESSURE_POLL_S)
        lag_ms = now_ms - due.at_ms
        began_s = self._context.mailbox.clock()
        latch = Latch(self._sessions.count_listening(), began_s, lag_ms / 1000)
        emit(TickBroadcast(tick_at_ms=due.at_ms, sessions=latch.total, lag_s=lag_ms / 1000))
        tick = Tick(due.at_ms, lag_ms <= LIVE_MS, latch, due.marks, due.directives)
        self._sessions.broadcast(tick)

    def _reply(self) -> None:
        self._router.tell(TicksBroadcast(self._schedule.position))
