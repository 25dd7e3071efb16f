"""What the Writer sets aside when it can't write, what it then drains, and when all is kept."""

import pytest
from structlog.typing import EventDict

from conductor_actors.actors.messages import Flushed, IntervalElapsed, Undeliverable
from conductor_actors.actors.writer import MAX_BACKOFF_S
from conductor_actors.errors import ConfigError
from conductor_actors.outages import FIRST_WAIT_S
from tests.actors.desk import AWAY, MAX_ROWS, MOST, Desk, rows_of, said
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import row


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_rows_past_the_bound_are_set_aside_oldest_first(
    desk: Desk, log_lines: list[EventDict]
) -> None:
    desk.store.outage = AWAY
    rows = rows_of(MOST + 1)
    desk.tell(rows[:MOST])
    assert desk.outbox.rows == []
    desk.tell(rows[MOST:])
    assert desk.outbox.rows == rows[:MAX_ROWS]
    [line] = said(log_lines, "rows_set_aside")
    assert (line["rows"], line["reason"]) == (MAX_ROWS, "memory")


def test_what_was_set_aside_is_written_first_when_the_database_is_back(
    desk: Desk, log_lines: list[EventDict]
) -> None:
    desk.store.outage = AWAY
    rows = rows_of(5 * MOST)
    desk.tell(rows)
    mark_outbox = len(desk.outbox.rows)
    desk.store.recover()
    desk.store.takes_s = 0.5
    desk.pass_time()
    assert desk.stored == rows
    assert desk.outbox.count_entries() == 0
    [line] = said(log_lines, "outbox_drained")
    assert (line["rows"], line["duration_s"]) == (mark_outbox, 0.5)


def test_mail_that_waits_goes_before_a_part_of_the_drain(desk: Desk) -> None:
    desk.store.outage = AWAY
    desk.tell(rows_of(MOST + 1))
    desk.store.recover()
    desk.mailbox.tell(IntervalElapsed())
    desk.pass_time(FIRST_WAIT_S)
    assert desk.outbox.count_entries() > 0
    desk.mailbox.get()
    desk.pass_time()
    assert desk.outbox.count_entries() == 0


def test_a_flush_does_not_wait_for_the_drain(desk: Desk) -> None:
    desk.store.outage = AWAY
    rows = rows_of(5 * MOST)
    desk.tell(rows)
    desk.store.recover()
    desk.mailbox.tell(IntervalElapsed())
    desk.flush()
    assert desk.checkpointer.take(Flushed).number == 1
    assert desk.outbox.rows == rows


def test_rows_that_come_while_it_drains_go_behind(desk: Desk) -> None:
    desk.store.outage = AWAY
    rows = rows_of(5 * MOST)
    desk.tell(rows[: 2 * MOST])
    desk.store.recover()
    desk.mailbox.tell(IntervalElapsed())
    desk.tell(rows[2 * MOST :])
    assert desk.stored == []
    desk.mailbox.get()
    desk.pass_time()
    assert desk.stored == rows


def test_what_was_set_aside_stays_there_until_it_is_stored(desk: Desk) -> None:
    desk.outbox.append(rows := rows_of(4))
    desk.store.outage = AWAY
    desk.pass_time()
    assert desk.outbox.rows == rows


def test_rows_of_a_predecessor_are_found_in_the_outbox(
    desk: Desk, log_lines: list[EventDict]
) -> None:
    rows = rows_of(6)
    desk.outbox.append(rows[:4])
    desk.tell(rows[4:])
    assert desk.stored == rows[:4]
    desk.pass_time()
    assert desk.stored == rows
    assert said(log_lines, "outbox_found", "outbox_drained")[0]["entries"] == 2


def test_an_outbox_that_can_t_be_looked_into_keeps_no_row_from_the_database(desk: Desk) -> None:
    desk.outbox.append(mark_outbox := rows_of(1))
    desk.outbox.outage = ConfigError("no permission")
    rows = rows_of(MAX_ROWS, first=1)
    desk.tell(rows)
    assert desk.stored == rows
    desk.outbox.outage = None
    desk.pass_time()
    assert desk.stored == [*rows, *mark_outbox]


def test_a_flush_is_answered_when_its_rows_are_stored(desk: Desk) -> None:
    rows = rows_of(MAX_ROWS + 1)
    desk.tell(rows)
    desk.flush(number=7)
    assert desk.checkpointer.messages == [Flushed(7, by="writer")]
    assert desk.stored == rows


def test_a_flush_while_the_database_is_away_is_answered_when_its_rows_are_set_aside(
    desk: Desk, log_lines: list[EventDict]
) -> None:
    desk.store.outage = AWAY
    rows = rows_of(MAX_ROWS + 1)
    desk.tell(rows)
    desk.flush()
    assert desk.checkpointer.messages == [Flushed(1, by="writer")]
    assert desk.outbox.rows == rows
    assert {line["reason"] for line in said(log_lines, "rows_set_aside")} == {"flush"}


@pytest.mark.parametrize("back", ["database", "outbox"])
def test_a_flush_while_nothing_takes_rows_is_answered_when_something_does(
    desk: Desk, back: str
) -> None:
    desk.store.outage = desk.outbox.outage = AWAY
    rows = rows_of(MAX_ROWS + 1)
    desk.tell(rows)
    desk.flush(1)
    desk.tell(later := rows_of(1, first=100))
    desk.flush(2)
    desk.pass_time()
    assert desk.checkpointer.messages == []
    (desk.store if back == "database" else desk.outbox).outage = None
    desk.pass_time()
    assert desk.checkpointer.messages == [Flushed(1, by="writer"), Flushed(2, by="writer")]
    assert (desk.stored if back == "database" else desk.outbox.rows) == rows + later


def test_a_flush_is_answered_before_what_was_set_aside_is_drained(desk: Desk) -> None:
    desk.store.outage = AWAY
    desk.tell(rows_of(MOST + 1))
    desk.store.recover()
    desk.clock.advance(MAX_BACKOFF_S)
    stored_before: list[int] = []

    class Noting(RecordingMailbox):
        def tell(self, message: object) -> None:
            super().tell(message)
            stored_before.append(len(desk.stored))

    desk.checkpointer = Noting()
    desk.flush()
    assert stored_before == [0]
    assert len(desk.stored) == MOST + 1


def test_a_flush_of_nothing_is_answered_at_once(desk: Desk) -> None:
    desk.store.outage = desk.outbox.outage = AWAY
    desk.flush()
    assert desk.checkpointer.messages == [Flushed(1, by="writer")]


def test_what_nobody_takes_stays_in_memory_and_is_counted_as_excess(desk: Desk) -> None:
    desk.store.outage = desk.outbox.outage = AWAY
    rows = rows_of(MOST + 5)
    desk.tell(rows)
    assert desk.backlog.overflow() == 5
    desk.outbox.outage = None
    desk.pass_time()
    assert desk.backlog.overflow() == 0


def test_a_full_outbox_gives_its_rows_to_a_database_that_is_back(desk: Desk) -> None:
    desk.store.outage = AWAY
    rows = rows_of(3 * MOST)
    desk.tell(rows[: 2 * MOST])
    desk.outbox.refusal = AWAY
    desk.tell(rows[2 * MOST :])
    desk.flush()
    desk.store.outage = None
    desk.pass_time()
    assert desk.stored == rows
    assert desk.checkpointer.take(Flushed).number == 1


def test_a_slow_database_keeps_no_mail_waiting_and_no_memory_growing(desk: Desk) -> None:
    desk.store.takes_s = 8.0
    desk.tell(rows_of(MAX_ROWS))  # one write, by which it is known to be slow
    desk.mailbox.tell(IntervalElapsed())
    for first in range(MAX_ROWS, 20 * MOST):
        desk.tell(rows_of(1, first))
        assert len(desk.backlog) <= MOST
    assert desk.store.attempts == [MAX_ROWS]
    desk.mailbox.get()
    desk.pass_time()
    assert desk.stored == rows_of(20 * MOST)


def test_a_refused_row_leaves_the_outbox_with_the_others(desk: Desk) -> None:
    desk.outbox.append([row("s0"), row("nul\0"), row("s1")])
    desk.pass_time()
    assert desk.outbox.count_entries() == 0
    assert len(desk.dead_letters.take(Undeliverable).letters) == 1
