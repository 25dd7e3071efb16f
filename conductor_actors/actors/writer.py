"""Batches rows into the store: as soon as a batch is full, or its first row old enough."""

from typing import assert_never

import msgspec
import structlog

from conductor_actors.actors.base import Place, SystemActor
from conductor_actors.actors.mailbox import Mailbox, ThreadMailbox
from conductor_actors.actors.messages import (
    Flush,
    Flushed,
    Scored,
    TimePassed,
    Undeliverable,
    WriterMessage,
)
from conductor_actors.actors.outage import Patience
from conductor_actors.domain.batching import Batch
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports import DeadLetter, ScoreStore

log = structlog.get_logger()


class WriterActor(SystemActor):
    """A switch over `WriterMessage`. While the database is away, rows wait in its mailbox."""

    def __init__(
        self,
        place: Place[ThreadMailbox],
        store: ScoreStore,
        batch: Batch[ScoreRow],
        patience: Patience,
        dead_letters: Mailbox,
    ) -> None:
        super().__init__(place)
        self._store = store
        self._batch = batch
        self._patience = patience
        self._dead_letters = dead_letters
        self._clock = place.mailbox.clock

    def on_receive(self, message: WriterMessage) -> None:
        match message:
            case Scored(row):
                self._batch.add(row, self._clock())
            case TimePassed():
                pass
            case Flush(number, reply_to):
                self._write_all()
                reply_to.tell(Flushed(number, by="writer"))
            case _:
                assert_never(message)
        while self._batch.is_due(self._clock()):
            self._write()

    def _write(self) -> None:
        rows = self._batch.next()
        began_s = self._clock()
        written = self._patience.call(lambda: self._store.write(rows))
        self._batch.done(len(rows))
        log.info(
            "batch_written",
            rows=len(rows),
            new_rows=written.stored,
            duration_s=round(self._clock() - began_s, 4),
        )
        if written.refused:
            log.error("rows_refused", rows=len(written.refused), reason=written.refused[0][1])
            self._dead_letters.tell(Undeliverable([_letter(*row) for row in written.refused]))

    def _write_all(self) -> None:
        while len(self._batch):
            self._write()

    def on_stop(self) -> None:
        self._write_all()


def _letter(row: ScoreRow, reason: str) -> DeadLetter:
    source = f"row:{row.tenant_id}/{row.session_id}"
    return DeadLetter(source, f"{row.at_ms}-0", reason, msgspec.json.encode(row))
