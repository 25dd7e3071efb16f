"""Reads events, and tells each session once per read what happened, and every tick."""

import time
from collections import Counter
from collections.abc import Callable
from random import random
from typing import Final, NamedTuple, assert_never

import structlog

from conductor_actors.actors.base import Place, SystemActor
from conductor_actors.actors.mailbox import Mailbox, ThreadMailbox
from conductor_actors.actors.messages import (
    Countdown,
    ReadNext,
    RouterMessage,
    Tick,
    TimePassed,
    Undeliverable,
)
from conductor_actors.actors.outage import Outage
from conductor_actors.actors.routes import Routes
from conductor_actors.domain.intake import EventsBySession, Intake, Rejected, TickDue
from conductor_actors.errors import Unavailable
from conductor_actors.ports import DeadLetter, EventSource, Gap, Read

log = structlog.get_logger()

LIVE_MS: Final = 15_000  # ticks older than this are stored, no longer announced
FULL_PAUSE_S: Final = 0.005
OUTAGE_PAUSE_S: Final = 1.0


class Downstream(NamedTuple):
    """What the Router looks at before it reads on: Redis is the buffer, not our memory."""

    depths: tuple[Callable[[], int], ...]
    limit: int
    dead_letters: Mailbox

    def is_full(self) -> bool:
        """Tell whether a mailbox has reached the limit."""
        return any(depth() >= self.limit for depth in self.depths)


class RouterActor(SystemActor):
    """A switch over `RouterMessage`. Back-pressure is by pulling: it reads while there is room."""

    def __init__(
        self,
        place: Place[ThreadMailbox],
        source: EventSource,
        intake: Intake,
        routes: Routes,
        downstream: Downstream,
    ) -> None:
        super().__init__(place)
        self._source = source
        self._intake = intake
        self._routes = routes
        self._downstream = downstream
        self._outage = Outage("redis events", place.mailbox.clock)
        self._rejected: Counter[tuple[str, str]] = Counter()

    def on_start(self) -> None:
        self._next = ReadNext()
        self._place.mailbox.tell(self._next)

    def on_receive(self, message: RouterMessage) -> None:
        match message:
            case ReadNext():
                if message is self._next:  # not a failed predecessor's, which is still in the mail
                    self._read_next()
                    self._place.mailbox.tell(message)
            case TimePassed():
                self._report()
            case _:
                assert_never(message)

    def _read_next(self) -> None:
        if self._downstream.is_full():
            self._place.mailbox.wait(FULL_PAUSE_S)
            return
        try:
            read = self._source.read()
        except Unavailable as error:
            self._outage.goes_on(error)
            self._place.mailbox.wait(random() * OUTAGE_PAUSE_S)  # noqa: S311 - jitter
            return
        self._outage.is_over()
        self._route(read)

    def _route(self, read: Read) -> None:
        if read.first_tick_ms is not None:
            self._intake.no_tick_before(read.first_tick_ms)
        for gap in read.gaps:
            _warn_of(gap)
        for step in self._intake.take(read.entries, read.watermark_ms):
            match step:
                case EventsBySession():
                    self._routes.deliver(step)
                case TickDue(at_ms):
                    self._tick(at_ms, read.now_ms)
        self._routes.passivate(read.watermark_ms)
        self._put_aside()

    def _tick(self, at_ms: int, now_ms: int) -> None:
        while self._downstream.is_full():
            time.sleep(FULL_PAUSE_S)
        self._routes.passivate(at_ms)
        lag_ms = now_ms - at_ms
        began_s = self._place.mailbox.clock()
        countdown = Countdown(self._routes.listening(), began_s, lag_ms / 1000)
        self._routes.broadcast(Tick(at_ms, lag_ms <= LIVE_MS, countdown))

    def _put_aside(self) -> None:
        """Count what is no event, and send it to the dead letters; its text is never logged."""
        rejected, self._intake.rejected = self._intake.rejected, []
        if rejected:
            self._rejected.update((each.entry[2], each.reason) for each in rejected)
            letters = [_letter(each) for each in rejected]
            self._downstream.dead_letters.tell(Undeliverable(letters))

    def _report(self) -> None:
        intake = self._intake
        log.info(
            "events_routed",
            events=intake.counted,
            skipped=intake.skipped,
            sessions=len(self._routes),
        )
        intake.counted = intake.skipped = 0
        for (source, reason), events in self._rejected.items():
            log.warning("events_invalid", source=source, reason=reason, events=events)
        self._rejected.clear()

    def on_stop(self) -> None:
        self._report()
        self._source.close()


def _letter(rejected: Rejected) -> DeadLetter:
    ms, sequence, name, body = rejected.entry
    return DeadLetter(name, f"{ms}-{sequence}", rejected.reason, body)


def _warn_of(gap: Gap) -> None:
    log.warning("gap_detected", tenant=gap.tenant, reason=gap.reason, lost_events=gap.lost)
