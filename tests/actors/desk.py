"""A Writer and everything it works on."""

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
MOST = 7
AWAY = Unavailable("connection refused")


def rows_of(count: int, first: int = 0) -> list[ScoreRow]:
    return [row(f"session-{number}") for number in range(first, first + count)]


def said(lines: list[EventDict], *events: str) -> list[EventDict]:
    return [line for line in lines if line["event"] in events]


class SlowStore(MemoryStore):
    """Take `takes_s` for each write. One that fails stores the first half all the same."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self.takes_s = 0.0
        self.attempts: list[int] = []

    def write(self, rows: Sequence[ScoreRow]) -> WriteResult:
        self.attempts.append(len(rows))
        self._clock.advance(self.takes_s)
        outage, self.outage = self.outage, None
        if outage is None:
            return super().write(rows)
        super().write(rows[: len(rows) // 2])
        self.outage = outage
        raise outage

    def recover(self) -> None:
        """Be back, with nothing of what came before."""
        self.outage = None
        self.rows.clear()


class Desk:
    """The test is the Writer's thread: it hands over the mail. `die` gives it a successor."""

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
        """Begin with an empty memory."""
        self.backlog = Backlog(Batch[ScoreRow](MAX_ROWS, MAX_AGE_S), MOST)
        self.start_writer()

    def start_writer(self) -> None:
        """Begin with what a predecessor has left."""
        self.writer = WriterActor(*self.parts())

    def parts(
        self,
    ) -> tuple[
        ActorContext[ThreadMailbox], Sinks, Backlog[ScoreRow], RecordingMailbox, threading.Event
    ]:
        context = ActorContext("writer", self.mailbox, self.supervisor)
        sinks = Sinks(self.store, self.outbox)
        return context, sinks, self.backlog, self.dead_letters, self.give_up

    def tell(self, rows: Sequence[ScoreRow]) -> None:
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
