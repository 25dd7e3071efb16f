"""What the Writer sets aside when it can't write, what it then drains, and when all is kept."""

import pytest
from structlog.typing import EventDict

from conductor_actors.actors.messages import Flushed, IntervalElapsed, Undeliverable
from conductor_actors.actors.writer import MAX_BACKOFF_S
from conductor_actors.errors import ConfigError
from conductor_actors.outages import FIRST_BACKOFF_S
from tests.actors.writer_harness import (
    MAX_MEMORY_ROWS,
    MAX_ROWS,
    UNAVAILABLE,
    WriterHarness,
    lines_named,
    make_rows,
)
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import row


@pytest.fixture
def harness() -> WriterHarness:
    return WriterHarness()


def test_rows_beyond_the_limit_of_memory_are_spilled_oldest_first(
    harness: WriterHarness, log_lines: list[EventDict]
) -> None:
    harness.store.outage = UNAVAILABLE
    rows = make_rows(MAX_MEMORY_ROWS + 1)
    harness.send(rows[:MAX_MEMORY_ROWS])
    assert harness.outbox.rows == []
    harness.send(rows[MAX_MEMORY_ROWS:])
    assert harness.outbox.rows == rows[:MAX_ROWS]
    [line] = lines_named(log_lines, "rows_set_aside")
    assert (line["rows"], line["reason"]) == (MAX_ROWS, "memory")


def test_spilled_rows_are_written_first_after_an_outage(
    harness: WriterHarness, log_lines: list[EventDict]
) -> None:
    harness.store.outage = UNAVAILABLE
    rows = make_rows(5 * MAX_MEMORY_ROWS)
    harness.send(rows)
    spilled = len(harness.outbox.rows)
    harness.store.recover()
    harness.store.takes_s = 0.5
    harness.pass_time()
    assert harness.stored == rows
    assert harness.outbox.count_entries() == 0
    [line] = lines_named(log_lines, "outbox_drained")
    assert (line["rows"], line["duration_s"]) == (spilled, 0.5)


def test_waiting_mail_is_handled_between_two_pages_of_the_drain(harness: WriterHarness) -> None:
    harness.store.outage = UNAVAILABLE
    harness.send(make_rows(MAX_MEMORY_ROWS + 1))
    harness.store.recover()
    harness.mailbox.tell(IntervalElapsed())
    harness.pass_time(FIRST_BACKOFF_S)
    assert harness.outbox.count_entries() > 0
    harness.mailbox.get()
    harness.pass_time()
    assert harness.outbox.count_entries() == 0


def test_a_flush_does_not_wait_for_the_drain(harness: WriterHarness) -> None:
    harness.store.outage = UNAVAILABLE
    rows = make_rows(5 * MAX_MEMORY_ROWS)
    harness.send(rows)
    harness.store.recover()
    harness.mailbox.tell(IntervalElapsed())
    harness.flush()
    assert harness.checkpointer.take(Flushed).number == 1
    assert harness.outbox.rows == rows


def test_rows_that_arrive_during_the_drain_are_written_after_it(harness: WriterHarness) -> None:
    harness.store.outage = UNAVAILABLE
    rows = make_rows(5 * MAX_MEMORY_ROWS)
    harness.send(rows[: 2 * MAX_MEMORY_ROWS])
    harness.store.recover()
    harness.mailbox.tell(IntervalElapsed())
    harness.send(rows[2 * MAX_MEMORY_ROWS :])
    assert harness.stored == []
    harness.mailbox.get()
    harness.pass_time()
    assert harness.stored == rows


def test_spilled_rows_stay_in_the_outbox_until_they_are_stored(harness: WriterHarness) -> None:
    harness.outbox.append(rows := make_rows(4))
    harness.store.outage = UNAVAILABLE
    harness.pass_time()
    assert harness.outbox.rows == rows


def test_rows_of_a_predecessor_are_found_in_the_outbox(
    harness: WriterHarness, log_lines: list[EventDict]
) -> None:
    rows = make_rows(6)
    harness.outbox.append(rows[:4])
    harness.send(rows[4:])
    assert harness.stored == rows[:4]
    harness.pass_time()
    assert harness.stored == rows
    assert lines_named(log_lines, "outbox_found", "outbox_drained")[0]["entries"] == 2


def test_rows_are_written_even_if_the_outbox_can_not_be_read(
    harness: WriterHarness,
) -> None:
    harness.outbox.append(spilled := make_rows(1))
    harness.outbox.outage = ConfigError("no permission")
    rows = make_rows(MAX_ROWS, first=1)
    harness.send(rows)
    assert harness.stored == rows
    harness.outbox.outage = None
    harness.pass_time()
    assert harness.stored == [*rows, *spilled]


def test_a_flush_is_answered_when_its_rows_are_stored(harness: WriterHarness) -> None:
    rows = make_rows(MAX_ROWS + 1)
    harness.send(rows)
    harness.flush(number=7)
    assert harness.checkpointer.messages == [Flushed(7, by="writer")]
    assert harness.stored == rows


def test_a_flush_during_an_outage_is_answered_when_its_rows_are_spilled(
    harness: WriterHarness, log_lines: list[EventDict]
) -> None:
    harness.store.outage = UNAVAILABLE
    rows = make_rows(MAX_ROWS + 1)
    harness.send(rows)
    harness.flush()
    assert harness.checkpointer.messages == [Flushed(1, by="writer")]
    assert harness.outbox.rows == rows
    assert {line["reason"] for line in lines_named(log_lines, "rows_set_aside")} == {"flush"}


@pytest.mark.parametrize("back", ["database", "outbox"])
def test_a_flush_is_answered_once_the_database_or_the_outbox_is_back(
    harness: WriterHarness, back: str
) -> None:
    harness.store.outage = harness.outbox.outage = UNAVAILABLE
    rows = make_rows(MAX_ROWS + 1)
    harness.send(rows)
    harness.flush(1)
    harness.send(later := make_rows(1, first=100))
    harness.flush(2)
    harness.pass_time()
    assert harness.checkpointer.messages == []
    (harness.store if back == "database" else harness.outbox).outage = None
    harness.pass_time()
    assert harness.checkpointer.messages == [Flushed(1, by="writer"), Flushed(2, by="writer")]
    assert (harness.stored if back == "database" else harness.outbox.rows) == rows + later


def test_a_flush_is_answered_before_the_outbox_is_drained(harness: WriterHarness) -> None:
    harness.store.outage = UNAVAILABLE
    harness.send(make_rows(MAX_MEMORY_ROWS + 1))
    harness.store.recover()
    harness.clock.advance(MAX_BACKOFF_S)
    stored_before: list[int] = []

    class Noting(RecordingMailbox):
        def tell(self, message: object) -> None:
            super().tell(message)
            stored_before.append(len(harness.stored))

    harness.checkpointer = Noting()
    harness.flush()
    assert stored_before == [0]
    assert len(harness.stored) == MAX_MEMORY_ROWS + 1


def test_a_flush_of_nothing_is_answered_at_once(harness: WriterHarness) -> None:
    harness.store.outage = harness.outbox.outage = UNAVAILABLE
    harness.flush()
    assert harness.checkpointer.messages == [Flushed(1, by="writer")]


def test_rows_that_can_be_stored_nowhere_stay_in_memory_and_count_as_overflow(
    harness: WriterHarness,
) -> None:
    harness.store.outage = harness.outbox.outage = UNAVAILABLE
    rows = make_rows(MAX_MEMORY_ROWS + 5)
    harness.send(rows)
    assert harness.backlog.overflow() == 5
    harness.outbox.outage = None
    harness.pass_time()
    assert harness.backlog.overflow() == 0


def test_a_full_outbox_is_drained_after_an_outage(harness: WriterHarness) -> None:
    harness.store.outage = UNAVAILABLE
    rows = make_rows(3 * MAX_MEMORY_ROWS)
    harness.send(rows[: 2 * MAX_MEMORY_ROWS])
    harness.outbox.refusal = UNAVAILABLE
    harness.send(rows[2 * MAX_MEMORY_ROWS :])
    harness.flush()
    harness.store.outage = None
    harness.pass_time()
    assert harness.stored == rows
    assert harness.checkpointer.take(Flushed).number == 1


def test_a_slow_database_delays_no_mail_and_memory_does_not_grow(
    harness: WriterHarness,
) -> None:
    harness.store.takes_s = 8.0
    harness.send(make_rows(MAX_ROWS))  # one write, by which it is known to be slow
    harness.mailbox.tell(IntervalElapsed())
    for first in range(MAX_ROWS, 20 * MAX_MEMORY_ROWS):
        harness.send(make_rows(1, first))
        assert len(harness.backlog) <= MAX_MEMORY_ROWS
    assert harness.store.attempts == [MAX_ROWS]
    harness.mailbox.get()
    harness.pass_time()
    assert harness.stored == make_rows(20 * MAX_MEMORY_ROWS)


def test_a_refused_row_leaves_the_outbox_with_the_others(harness: WriterHarness) -> None:
    harness.outbox.append([row("s0"), row("nul\0"), row("s1")])
    harness.pass_time()
    assert harness.outbox.count_entries() == 0
    assert len(harness.dead_letters.take(Undeliverable).letters) == 1


def test_rows_in_memory_may_prove_that_spilled_rows_are_refused(harness: WriterHarness) -> None:
    harness.store.outage = UNAVAILABLE
    rows = make_rows(MAX_MEMORY_ROWS + 1)
    harness.send(rows)
    spilled = len(harness.outbox.rows)
    harness.pass_time()
    assert harness.store.waiting == rows[spilled:]
