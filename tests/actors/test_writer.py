"""When the Writer writes, and what becomes of rows that can't be written."""

import threading
from collections.abc import Sequence

import msgspec
import pytest
from structlog.typing import EventDict

from conductor_actors.actors.base import Place
from conductor_actors.actors.mailbox import ThreadMailbox
from conductor_actors.actors.messages import (
    ActorFailed,
    Flush,
    Flushed,
    Scored,
    TimePassed,
    Undeliverable,
)
from conductor_actors.actors.outage import Patience
from conductor_actors.actors.writer import WriterActor
from conductor_actors.domain.batching import Batch
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import Unavailable
from conductor_actors.ports import DeadLetter, Written
from tests.actors.probes import Ref
from tests.fakes.fake_clock import FakeClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.recording_mailbox import RecordingMailbox
from tests.score_rows import AT_MS, row

PATIENCE_S = 5.0
MAX_ROWS = 3
MAX_AGE_S = 0.5


class FlakyStore(MemoryStore):
    """Be away for the first so many writes; each stores half of its rows all the same."""

    def __init__(self, outages: int) -> None:
        super().__init__()
        self._outages = outages
        self.attempts: list[int] = []

    def write(self, rows: Sequence[ScoreRow]) -> Written:
        self.attempts.append(len(rows))
        if len(self.attempts) <= self._outages:
            super().write(rows[: len(rows) // 2])
            raise Unavailable("connection lost")
        return super().write(rows)


class Desk:
    """A Writer and everything it works on."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.mailbox = ThreadMailbox(self.clock)
        self.batch: Batch[ScoreRow] = Batch(MAX_ROWS, MAX_AGE_S)
        self.give_up = threading.Event()
        self.dead_letters, self.supervisor = RecordingMailbox(), RecordingMailbox()

    def start(self, store: MemoryStore) -> Ref:
        place = Place("writer", self.mailbox, self.supervisor)
        patience = Patience("database", 0.0, self.give_up)
        return WriterActor.start(place, store, self.batch, patience, self.dead_letters)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def tell_rows(ref: Ref, count: int) -> list[ScoreRow]:
    rows = [row(f"session-{number}") for number in range(count)]
    for each in rows:
        ref.tell(Scored(each))
    return rows


def pass_time(ref: Ref) -> None:
    ref.ask(TimePassed(), timeout=PATIENCE_S)


def test_a_full_batch_is_written_at_once(desk: Desk, store: MemoryStore) -> None:
    ref = desk.start(store)
    rows = tell_rows(ref, MAX_ROWS + 1)
    pass_time(ref)
    assert list(store.rows.values()) == rows[:MAX_ROWS]


def test_a_row_waits_no_longer_than_its_age(desk: Desk, store: MemoryStore) -> None:
    ref = desk.start(store)
    rows = tell_rows(ref, 1)
    pass_time(ref)
    desk.clock.advance(MAX_AGE_S - 0.01)
    pass_time(ref)
    assert store.rows == {}
    desk.clock.advance(0.01)
    pass_time(ref)
    assert list(store.rows.values()) == rows


def test_what_was_written_is_said(
    desk: Desk, store: MemoryStore, log_lines: list[EventDict]
) -> None:
    store.write([row("session-0")])
    ref = desk.start(store)
    tell_rows(ref, MAX_ROWS)
    pass_time(ref)
    (line,) = log_lines
    assert (line["event"], line["rows"], line["new_rows"]) == ("batch_written", 3, 2)
    assert line["duration_s"] == 0.0


def test_no_row_is_lost_or_doubled_by_an_outage(desk: Desk, log_lines: list[EventDict]) -> None:
    store = FlakyStore(outages=5)
    ref = desk.start(store)
    rows = tell_rows(ref, 3 * MAX_ROWS)
    pass_time(ref)
    assert store.attempts == [3] * 5 + [3, 3, 3]
    assert list(store.rows.values()) == rows
    assert [line["event"] for line in log_lines] == [
        "outage_began",
        "outage_ended",
        *["batch_written"] * 3,
    ]
    assert desk.supervisor.messages == []


def test_a_row_the_database_refuses_is_put_aside_and_the_others_land(
    desk: Desk, store: MemoryStore, log_lines: list[EventDict]
) -> None:
    ref = desk.start(store)
    bad = row("nul\0", event_id="e")
    for each in (row("s0"), bad, row("s1")):
        ref.tell(Scored(each))
    pass_time(ref)
    assert [each.session_id for each in store.rows.values()] == ["s0", "s1"]
    assert desk.dead_letters.take(Undeliverable).letters == [
        DeadLetter(
            "row:default/nul\0",
            f"{AT_MS}-0",
            "no database can store this",
            msgspec.json.encode(bad),
        )
    ]
    (line,) = [line for line in log_lines if line["event"] == "rows_refused"]
    assert (line["rows"], line["reason"]) == (1, "no database can store this")


def test_what_came_before_a_flush_is_stored_before_it_says_so(
    desk: Desk, store: MemoryStore
) -> None:
    ref, checkpointer = desk.start(store), RecordingMailbox()
    rows = tell_rows(ref, MAX_ROWS + 1)
    ref.tell(Flush(7, checkpointer))
    assert checkpointer.take(Flushed) == Flushed(7, by="writer")
    assert list(store.rows.values()) == rows


def test_a_stopping_writer_writes_the_rest(desk: Desk, store: MemoryStore) -> None:
    ref = desk.start(store)
    rows = tell_rows(ref, 2 * MAX_ROWS + 1)
    assert ref.stop(timeout=PATIENCE_S)
    assert list(store.rows.values()) == rows
    assert len(desk.batch) == 0


def test_a_successor_writes_what_its_predecessor_could_not(desk: Desk, store: MemoryStore) -> None:
    store.outage = ZeroDivisionError("a bug")
    rows = tell_rows(desk.start(store), MAX_ROWS + 1)
    desk.supervisor.take(ActorFailed)
    store.outage = None
    successor = desk.start(store)
    pass_time(successor)
    successor.stop(timeout=PATIENCE_S)
    assert list(store.rows.values()) == rows


def test_a_successor_writes_every_full_batch_that_waits(desk: Desk, store: MemoryStore) -> None:
    rows = [row(f"session-{number}") for number in range(2 * MAX_ROWS + 1)]
    for each in rows:
        desk.batch.add(each, desk.clock())
    pass_time(desk.start(store))
    assert list(store.rows.values()) == rows[:-1]


def test_a_writer_told_to_give_up_leaves_its_rows_to_be_counted(
    desk: Desk, store: MemoryStore
) -> None:
    store.outage = Unavailable("connection refused")
    desk.give_up.set()
    tell_rows(desk.start(store), MAX_ROWS + 2)
    assert isinstance(desk.supervisor.take(ActorFailed).error, Unavailable)
    assert len(desk.batch) + desk.mailbox.depth() == MAX_ROWS + 2
