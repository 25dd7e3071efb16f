"""What is counted: rounds of one tick each, with events or without, and single steps."""

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from conductor_actors import log_events
from conductor_actors.log_events import CheckpointCommitted, LogEvent, TickCompleted
from conductor_actors.observability import logs
from conductor_actors.settings import Settings
from conductor_actors.wire.updates import decode_update, encode_update, update_of
from tests.benchmarks.counted_ports import SwitchedSource, counted_ports
from tests.benchmarks.counted_sizes import EVENTS, FEW_SESSIONS, HOT_EVENTS, SESSIONS, UPDATES
from tests.benchmarks.raw_redis import RawRedis, command
from tests.benchmarks.sections import Sections
from tests.benchmarks.stepped_collector import SteppedCollector
from tests.benchmarks.stopped_clock import StoppedClock
from tests.support.score_rows import row

COUNTED_ROUNDS: Final = 3
ROUNDS_TO_FILL_WINDOWS: Final = 6  # each has one tick with events and one without
TICK_S: Final = 5
WINDOW_S: Final = 60
BEGAN_MS: Final = 1_767_528_000_500  # half a second after a tick, as each round begins
RECEIVE_POLL_S: Final = 0.25


class CountedWork:
    """A collector, its Redis and its clock, which each round advances by one tick."""

    def __init__(self, url: str, clock: StoppedClock, sections: Sections) -> None:
        logs.configure("info", "json", open(os.devnull, "w"))  # noqa: PTH123, SIM115
        self._logged: dict[type[LogEvent], LogEvent] = {}
        log_events.subscribe(self._record)
        self._redis = RawRedis(url)
        self._clock = clock
        self._sections = sections
        self._now_ms = BEGAN_MS
        self._fills = 0
        self._advance(0)
        self._source = SwitchedSource(url)
        settings = Settings(_env_file=None, tick_s=TICK_S, window_s=WINDOW_S)  # type: ignore[call-arg]
        self._collector = SteppedCollector(settings, counted_ports(url, self._source))

    def run(self) -> None:
        self._begin_sessions()
        self._count_rounds("streams", EVENTS, ROUNDS_TO_FILL_WINDOWS)
        self._empty_windows()
        for _ in range(COUNTED_ROUNDS):
            self._count("idle ticks", self._round)
            self._count("read", self._collector.read)
        self._count_rounds("hot", HOT_EVENTS)
        self._empty_windows()
        self._source.switch()
        self._collector.read()  # returns when it is subscribed
        self._count_rounds("pubsub", EVENTS)
        self._count_updates()

    def _begin_sessions(self) -> None:
        """Begin each with a join: rows of an unknown audience are stored in another way."""
        self._collector.read()  # ticks begin after the first read
        for name, sessions in (("census of few", FEW_SESSIONS), ("census", SESSIONS)):
            self._fill("joins", sessions, sessions)
            self._round()
            self._advance(TICK_S)
            self._round()
            self._count(name, lambda: self._collector.remind("supervisor"))

    def _count_rounds(self, kind: str, events: int, warm_rounds: int = 2) -> None:
        """Repeat: a round with events, a checkpoint, and a round without events."""
        for number in range(-warm_rounds, COUNTED_ROUNDS):
            self._fill(kind, events, SESSIONS)
            due = self._source.events + events
            work = partial(self._receive, due) if kind == "pubsub" else self._round
            self._count(f"{kind} with events", work, is_warm=number >= 0)
            assert self._source.events == due
            if kind == "streams" and number >= 0:
                self._count("checkpoint", self._checkpoint)
            self._count(f"{kind} without events", self._round, is_warm=number >= 0)

    def _count_updates(self) -> None:
        one = row()
        body = encode_update(update_of(one))

        def encode() -> None:
            for _ in range(UPDATES):
                encode_update(update_of(one))

        def decode() -> None:
            for _ in range(UPDATES):
                decode_update("default", body)

        for _ in range(COUNTED_ROUNDS):
            self._count("updates encoded", encode)
            self._count("updates decoded", decode)

    def _count(self, name: str, work: Callable[[], None], *, is_warm: bool = True) -> None:
        if is_warm:
            self._sections.count(name, work)
        else:
            work()

    def _round(self) -> None:
        """Read until the next tick is over."""
        self._logged.pop(TickCompleted, None)
        self._advance(TICK_S)
        while self._source.watermark_ms < self._now_ms:
            self._collector.read()
        assert TickCompleted in self._logged

    def _receive(self, due: int) -> None:
        """Publish the events, wait until all were received, and do a round."""
        self._run("RELEASE")
        while self._source.events < due:
            time.sleep(RECEIVE_POLL_S)
            self._advance(0.001)
            self._collector.read()
        self._round()

    def _checkpoint(self) -> None:
        self._logged.pop(CheckpointCommitted, None)
        self._collector.remind("checkpointer")
        self._collector.read()
        assert CheckpointCommitted in self._logged

    def _empty_windows(self) -> None:
        for _ in range(WINDOW_S // TICK_S + 1):
            self._round()

    def _fill(self, kind: str, events: int, sessions: int) -> None:
        self._fills += 1
        self._run("FILL", kind, events, sessions, self._fills, self._now_ms)

    def _advance(self, by_s: float) -> None:
        self._clock.advance(by_s)
        self._now_ms += round(by_s * 1000)
        self._run("CLOCK", self._now_ms)

    def _run(self, *parts: object) -> None:
        self._redis.pipeline(command(*parts), 1)

    def _record(self, event: LogEvent) -> None:
        self._logged[type(event)] = event
