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
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.ports import DeadLetter
from tests.actors.scripted_actors import Ref
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.memory_dead_letters import MemoryDeadLetterQueue
from tests.support.fakes.memory_publisher import MemoryUpdatePublisher
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import row

MAX_WAIT_S = 5.0
UNAVAILABLE = Unavailable("connection refused")


class BlockingPublisher(MemoryUpdatePublisher):
    """Holds whoever publishes until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def publish(self, rows: Sequence[ScoreRow]) -> None:
        assert self.released.wait(MAX_WAIT_S)
        super().publish(rows)


class PublisherHarness:
    """A Publisher, whose mail can be there before it is."""

    def __init__(self) -> None:
        self.publisher, self.queue = BlockingPublisher(), MemoryDeadLetterQueue()
        self.publisher.released.set()
        self.mailbox = ThreadMailbox(FakeClock())
        self.supervisor = RecordingMailbox()

    def start(self) -> Ref:
        context = ActorContext("publisher", self.mailbox, self.supervisor)
        return PublisherActor.start(context, self.publisher, self.queue)

    def handle(self, messages: Sequence[object]) -> Ref:
        """Have the messages waiting, and handled."""
        for message in messages:
            self.mailbox.tell(message)
        ref = self.start()
        pass_time(ref)
        return ref


@pytest.fixture
def harness() -> PublisherHarness:
    return PublisherHarness()


def pass_time(ref: Ref) -> None:
    ref.ask(IntervalElapsed(), timeout=MAX_WAIT_S)


def letters(count: int) -> list[DeadLetter]:
    return [DeadLetter("sync-events", f"{number}-0", "not_json", b"{") for number in range(count)]


def scores(count: int) -> list[Scored]:
    return [Scored([row(f"session-{number}")]) for number in range(count)]


def event_names(lines: list[EventDict]) -> list[object]:
    return [line["event"] for line in lines]


def test_waiting_updates_are_published_together_in_order(harness: PublisherHarness) -> None:
    waiting = scores(7)
    harness.handle(waiting)
    assert harness.publisher.batches == [[row for scored in waiting for row in scored.rows]]


def test_a_batch_has_a_thousand_updates_at_most(harness: PublisherHarness) -> None:
    harness.handle(scores(2 * MAX_BATCH + 1))
    assert MAX_BATCH == 1000
    assert [len(batch) for batch in harness.publisher.batches] == [1000, 1000, 1]


def test_a_single_row_is_published_at_once(harness: PublisherHarness) -> None:
    ref = harness.start()
    for scored in scores(3):
        ref.ask(scored, timeout=MAX_WAIT_S)
        assert harness.publisher.batches[-1] == scored.rows


def test_dead_letters_are_stored(harness: PublisherHarness) -> None:
    harness.handle([Undeliverable(letters(2)), *scores(1), Undeliverable(letters(3))])
    assert harness.queue.letters == letters(2) + letters(3)
    assert len(harness.publisher.rows) == 1


@pytest.mark.parametrize("outage", [UNAVAILABLE, ConfigError("grant it")])
def test_during_an_outage_updates_are_dropped_and_dead_letters_are_retained(
    harness: PublisherHarness, log_lines: list[EventDict], outage: Exception
) -> None:
    harness.publisher.outage = harness.queue.outage = outage
    ref = harness.handle([*scores(5), Undeliverable(letters(2))])
    assert event_names(log_lines) == ["outage_began", "updates_dropped", "outage_began"]
    assert (log_lines[1]["updates"], log_lines[1]["dead_letters"]) == (5, 0)
    harness.publisher.outage = harness.queue.outage = None
    pass_time(ref)
    assert (harness.publisher.rows, harness.queue.letters) == ([], letters(2))
    assert event_names(log_lines)[3:] == ["outage_ended"]
    assert harness.supervisor.messages == []


def test_a_full_redis_that_refuses_dead_letters_still_gets_updates(
    harness: PublisherHarness,
) -> None:
    harness.queue.outage = Unavailable("OOM command not allowed when used memory > 'maxmemory'")
    harness.handle([Undeliverable(letters(1)), *scores(2)])
    assert len(harness.publisher.rows) == 2


def test_dead_letters_are_stored_once_even_if_updates_fail(harness: PublisherHarness) -> None:
    harness.publisher.outage = UNAVAILABLE
    ref = harness.handle([*scores(1), Undeliverable(letters(2))])
    pass_time(ref)
    assert harness.queue.letters == letters(2)


def test_dead_letters_beyond_10_000_are_dropped_oldest_first_and_counted(
    harness: PublisherHarness, log_lines: list[EventDict]
) -> None:
    harness.queue.outage = UNAVAILABLE
    ref = harness.handle([Undeliverable(letters(MAX_LETTERS + 3))])
    (dropped,) = [line for line in log_lines if line["event"] == "updates_dropped"]
    assert (dropped["updates"], dropped["dead_letters"]) == (0, 3)
    harness.queue.outage = None
    pass_time(ref)
    assert harness.queue.letters == letters(MAX_LETTERS + 3)[3:]


def test_an_outage_does_not_end_while_there_is_nothing_to_send(
    harness: PublisherHarness, log_lines: list[EventDict]
) -> None:
    harness.publisher.outage = UNAVAILABLE
    ref = harness.handle(scores(1))
    pass_time(ref)
    assert event_names(log_lines) == ["outage_began", "updates_dropped"]
    harness.publisher.outage = None
    ref.ask(*scores(1), timeout=MAX_WAIT_S)
    assert event_names(log_lines)[2:] == ["outage_ended"]


def test_a_flush_is_answered_once_earlier_dead_letters_are_stored(
    harness: PublisherHarness,
) -> None:
    reply_to = RecordingMailbox()
    harness.handle([*scores(1), Undeliverable(letters(2)), Flush(7, reply_to)])
    assert harness.queue.letters == letters(2)
    assert reply_to.messages == [Flushed(7, "publisher")]
    pass_time(harness.start())
    assert len(reply_to.messages) == 1


def test_a_flush_is_not_answered_while_dead_letters_wait(harness: PublisherHarness) -> None:
    harness.queue.outage = UNAVAILABLE
    reply_to = RecordingMailbox()
    ref = harness.handle([Undeliverable(letters(2)), Flush(7, reply_to)])
    assert reply_to.messages == []
    harness.queue.outage = None
    pass_time(ref)
    assert (reply_to.messages, harness.queue.letters) == ([Flushed(7, "publisher")], letters(2))


def test_a_flush_does_not_wait_for_dropped_updates(harness: PublisherHarness) -> None:
    harness.publisher.outage = UNAVAILABLE
    reply_to = RecordingMailbox()
    harness.handle([*scores(2), Flush(7, reply_to)])
    assert reply_to.messages == [Flushed(7, "publisher")]


def test_the_publisher_fails_when_ownership_is_lost(harness: PublisherHarness) -> None:
    harness.publisher.outage = OwnershipLost("another has it")
    harness.start().tell(*scores(1))
    assert harness.supervisor.take(ChildFailed).error is harness.publisher.outage


def test_a_stopping_publisher_sends_the_rest(harness: PublisherHarness) -> None:
    harness.publisher.released.clear()
    ref = harness.start()
    for message in (*scores(5), Undeliverable(letters(1))):
        ref.tell(message)
    stop = ref.stop(block=False)
    harness.publisher.released.set()
    assert stop.get(timeout=MAX_WAIT_S)
    assert len(harness.publisher.rows) == 5
    assert harness.queue.letters == letters(1)
