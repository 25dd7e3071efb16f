"""The rows of a collector equal those of a replay of the same entries."""

import threading
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from structlog.typing import EventDict

from conductor_actors.domain.entries import Entry
from conductor_actors.domain.events import DECODERS, Decoded
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports import ReadResult, WriteResult
from conductor_actors.simulate import bulk
from tests.actors.session_events import poison
from tests.app.collector_run import (
    TICK_MS,
    CollectorRun,
    histories,
    replay_rows,
    simulate_entries,
    split_into_reads,
)
from tests.support.fakes.memory_store import MemoryStore
from tests.support.score_rows import AT_MS, row

MAX_WAIT_S = 10.0


@pytest.fixture(autouse=True)
def log_lines() -> Iterator[list[EventDict]]:
    with capture_logs() as lines:
        yield lines


@pytest.fixture(scope="module")
def simulated() -> list[Entry]:
    """Four minutes of twelve sessions of two tenants."""
    return simulate_entries()


class NotifyingStore(MemoryStore):
    """A store that sets `written` at its first write."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def write(self, rows: Sequence[ScoreRow], waiting: Sequence[ScoreRow] = ()) -> WriteResult:
        self.written.set()
        return super().write(rows, waiting)


@pytest.mark.parametrize(("size", "threads"), [(1, 1), (7, 2), (1000, 4), (10**6, 1)])
def test_the_rows_equal_those_of_a_replay_bit_for_bit(
    simulated: list[Entry], size: int, threads: int
) -> None:
    entries = simulated if size > 1 else simulated[:2000]
    run = CollectorRun(split_into_reads(entries, size), dispatcher_threads=threads)
    assert run.run_to_end() == replay_rows(entries)


def test_every_row_is_published_once_and_in_the_order_of_ticks(
    simulated: list[Entry],
) -> None:
    run = CollectorRun(split_into_reads(simulated, 50))
    stored = run.run_to_end()
    published = [(row.tenant_id, row.session_id, row.at_ms) for row in run.publisher.rows]
    assert sorted(published) == sorted(stored)
    for key in {key[:2] for key in stored}:
        ticks = [at_ms for *session, at_ms in published if tuple(session) == key]
        assert ticks == sorted(ticks)
    assert run.source.closed


def test_a_row_is_stored_at_the_batch_age_even_if_its_batch_is_not_full(
    simulated: list[Entry],
) -> None:
    store = NotifyingStore()
    run = CollectorRun(
        split_into_reads(simulated[:200], 50), store, batch_age_s=0.01, batch_rows=10**6
    )
    run.start()
    assert store.written.wait(MAX_WAIT_S)
    run.drain()


def test_late_rows_are_stored_but_not_published(
    simulated: list[Entry],
) -> None:
    late = [read._replace(now_ms=read.now_ms + 60_000) for read in split_into_reads(simulated, 500)]
    run = CollectorRun(late)
    assert run.run_to_end() == replay_rows(simulated)
    assert run.publisher.rows == []


@pytest.mark.parametrize("reads_before", [1, 2, 40])
def test_a_drain_at_any_time_stores_every_row_of_the_events_read(
    simulated: list[Entry], reads_before: int
) -> None:
    reads, is_read = split_into_reads(simulated, 50), threading.Event()

    def last_read() -> ReadResult:
        is_read.set()
        return reads[reads_before - 1]

    run = CollectorRun([*reads[: reads_before - 1], last_read, *reads[reads_before:]])
    run.start()
    assert is_read.wait(MAX_WAIT_S)
    stored = run.drain()
    done = reads[: run.source.calls]
    entries = [entry for read in done for entry in read.entries]
    expected = replay_rows(entries)
    assert stored == {key: expected[key] for key in expected if key[2] <= done[-1].watermark_ms}


def test_a_pipeline_with_full_mailboxes_loses_no_row(simulated: list[Entry]) -> None:
    run = CollectorRun(
        split_into_reads(simulated, 200), mailbox_limit=1, batch_rows=2, dispatcher_threads=2
    )
    assert run.run_to_end() == replay_rows(simulated)


def test_reading_pauses_when_too_many_rows_wait_for_the_database() -> None:
    run = CollectorRun([], mailbox_limit=10, outbox_after_rows=100)
    downstream, backlog = run.collector._downstream(), run.collector._backlog
    for number in range(109):
        backlog.add([row(f"session-{number}")], 0.0)
    assert not downstream.is_full()
    backlog.add([row()], 0.0)
    assert downstream.is_full()


def test_10_000_sessions_at_once_have_the_rows_of_a_replay() -> None:
    sent = bulk(events=25_000, sessions=10_000)
    entries: list[Entry] = [
        (AT_MS + number // 5, number, *each) for number, each in enumerate(sent)
    ]
    run = CollectorRun(split_into_reads(entries, 1000))
    rows = run.run_to_end()
    assert len({key[:2] for key in rows}) == 10_000
    assert rows == replay_rows(entries)


def decode_poison(body: bytes, at_ms: int) -> Decoded:
    return body.decode(), poison(at_ms)


def with_poison(entries: Sequence[Entry], session_id: str, count: int) -> list[Entry]:
    """Add events that make the handler of a session fail, one in each tick from the start."""
    began_ms = entries[0][0]
    poison_entries = [
        (began_ms + number * TICK_MS, 10**6, "poison", session_id.encode())
        for number in range(count)
    ]
    return sorted([*entries, *poison_entries])


@pytest.fixture
def poisoned_session(simulated: list[Entry], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(DECODERS, "poison", decode_poison)
    return next(session for tenant, session, _ in replay_rows(simulated) if tenant == "default")


@pytest.mark.parametrize("failures", [1, 3])
def test_failures_within_the_restart_limit_change_no_row(
    simulated: list[Entry], poisoned_session: str, failures: int
) -> None:
    run = CollectorRun(
        split_into_reads(with_poison(simulated, poisoned_session, failures), 100),
        dispatcher_threads=2,
    )
    assert run.run_to_end() == replay_rows(simulated)
    assert [letter.reason for letter in run.dead_letters.letters] == ["handler_failed"] * failures


def test_a_session_in_quarantine_affects_no_other_session(
    simulated: list[Entry], poisoned_session: str, log_lines: list[EventDict]
) -> None:
    run = CollectorRun(
        split_into_reads(with_poison(simulated, poisoned_session, 12), 100), dispatcher_threads=2
    )
    stored, expected = run.run_to_end(), replay_rows(simulated)
    missing = {key for key in expected if key not in stored}
    assert {key[:2] for key in missing} == {("default", poisoned_session)}
    assert stored == {key: expected[key] for key in expected if key not in missing}
    assert len(run.dead_letters.letters) == 4
    assert [line["session"] for line in log_lines if line["event"] == "session_quarantined"] == [
        poisoned_session
    ]


@settings(max_examples=40, deadline=None)
@given(histories(), st.integers(1, 20), st.integers(1, 3), st.sampled_from([20.0, 40.0, 21_600.0]))
def test_any_history_in_reads_of_any_size_has_the_rows_of_its_replay(
    entries: list[Entry], size: int, threads: int, presence_timeout_s: float
) -> None:
    rules = {
        "window_s": 10.0,
        "session_timeout_s": 20.0,
        "presence_timeout_s": presence_timeout_s,
    }
    run = CollectorRun(
        split_into_reads(entries, size), None, None, dispatcher_threads=threads, **rules
    )
    assert run.run_to_end() == replay_rows(entries, **rules)
