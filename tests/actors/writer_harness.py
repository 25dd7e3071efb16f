"""A Writer with a slow store, an outbox in memory and a fake clock."""

import threading
from collections.abc import Sequence

from structlog.typing import EventDict

from conductor_actors.actors.messages import Flush, IntervalElapsed, Scored
from conductor_actors.actors.runtime.base import ActorContext
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.actors.writer import MAX_BACKOFF_S, Sinks, WriterActor
from conductor_actors.domain.backlog import Backlog, Batch
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import Unavailable
from conductor_actors.ports import WriteResult
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.memory_outbox import MemoryOutbox
from tests.support.fakes.memory_store import MemoryStore
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import row

MAX_ROWS = 3
MAX_AGE_S = 0.5
MAX_MEMORY_ROWS = 7
UNAVAILABLE = Unavailable("connection refused")


def make_rows(count: int, first: int = 0) -> list[ScoreRow]:
    return [row(f"session-{number}") for number in range(first, first + count)]


def lines_named(lines: list[EventDict], *events: str) -> list[EventDict]:
    return [line for line in lines if line["event"] in events]


class SlowStore(MemoryStore):
    """A store whose writes take `takes_s`. A write that fails still stores the first half."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self.takes_s = 0.0
        self.attempts: list[int] = []
        self.waiting: Sequence[ScoreRow] = ()

    def write(self, rows: Sequence[ScoreRow], waiting: Sequence[ScoreRow] = ()) -> WriteResult:
        self.attempts.append(len(rows))
        self.waiting = waiting
        self._clock.advance(self.takes_s)
        outage, self.outage = self.outage, None
        if outage is None:
            return super().write(rows, waiting)
        super().write(rows[: len(rows) // 2])
        self.outage = outage
        raise outage

    def recover(self) -> None:
        """End the outage, and forget the rows that failed writes stored."""
        self.outage = None
        self.rows.clear()


class WriterHarness:
    """A Writer without a thread: the test calls its handler. `start_writer` replaces it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.mailbox = ThreadMailbox(self.clock)
        self.store = SlowStore(self.clock)
        self.outbox = MemoryOutbox(entry_rows=2)
        self.give_up = threading.Event()
        self.dead_letters, self.supervisor = RecordingMailbox(), RecordingMailbox()
        self.checkpointer = RecordingMailbox()
        self.start_process()

    def start_process(self) -> None:
        """Start a process, which has nothing in memory."""
        self.backlog = Backlog(Batch[ScoreRow](MAX_ROWS, MAX_AGE_S), MAX_MEMORY_ROWS)
        self.start_writer()

    def start_writer(self) -> None:
        """Start a Writer with the backlog of its predecessor."""
        self.writer = WriterActor(*self.parts())

    def parts(
        self,
    ) -> tuple[
        ActorContext[ThreadMailbox], Sinks, Backlog[ScoreRow], RecordingMailbox, threading.Event
    ]:
        context = ActorContext("writer", self.mailbox, self.supervisor)
        sinks = Sinks(self.store, self.outbox)
        return context, sinks, self.backlog, self.dead_letters, self.give_up

    def send(self, rows: Sequence[ScoreRow]) -> None:
        for each in rows:
            self.writer.on_receive(Scored([each]))

    def flush(self, number: int = 1) -> None:
        self.writer.on_receive(Flush(number, self.checkpointer))

    def pass_time(self, by_s: float = MAX_BACKOFF_S) -> None:
        """Let the longest pause between two attempts pass, or less."""
        self.clock.advance(by_s)
        self.writer.on_receive(IntervalElapsed())

    @property
    def stored(self) -> list[ScoreRow]:
        return list(self.store.rows.values())
