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
from tests.actors.scripted_actors import Ref
from tests.actors.writer_harness import (
    MAX_AGE_S,
    MAX_MEMORY_ROWS,
    MAX_ROWS,
    UNAVAILABLE,
    WriterHarness,
    lines_named,
    make_rows,
)
from tests.support.interventions import intervention
from tests.support.score_rows import AT_MS, began, row

MAX_WAIT_S = 5.0


@pytest.fixture
def harness() -> WriterHarness:
    return WriterHarness()


def test_a_full_batch_is_written_at_once(harness: WriterHarness) -> None:
    rows = make_rows(MAX_ROWS + 1)
    harness.send(rows)
    assert harness.stored == rows[:MAX_ROWS]


def test_a_full_batch_is_written_even_if_mail_waits(harness: WriterHarness) -> None:
    rows = make_rows(MAX_ROWS)
    harness.mailbox.tell(IntervalElapsed())
    harness.send(rows)
    assert harness.stored == rows


def test_a_row_waits_no_longer_than_the_age_of_a_batch(harness: WriterHarness) -> None:
    rows = make_rows(1)
    harness.send(rows)
    harness.pass_time(MAX_AGE_S - 0.01)
    assert harness.stored == []
    harness.pass_time(0.01)
    assert harness.stored == rows


def test_the_last_row_of_a_tick_is_written_at_once(harness: WriterHarness) -> None:
    rows = make_rows(MAX_ROWS + 1)
    harness.send(rows)
    harness.writer.on_receive(TickScored())
    assert harness.stored == rows


def test_a_written_batch_is_reported(harness: WriterHarness, log_lines: list[EventDict]) -> None:
    rows = make_rows(MAX_ROWS)
    harness.store.write(rows[:1])
    harness.store.takes_s = 0.25
    harness.send(rows)
    [line] = log_lines
    assert (line["event"], line["rows"], line["new_rows"]) == ("batch_written", 3, 2)
    assert line["duration_s"] == 0.25


def test_no_row_is_lost_or_doubled_by_an_outage(
    harness: WriterHarness, log_lines: list[EventDict]
) -> None:
    harness.store.outage = UNAVAILABLE
    rows = make_rows(2 * MAX_ROWS)
    harness.send(rows)
    for _ in range(3):
        harness.pass_time()
    harness.store.outage = None
    harness.pass_time()
    assert harness.stored == rows
    assert len(lines_named(log_lines, "outage_began")) == 1
    assert lines_named(log_lines, "outage_began", "outage_ended")[-1]["event"] == "outage_ended"
    assert harness.outbox.rows == []


def test_there_is_a_pause_between_two_attempts(harness: WriterHarness) -> None:
    harness.store.outage = UNAVAILABLE
    harness.send(make_rows(MAX_ROWS))
    attempts = len(harness.store.attempts)
    for _ in range(100):
        harness.pass_time(0.0)
    assert len(harness.store.attempts) == attempts


def test_a_missing_table_is_an_outage_with_advice_for_the_operator(
    harness: WriterHarness, log_lines: list[EventDict]
) -> None:
    harness.store.outage = ConfigError("no table: run migrate")
    rows = make_rows(MAX_MEMORY_ROWS + 1)
    harness.send(rows)
    assert lines_named(log_lines, "outage_began")[0]["error"] == "no table: run migrate"
    assert harness.outbox.rows == rows[:MAX_ROWS]
    harness.store.outage = None
    harness.pass_time()
    assert harness.stored == rows


def test_a_refused_row_is_a_dead_letter_and_the_others_are_stored(
    harness: WriterHarness, log_lines: list[EventDict]
) -> None:
    bad = row("nul\0", event_id="e")
    harness.send([row("s0"), bad, row("s1")])
    assert [each.session_id for each in harness.stored] == ["s0", "s1"]
    assert harness.dead_letters.take(Undeliverable).letters == [
        DeadLetter(
            "row:default/nul\0",
            f"{AT_MS}-0",
            "no database can store this",
            msgspec.json.encode(bad),
        )
    ]
    [line] = lines_named(log_lines, "rows_refused")
    assert (line["rows"], line["reason"]) == (1, "no database can store this")


def test_what_a_refused_row_carries_is_a_dead_letter_too(harness: WriterHarness) -> None:
    bad = row("nul\0", anomalies=(began(),), interventions=(intervention(),))
    harness.send([row("s0"), bad, row("s1")])
    letters = harness.dead_letters.take(Undeliverable).letters
    assert [letter.body for letter in letters] == [
        msgspec.json.encode(each) for each in (bad, began(), intervention())
    ]
    assert {letter.source for letter in letters} == {"row:default/nul\0"}


def test_the_database_is_away_while_writes_fail(harness: WriterHarness) -> None:
    began_s = harness.clock()
    harness.store.outage = UNAVAILABLE
    harness.send(make_rows(MAX_ROWS))
    assert not harness.backlog.is_away(began_s + 15.0, for_s=15.0)
    assert harness.backlog.is_away(began_s + 15.1, for_s=15.0)
    harness.store.outage = None
    harness.pass_time()
    assert not harness.backlog.is_away(harness.clock() + 60.0, for_s=15.0)


def test_a_successor_writes_the_rows_of_its_predecessor(harness: WriterHarness) -> None:
    harness.store.outage = ZeroDivisionError("a bug")
    rows = make_rows(MAX_ROWS)
    with pytest.raises(ZeroDivisionError):
        harness.send(rows)
    harness.store.outage = None
    harness.start_writer()
    harness.pass_time()
    assert harness.stored == rows


def start(harness: WriterHarness) -> Ref:
    return WriterActor.start(*harness.parts())


def test_a_writer_runs_on_its_own_thread(harness: WriterHarness) -> None:
    ref, rows = start(harness), make_rows(MAX_ROWS + 1)
    for each in rows:
        ref.tell(Scored([each]))
    ref.tell(Flush(7, harness.checkpointer))
    assert harness.checkpointer.take(Flushed) == Flushed(7, by="writer")
    assert harness.stored == rows
    assert harness.supervisor.messages == []


def test_a_stopping_writer_stores_the_rest(harness: WriterHarness) -> None:
    ref, rows = start(harness), make_rows(2 * MAX_ROWS + 1)
    for each in rows:
        ref.tell(Scored([each]))
    assert ref.stop(timeout=MAX_WAIT_S)
    assert harness.stored == rows
    assert len(harness.backlog) == 0


def test_a_stopping_writer_spills_rows_that_it_can_not_store(
    harness: WriterHarness, log_lines: list[EventDict]
) -> None:
    harness.store.outage = UNAVAILABLE
    ref, rows = start(harness), make_rows(MAX_MEMORY_ROWS)
    for each in rows:
        ref.tell(Scored([each]))
    assert ref.stop(timeout=MAX_WAIT_S)
    assert harness.outbox.rows == rows
    assert {line["reason"] for line in lines_named(log_lines, "rows_set_aside")} == {"stop"}


def test_a_stopping_writer_leaves_the_outbox_to_its_successor(harness: WriterHarness) -> None:
    harness.outbox.append(spilled := make_rows(100))
    harness.send([])
    harness.writer.on_stop()
    assert harness.outbox.rows == spilled
    assert harness.stored == []


def test_a_stopping_writer_waits_until_the_database_or_the_outbox_accepts_its_rows(
    harness: WriterHarness,
) -> None:
    harness.store.outage = harness.outbox.outage = UNAVAILABLE
    rows = make_rows(MAX_ROWS)
    harness.send(rows)

    def wait(timeout: float | None = None) -> bool:
        harness.clock.advance(timeout or 0.0)
        harness.outbox.outage = None
        return False

    harness.give_up.wait = wait  # type: ignore[method-assign]
    harness.writer.on_stop()
    assert harness.outbox.rows == rows


def test_a_writer_that_gives_up_leaves_its_rows_in_the_backlog(harness: WriterHarness) -> None:
    harness.store.outage = harness.outbox.outage = UNAVAILABLE
    harness.give_up.set()
    ref = start(harness)
    for each in make_rows(MAX_ROWS + 2):
        ref.tell(Scored([each]))
    assert ref.stop(timeout=MAX_WAIT_S)
    assert len(harness.backlog) == MAX_ROWS + 2
    assert not harness.supervisor.of(ChildFailed)
