"""Announces scores as they come, and puts aside what could not be handled."""

from typing import Final, assert_never

import structlog

from conductor_actors.actors.base import Place, SystemActor
from conductor_actors.actors.mailbox import ThreadMailbox
from conductor_actors.actors.messages import (
    PublisherMessage,
    Scored,
    TimePassed,
    Undeliverable,
)
from conductor_actors.actors.outage import Outage
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import Unavailable
from conductor_actors.ports import DeadLetter, DeadLetterBox, ScoreFeed

log = structlog.get_logger()

MAX_BATCH: Final = 1000
MAX_LETTERS: Final = 10_000  # as many as the dead-letter stream keeps


class PublisherActor(SystemActor):
    """A switch over `PublisherMessage`. A batch is what came while the last one was sent."""

    def __init__(
        self, place: Place[ThreadMailbox], feed: ScoreFeed, dead_letter_box: DeadLetterBox
    ) -> None:
        super().__init__(place)
        self._feed = feed
        self._dead_letter_box = dead_letter_box
        self._outage = Outage("redis updates", place.mailbox.clock)
        self._rows: list[ScoreRow] = []
        self._letters: list[DeadLetter] = []

    def on_receive(self, message: PublisherMessage) -> None:
        match message:
            case Scored(row):
                self._rows.append(row)
            case Undeliverable(letters):
                self._letters.extend(letters)
            case TimePassed():
                pass
            case _:
                assert_never(message)
        if len(self._rows) >= MAX_BATCH or self._place.mailbox.empty():
            self._send()

    def _send(self) -> None:
        rows, self._rows = self._rows, []
        letters, self._letters = self._letters, []
        if not rows and not letters:
            return
        try:
            if letters:
                self._dead_letter_box.add(letters)
                letters = []
            if rows:
                self._feed.publish(rows)
                rows = []
        except Unavailable as error:
            self._outage.goes_on(error)
            self._keep(letters, rows)
        else:
            self._outage.is_over()

    def _keep(self, letters: list[DeadLetter], rows: list[ScoreRow]) -> None:
        """Keep letters for the next attempt; an update is worth nothing late, so it is dropped."""
        self._letters = letters[-MAX_LETTERS:]
        lost_letters = len(letters) - len(self._letters)
        if rows or lost_letters:
            log.warning("updates_dropped", updates=len(rows), dead_letters=lost_letters)

    def on_stop(self) -> None:
        self._send()
