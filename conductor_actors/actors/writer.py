"""The actor that writes rows to the database; in an outage they wait in memory or the outbox."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, assert_never

import msgspec

from conductor_actors.actors.messages import (
    Flush,
    Flushed,
    IntervalElapsed,
    Scored,
    TickScored,
    Undeliverable,
    WriterMessage,
)
from conductor_actors.actors.runtime.base import ActorContext, SystemActor
from conductor_actors.actors.runtime.mailbox import Mailbox, ThreadMailbox
from conductor_actors.domain.backlog import Backlog, BacklogStep, Conditions
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import (
    BatchWritten,
    OutboxDrained,
    OutboxFound,
    RowsRefused,
    RowsSetAside,
    emit,
)
from conductor_actors.outages import Backoff
from conductor_actors.ports import ROW_SOURCE, DeadLetter, Outbox, RowStore

# Short enough that waiting rows are stored within 10 s of the end of an outage.
MAX_BACKOFF_S: Final = 5.0
STOP_RETRY_S: Final = 0.1
MAX_WAITING_ROWS: Final = 100  # that are tried if the database refuses all rows of a batch


class Sinks(NamedTuple):
    """The two places that store rows."""

    store: RowStore
    outbox: Outbox


class WriterActor(SystemActor):
    """A switch over `WriterMessage`.

    It continues to handle mail during an outage. A row stays in the backlog until the database or
    the outbox has stored it.
    """

    def __init__(
        self,
        context: ActorContext[ThreadMailbox],
        sinks: Sinks,
        backlog: Backlog[ScoreRow],
        dead_letters: Mailbox,
        give_up: threading.Event,
    ) -> None:
        super().__init__(context)
        self._store, self._outbox = sinks
        self._backlog = backlog
        self._dead_letters = dead_letters
        self._give_up = give_up
        self._clock = context.mailbox.clock
        self._writes = Backoff("database", MAX_BACKOFF_S, self._clock)
        # Apart from the appends: a full Redis can still be read, and draining makes room in it.
        self._appends = Backoff("redis outbox", MAX_BACKOFF_S, self._clock)
        self._drains = Backoff("redis outbox drain", MAX_BACKOFF_S, self._clock)
        self._flushes: list[tuple[int, Flush]] = []
        self._drained_rows = 0
        self._drain_began_s = 0.0
        self._is_stopping = False

    def on_receive(self, message: WriterMessage) -> None:
        match message:
            case Scored(rows):
                self._backlog.add(rows, self._clock())
                if not self._backlog.has_full_batch() and not self._context.mailbox.empty():
                    return  # the steps follow the next message
            case TickScored():
                self._backlog.flush_now()
            case IntervalElapsed():
                pass
            case Flush():
                self._flushes.append((self._backlog.request_flush(), message))
            case _:
                assert_never(message)
        self._run_steps()

    def _run_steps(self) -> None:
        self._answer_flushes()
        while (step := self._next_step()) is not BacklogStep.WAIT:
            with suppress(Unavailable, ConfigError):  # the backoff has recorded it
                self._perform(step)
            self._answer_flushes()

    def _answer_flushes(self) -> None:
        while self._flushes and self._backlog.is_flushed(self._flushes[0][0]):
            _, flush = self._flushes.pop(0)
            flush.reply_to.tell(Flushed(flush.number, by="writer"))

    def _next_step(self) -> BacklogStep:
        conditions = Conditions(
            self._writes.is_over() and not self._is_finished(),
            self._appends.is_over(),
            self._drains.is_over(),
            not self._context.mailbox.empty(),
        )
        return self._backlog.next_step(self._clock(), conditions)

    def _is_finished(self) -> bool:
        """Check whether the Writer may stop: the next process finds the rows in the outbox."""
        return self._is_stopping and not len(self._backlog)

    def _perform(self, step: BacklogStep) -> None:
        match step:
            case BacklogStep.CHECK_OUTBOX:
                self._check_outbox()
            case BacklogStep.SPILL:
                self._spill()
            case BacklogStep.DRAIN:
                self._drain()
            case BacklogStep.WRITE:
                rows = self._backlog.next_batch()
                self._write(rows)
                self._backlog.remove(len(rows))
            case BacklogStep.WAIT:
                pass
            case _:
                assert_never(step)

    def _check_outbox(self) -> None:
        with self._drains.attempt():
            entries = self._outbox.count_entries()
        self._backlog.set_outbox(has_rows=entries > 0)
        if entries:
            emit(OutboxFound(entries=entries))

    def _spill(self) -> None:
        rows = self._backlog.next_spill()
        with self._appends.attempt():
            self._outbox.append(rows)
        self._backlog.set_outbox(has_rows=True)
        self._backlog.remove(len(rows))
        reason = "stop" if self._is_stopping else "flush" if self._flushes else "memory"
        emit(RowsSetAside(rows=len(rows), reason=reason))

    def _drain(self) -> None:
        """Write rows of the outbox to the database, then delete them from the outbox."""
        with self._drains.attempt():
            page = self._outbox.read_oldest(self._backlog.drain_size())
        if not page.ids:
            self._finish_drain()
            return
        if not self._drained_rows:
            self._drain_began_s = self._clock()
        self._write(page.rows)
        self._drained_rows += len(page.rows)
        with self._drains.attempt():
            self._outbox.delete(page)

    def _finish_drain(self) -> None:
        self._backlog.set_outbox(has_rows=False)
        if self._drained_rows:
            duration_s = round(self._clock() - self._drain_began_s, 2)
            emit(OutboxDrained(rows=self._drained_rows, duration_s=duration_s))
            self._drained_rows = 0

    def _write(self, rows: Sequence[ScoreRow]) -> None:
        began_s = self._clock()
        self._backlog.begin_write(began_s)
        with self._writes.attempt():
            try:
                written = self._store.write(rows, self._backlog.sample(MAX_WAITING_ROWS))
            except (Unavailable, ConfigError):
                self._backlog.write_failed(self._clock())
                raise
        ended_s = self._clock()
        self._backlog.write_succeeded(ended_s - began_s, ended_s)
        emit(
            BatchWritten(
                rows=len(rows), new_rows=written.stored, duration_s=round(ended_s - began_s, 4)
            )
        )
        if written.refused:
            emit(RowsRefused(rows=len(written.refused), reason=written.refused[0].reason))
            letters = [letter for refused in written.refused for letter in _letters(*refused)]
            self._dead_letters.tell(Undeliverable(letters))

    def on_stop(self) -> None:
        """Write the backlog or spill it, whichever works first, until the drain is given up."""
        self._is_stopping = True
        self._backlog.request_flush()
        self._run_steps()
        while not self._is_finished() and not self._give_up.wait(STOP_RETRY_S):
            self._run_steps()


def _letters(row: ScoreRow, reason: str) -> Iterator[DeadLetter]:
    """Return the letters of a refused row, and of what is refused with it: few bytes are kept."""
    source, entry_id = f"{ROW_SOURCE}{row.key}", f"{row.at_ms}-0"
    for body in (row, *row.anomalies, *row.interventions):
        yield DeadLetter(source, entry_id, reason, msgspec.json.encode(body))
