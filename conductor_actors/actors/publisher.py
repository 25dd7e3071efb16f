"""The actor that publishes updates and stores dead letters."""

from collections.abc import Callable
from typing import Final, assert_never

from conductor_actors.actors.messages import (
    Flush,
    Flushed,
    IntervalElapsed,
    PublisherMessage,
    Scored,
    TickScored,
    Undeliverable,
)
from conductor_actors.actors.runtime.base import ActorContext, SystemActor
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import UpdatesDropped, emit
from conductor_actors.outages import Outage
from conductor_actors.ports import DeadLetter, DeadLetterQueue, UpdatePublisher

MAX_BATCH: Final = 1000
MAX_LETTERS: Final = 10_000  # as many as the dead-letter stream keeps


class PublisherActor(SystemActor):
    """A switch over `PublisherMessage`. A batch is what arrived while the previous one was sent."""

    def __init__(
        self,
        context: ActorContext[ThreadMailbox],
        updates: UpdatePublisher,
        dead_letters: DeadLetterQueue,
    ) -> None:
        super().__init__(context)
        self._updates = updates
        self._dead_letters = dead_letters
        self._updates_outage = Outage("redis updates", context.mailbox.clock)
        self._dead_letters_outage = Outage("redis dead letters", context.mailbox.clock)
        self._rows: list[ScoreRow] = []
        self._letters: list[DeadLetter] = []
        self._flushes: list[Flush] = []

    def on_receive(self, message: PublisherMessage) -> None:
        match message:
            case Scored(rows):
                self._rows.extend(rows)
            case Undeliverable(letters):
                self._letters.extend(letters)
            case Flush():
                self._flushes.append(message)
            case TickScored() | IntervalElapsed():
                pass
            case _:
                assert_never(message)
        if len(self._rows) >= MAX_BATCH or self._context.mailbox.empty():
            self._send()

    def _send(self) -> None:
        """Send everything: a full Redis refuses dead letters, and still publishes updates."""
        rows, self._rows = self._rows, []
        letters, self._letters = self._letters, []
        for first in range(0, len(rows), MAX_BATCH):
            self._publish(rows[first : first + MAX_BATCH])
        if letters and not _attempt(
            lambda: self._dead_letters.add(letters), self._dead_letters_outage
        ):
            self._retain(letters)
        if not self._letters:
            self._report_flushed()

    def _publish(self, rows: list[ScoreRow]) -> None:
        if not _attempt(lambda: self._updates.publish(rows), self._updates_outage):
            # Not sent again: the next tick's update is newer, and anomalies are stored, too.
            emit(UpdatesDropped(updates=len(rows), dead_letters=0))

    def _retain(self, letters: list[DeadLetter]) -> None:
        """Retain dead letters for the next attempt; beyond the limit, drop the oldest."""
        self._letters = letters[-MAX_LETTERS:]
        lost = len(letters) - len(self._letters)
        if lost:
            emit(UpdatesDropped(updates=0, dead_letters=lost))

    def _report_flushed(self) -> None:
        flushes, self._flushes = self._flushes, []
        for flush in flushes:
            flush.reply_to.tell(Flushed(flush.number, by="publisher"))

    def on_stop(self) -> None:
        self._send()


def _attempt(send: Callable[[], None], outage: Outage) -> bool:
    """Send; return False, and record the outage, if the server is away or refuses it."""
    try:
        send()
    except (Unavailable, ConfigError) as error:  # a restart would not help
        outage.record_failure(error)
        return False
    outage.record_success()
    return True
