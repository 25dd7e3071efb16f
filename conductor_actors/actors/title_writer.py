"""The actor that writes titles to the database; in an outage they wait in the outbox."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple, assert_never

import msgspec

from conductor_actors.actors.messages import (
    Flush,
    Flushed,
    IntervalElapsed,
    TitlesChanged,
    TitleWriterMessage,
    Undeliverable,
)
from conductor_actors.actors.runtime.base import ActorContext, SystemActor
from conductor_actors.actors.runtime.mailbox import Mailbox, ThreadMailbox
from conductor_actors.domain.backlog import Batch
from conductor_actors.domain.session_titles import TitleChange
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import TitlesRefused, TitlesSetAside, TitlesStored, emit
from conductor_actors.outages import Backoff
from conductor_actors.ports import TITLE_SOURCE, DeadLetter
from conductor_actors.ports.catalog_port import RefusedTitle, TitleOutbox, TitleTable

MAX_TITLE_BACKOFF_S: Final = 5.0
MAX_TITLES_IN_MEMORY: Final = 1000  # more are set aside while the database is away
TITLE_BATCH: Final = 500


class TitleSinks(NamedTuple):
    """The two places that store titles."""

    table: TitleTable
    outbox: TitleOutbox


class TitleWriterActor(SystemActor):
    """A switch over `TitleWriterMessage`, apart from the Writer: rows never wait for titles.

    A change stays in the backlog until the database or the outbox has stored it, and no checkpoint
    is committed before: after a crash, its event is read again. What is in the outbox is older than
    what is in the backlog, and is written first.
    """

    def __init__(
        self,
        context: ActorContext[ThreadMailbox],
        sinks: TitleSinks,
        backlog: Batch[TitleChange],
        dead_letters: Mailbox,
    ) -> None:
        super().__init__(context)
        self._table, self._outbox = sinks
        self._backlog = backlog
        self._dead_letters = dead_letters
        clock = context.mailbox.clock
        self._writes = Backoff("database titles", MAX_TITLE_BACKOFF_S, clock)
        self._appends = Backoff("redis outbox of titles", MAX_TITLE_BACKOFF_S, clock)
        self._may_have_spilled = True  # a predecessor may have
        self._flushes: list[Flush] = []

    def on_receive(self, message: TitleWriterMessage) -> None:
        match message:
            case TitlesChanged(changes):
                self._backlog.add(changes, self._context.mailbox.clock())
            case Flush():
                self._flushes.append(message)
            case IntervalElapsed():
                pass
            case _:
                assert_never(message)
        if self._context.mailbox.empty():
            self._store()

    def _store(self) -> None:
        has_work = len(self._backlog) > 0 or self._may_have_spilled
        if has_work and self._writes.is_over():
            with suppress(Unavailable, ConfigError), self._writes.attempt():
                self._drain()
                self._write_backlog()
        must_leave = self._flushes or len(self._backlog) > MAX_TITLES_IN_MEMORY
        if must_leave and len(self._backlog) and self._appends.is_over():
            with suppress(Unavailable, ConfigError), self._appends.attempt():
                self._spill()
        if not len(self._backlog):
            self._report_flushed()

    def _drain(self) -> None:
        while self._may_have_spilled:
            page = self._outbox.read_oldest(TITLE_BATCH)
            if page.ids:
                self._write(page.changes)
                self._outbox.delete(page)
            else:
                self._may_have_spilled = False

    def _write_backlog(self) -> None:
        while changes := self._backlog.first(TITLE_BATCH):
            self._write(changes)
            self._backlog.remove(len(changes))

    def _write(self, changes: Sequence[TitleChange]) -> None:
        refused = self._table.write(changes)
        emit(TitlesStored(titles=len(changes) - len(refused)))
        if refused:
            emit(TitlesRefused(titles=len(refused), reason=refused[0].reason))
            self._dead_letters.tell(Undeliverable([*map(_letter_of, refused)]))

    def _spill(self) -> None:
        while changes := self._backlog.first(TITLE_BATCH):
            self._may_have_spilled = True
            self._outbox.append(changes)
            self._backlog.remove(len(changes))
            emit(TitlesSetAside(titles=len(changes)))

    def _report_flushed(self) -> None:
        flushes, self._flushes = self._flushes, []
        for flush in flushes:
            flush.reply_to.tell(Flushed(flush.number, by="title_writer"))

    def on_stop(self) -> None:
        self._store()


def _letter_of(refused: RefusedTitle) -> DeadLetter:
    change, reason = refused
    body = msgspec.json.encode(change)
    return DeadLetter(f"{TITLE_SOURCE}{change.key}", f"{change.at_ms}-0", reason, body)
