"""When the Writer writes, what it does when it can't, and what becomes of refused rows."""

import msgspec
import pytest
from structlog.typing import EventDict

from conductor_actors.actors.messages import (
    Flush,
    Flushed,
    IntervalElapsed,
    Scored,
    TickScored,
    Undeliverable,
)
from conductor_actors.actors.runtime.base import ChildFailed
from conductor_actors.actors.writer import WriterActor
from conductor_actors.errors import ConfigError
from conductor_actors.ports import DeadLetter
from tests.actors.desk import AWAY, MAX_AGE_S, MAX_ROWS, MOST, Desk, rows_of, said
from tests.actors.probes import Ref
from tests.support.score_rows import AT_MS, row

PATIENCE_S = 5.0


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_full_batch_is_written_at_once(desk: Desk) -> None:
    rows = rows_of(MAX_ROWS + 1)
    desk.tell(rows)
    assert desk.stored == rows[:MAX_ROWS]


def test_a_full_batch_is_written_though_mail_waits(desk: Desk) -> None:
    rows = rows_of(MAX_ROWS)
    desk.mailbox.tell(IntervalElapsed())
    desk.tell(rows)
    assert desk.stored == rows


def test_a_row_waits_no_longer_than_its_age(desk: Desk) -> None:
    rows = rows_of(1)
    desk.tell(rows)
    desk.pass_time(MAX_AGE_S - 0.01)
    assert desk.stored == []
    desk.pass_time(0.01)
    assert desk.stored == rows


def test_behind_the_last_row_of_a_tick_nothing_is_waited_for(desk: Desk) -> None:
    rows = rows_of(MAX_ROWS + 1)
    desk.tell(rows)
    desk.writer.on_receive(TickScored())
    assert desk.stored == rows


def test_what_was_written_is_said(desk: Desk, log_lines: list[EventDict]) -> None:
    rows = rows_of(MAX_ROWS)
    desk.store.write(rows[:1])
    desk.store.takes_s = 0.25
    desk.tell(rows)
    [line] = log_lines
    assert (line["event"], line["rows"], line["new_rows"]) == ("batch_written", 3, 2)
    assert line["duration_s"] == 0.25


def test_no_row_is_lost_or_doubled_by_an_outage(desk: Desk, log_lines: list[EventDict]) -> None:
    desk.store.outage = AWAY
    rows = rows_of(2 * MAX_ROWS)
    desk.tell(rows)
    for _ in range(3):
        desk.pass_time()
    desk.store.outage = None
    desk.pass_time()
    assert desk.stored == rows
    assert len(said(log_lines, "outage_began")) == 1
    assert said(log_lines, "outage_began", "outage_ended")[-1]["event"] == "outage_ended"
    assert desk.outbox.rows == []


def test_between_two_attempts_it_waits(desk: Desk) -> None:
    desk.store.outage = AWAY
    desk.tell(rows_of(MAX_ROWS))
    attempts = len(desk.store.attempts)
    for _ in range(100):
        desk.pass_time(0.0)
    assert len(desk.store.attempts) == attempts


def test_what_an_operator_must_end_is_an_outage_and_its_text_says_how(
    desk: Desk, log_lines: list[EventDict]
) -> None:
    desk.store.outage = ConfigError("no table: run migrate")
    rows = rows_of(MOST + 1)
    desk.tell(rows)
    assert said(log_lines, "outage_began")[0]["error"] == "no table: run migrate"
    assert desk.outbox.rows == rows[:MAX_ROWS]
    desk.store.outage = None
    desk.pass_time()
    assert desk.stored == rows


def test_a_row_the_database_refuses_is_put_aside_and_the_others_land(
    desk: Desk, log_lines: list[EventDict]
) -> None:
    bad = row("nul\0", event_id="e")
    desk.tell([row("s0"), bad, row("s1")])
    assert [each.session_id for each in desk.stored] == ["s0", "s1"]
    assert desk.dead_letters.take(Undeliverable).letters == [
        DeadLetter(
            "row:default/nul\0",
            f"{AT_MS}-0",
            "no database can store this",
            msgspec.json.encode(bad),
        )
    ]
    [line] = said(log_lines, "rows_refused")
    assert (line["rows"], line["reason"]) == (1, "no database can store this")


def test_a_successor_writes_what_its_predecessor_could_not(desk: Desk) -> None:
    desk.store.outage = ZeroDivisionError("a bug")
    rows = rows_of(MAX_ROWS)
    with pytest.raises(ZeroDivisionError):
        desk.tell(rows)
    desk.store.outage = None
    desk.start_writer()
    desk.pass_time()
    assert desk.stored == rows


def started(desk: Desk) -> Ref:
    return WriterActor.start(*desk.parts())


def test_a_running_writer_does_the_same_on_a_thread_of_its_own(desk: Desk) -> None:
    ref, rows = started(desk), rows_of(MAX_ROWS + 1)
    for each in rows:
        ref.tell(Scored([each]))
    ref.tell(Flush(7, desk.checkpointer))
    assert desk.checkpointer.take(Flushed) == Flushed(7, by="writer")
    assert desk.stored == rows
    assert desk.supervisor.messages == []


def test_a_stopping_writer_stores_the_rest(desk: Desk) -> None:
    ref, rows = started(desk), rows_of(2 * MAX_ROWS + 1)
    for each in rows:
        ref.tell(Scored([each]))
    assert ref.stop(timeout=PATIENCE_S)
    assert desk.stored == rows
    assert len(desk.backlog) == 0


def test_a_stopping_writer_sets_aside_what_it_can_t_store(
    desk: Desk, log_lines: list[EventDict]
) -> None:
    desk.store.outage = AWAY
    ref, rows = started(desk), rows_of(MOST)
    for each in rows:
        ref.tell(Scored([each]))
    assert ref.stop(timeout=PATIENCE_S)
    assert desk.outbox.rows == rows
    assert {line["reason"] for line in said(log_lines, "rows_set_aside")} == {"stop"}


def test_a_stopping_writer_leaves_the_outbox_to_its_successor(desk: Desk) -> None:
    desk.outbox.append(mark_outbox := rows_of(100))
    desk.tell([])
    desk.writer.on_stop()
    assert desk.outbox.rows == mark_outbox
    assert desk.stored == []


def test_a_stopping_writer_waits_for_whatever_takes_its_rows(desk: Desk) -> None:
    desk.store.outage = desk.outbox.outage = AWAY
    rows = rows_of(MAX_ROWS)
    desk.tell(rows)

    def wait(timeout: float | None = None) -> bool:
        desk.clock.advance(timeout or 0.0)
        desk.outbox.outage = None
        return False

    desk.give_up.wait = wait  # type: ignore[method-assign]
    desk.writer.on_stop()
    assert desk.outbox.rows == rows


def test_a_writer_told_to_give_up_leaves_its_rows_to_be_counted(desk: Desk) -> None:
    desk.store.outage = desk.outbox.outage = AWAY
    desk.give_up.set()
    ref = started(desk)
    for each in rows_of(MAX_ROWS + 2):
        ref.tell(Scored([each]))
    assert ref.stop(timeout=PATIENCE_S)
    assert len(desk.backlog) == MAX_ROWS + 2
    assert not desk.supervisor.of(ChildFailed)
