"""What the Publisher sends together, and what it drops and keeps while Redis is away."""

import threading
from collections.abc import Sequence

import pytest
from structlog.typing import EventDict

from conductor_actors.actors.messages import (
    Flush,
    Flushed,
    IntervalElapsed,
    Scored,
    Undeliverable,
)
from conductor_actors.actors.publisher import MAX_BATCH, MAX_LETTERS, PublisherActor
from conductor_actors.actors.runtime.base import ActorContext, ChildFailed
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import OwnershipLost, Unavailable
from conductor_actors.ports import DeadLetter
from tests.actors.probes import Ref
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.memory_dead_letters import MemoryDeadLetterQueue
from tests.support.fakes.memory_publisher import MemoryUpdatePublisher
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import row

PATIENCE_S = 5.0
AWAY = Unavailable("connection refused")


class BlockingPublisher(MemoryUpdatePublisher):
    """Holds whoever publishes until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def publish(self, rows: Sequence[ScoreRow]) -> None:
        assert self.released.wait(PATIENCE_S)
        super().publish(rows)


class Desk:
    """A Publisher, whose mail can be there before it is."""

    def __init__(self) -> None:
        self.publisher, self.queue = BlockingPublisher(), MemoryDeadLetterQueue()
        self.publisher.released.set()
        self.mailbox = ThreadMailbox(FakeClock())
        self.supervisor = RecordingMailbox()

    def start(self) -> Ref:
        context = ActorContext("publisher", self.mailbox, self.supervisor)
        return PublisherActor.start(context, self.publisher, self.queue)

    def play(self, messages: Sequence[object]) -> Ref:
        """Have the messages waiting, and handled."""
        for message in messages:
            self.mailbox.tell(message)
        ref = self.start()
        pass_time(ref)
        return ref


@pytest.fixture
def desk() -> Desk:
    return Desk()


def pass_time(ref: Ref) -> None:
    ref.ask(IntervalElapsed(), timeout=PATIENCE_S)


def letters(count: int) -> list[DeadLetter]:
    return [DeadLetter("sync-events", f"{number}-0", "not_json", b"{") for number in range(count)]


def scores(count: int) -> list[Scored]:
    return [Scored([row(f"session-{number}")]) for number in range(count)]


def said(lines: list[EventDict]) -> list[object]:
    return [line["event"] for line in lines]


def test_what_waits_is_sent_together_in_order(desk: Desk) -> None:
    waiting = scores(7)
    desk.play(waiting)
    assert desk.publisher.batches == [[row for scored in waiting for row in scored.rows]]


def test_a_round_trip_carries_a_thousand_rows_at_most(desk: Desk) -> None:
    desk.play(scores(2 * MAX_BATCH + 1))
    assert MAX_BATCH == 1000
    assert [len(batch) for batch in desk.publisher.batches] == [1000, 1000, 1]


def test_a_row_that_comes_alone_is_sent_at_once(desk: Desk) -> None:
    ref = desk.start()
    for scored in scores(3):
        ref.ask(scored, timeout=PATIENCE_S)
        assert desk.publisher.batches[-1] == scored.rows


def test_dead_letters_are_put_aside(desk: Desk) -> None:
    desk.play([Undeliverable(letters(2)), *scores(1), Undeliverable(letters(3))])
    assert desk.queue.letters == letters(2) + letters(3)
    assert len(desk.publisher.rows) == 1


def test_while_redis_is_away_updates_are_dropped_and_dead_letters_kept(
    desk: Desk, log_lines: list[EventDict]
) -> None:
    desk.publisher.outage = desk.queue.outage = AWAY
    ref = desk.play([*scores(5), Undeliverable(letters(2))])
    assert said(log_lines) == ["outage_began", "updates_dropped", "outage_began"]
    assert (log_lines[1]["updates"], log_lines[1]["dead_letters"]) == (5, 0)
    desk.publisher.outage = desk.queue.outage = None
    pass_time(ref)
    assert (desk.publisher.rows, desk.queue.letters) == ([], letters(2))
    assert said(log_lines)[3:] == ["outage_ended"]
    assert desk.supervisor.messages == []


def test_a_full_redis_that_refuses_dead_letters_still_gets_updates(desk: Desk) -> None:
    desk.queue.outage = Unavailable("OOM command not allowed when used memory > 'maxmemory'")
    desk.play([Undeliverable(letters(1)), *scores(2)])
    assert len(desk.publisher.rows) == 2


def test_dead_letters_are_put_aside_once_though_updates_fail(desk: Desk) -> None:
    desk.publisher.outage = AWAY
    ref = desk.play([*scores(1), Undeliverable(letters(2))])
    pass_time(ref)
    assert desk.queue.letters == letters(2)


def test_dead_letters_beyond_10_000_are_dropped_oldest_first_and_counted(
    desk: Desk, log_lines: list[EventDict]
) -> None:
    desk.queue.outage = AWAY
    ref = desk.play([Undeliverable(letters(MAX_LETTERS + 3))])
    (dropped,) = [line for line in log_lines if line["event"] == "updates_dropped"]
    assert (dropped["updates"], dropped["dead_letters"]) == (0, 3)
    desk.queue.outage = None
    pass_time(ref)
    assert desk.queue.letters == letters(MAX_LETTERS + 3)[3:]


def test_having_nothing_to_send_does_not_end_an_outage(
    desk: Desk, log_lines: list[EventDict]
) -> None:
    desk.publisher.outage = AWAY
    ref = desk.play(scores(1))
    pass_time(ref)
    assert said(log_lines) == ["outage_began", "updates_dropped"]
    desk.publisher.outage = None
    ref.ask(*scores(1), timeout=PATIENCE_S)
    assert said(log_lines)[2:] == ["outage_ended"]


def test_it_says_when_what_came_before_is_durable(desk: Desk) -> None:
    told = RecordingMailbox()
    desk.play([*scores(1), Undeliverable(letters(2)), Flush(7, told)])
    assert desk.queue.letters == letters(2)
    assert told.messages == [Flushed(7, "publisher")]
    pass_time(desk.start())
    assert len(told.messages) == 1


def test_it_does_not_say_so_while_dead_letters_wait(desk: Desk) -> None:
    desk.queue.outage = AWAY
    told = RecordingMailbox()
    ref = desk.play([Undeliverable(letters(2)), Flush(7, told)])
    assert told.messages == []
    desk.queue.outage = None
    pass_time(ref)
    assert (told.messages, desk.queue.letters) == ([Flushed(7, "publisher")], letters(2))


def test_updates_that_were_dropped_keep_nobody_waiting(desk: Desk) -> None:
    desk.publisher.outage = AWAY
    told = RecordingMailbox()
    desk.play([*scores(2), Flush(7, told)])
    assert told.messages == [Flushed(7, "publisher")]


def test_a_lost_ownership_ends_it(desk: Desk) -> None:
    desk.publisher.outage = OwnershipLost("another has it")
    desk.start().tell(*scores(1))
    assert desk.supervisor.take(ChildFailed).error is desk.publisher.outage


def test_a_stopping_publisher_sends_the_rest(desk: Desk) -> None:
    desk.publisher.released.clear()
    ref = desk.start()
    for message in (*scores(5), Undeliverable(letters(1))):
        ref.tell(message)
    stop = ref.stop(block=False)
    desk.publisher.released.set()
    assert stop.get(timeout=PATIENCE_S)
    assert len(desk.publisher.rows) == 5
    assert desk.queue.letters == letters(1)
