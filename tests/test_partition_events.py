"""Log events name the partition for which the thread works that emits them."""

import threading
from collections.abc import Iterator, Sequence

import pykka
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from conductor_actors.app.tick_watchdog import format_stacks
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.log_events import LogEvent, TitlesStored, emit, observed_by, of_partition
from conductor_actors.ports import WriteResult
from conductor_actors.threads import InheritingThread
from tests.app.collector_run import CollectorRun, simulate_entries, split_into_reads
from tests.support.fakes.memory_store import MemoryStore

MAX_WAIT_S = 10.0


@pytest.fixture(autouse=True)
def log_lines() -> Iterator[list[EventDict]]:
    with capture_logs() as lines:
        yield lines


class OnceFailingStore(MemoryStore):
    """A store whose first write is a bug, so that the Writer is restarted."""

    def __init__(self) -> None:
        super().__init__()
        self._has_failed = False

    def write(self, rows: Sequence[ScoreRow], waiting: Sequence[ScoreRow] = ()) -> WriteResult:
        if not self._has_failed:
            self._has_failed = True
            raise ValueError
        return super().write(rows, waiting)


def test_a_line_has_the_partition_of_its_thread_and_otherwise_no_such_key(
    log_lines: list[EventDict],
) -> None:
    emit(TitlesStored(titles=1))
    with of_partition("7/64"):
        emit(TitlesStored(titles=1))
        with of_partition("8/64"):
            emit(TitlesStored(titles=1))
        emit(TitlesStored(titles=1, partition="9/64"))
    emit(TitlesStored(titles=1))
    found = [line.get("partition") for line in log_lines]
    assert found == [None, "7/64", "8/64", "9/64", None]


def test_a_thread_has_the_partition_of_the_thread_that_made_it_whoever_starts_it() -> None:
    events: list[LogEvent] = []
    with of_partition("7/64"):
        thread = InheritingThread(lambda: emit(TitlesStored(titles=1)), "probe")
    with observed_by(events.append), of_partition("8/64"):
        thread.start()
        thread.join(MAX_WAIT_S)
    assert [event.partition for event in events] == ["7/64"]
    assert thread.daemon


def test_the_report_of_a_stall_has_the_threads_of_its_partition_alone() -> None:
    stop = threading.Event()
    threads = []
    for partition in ("7/64", "8/64", ""):
        with of_partition(partition):
            threads.append(InheritingThread(stop.wait, f"of-{partition or 'none'}"))
    for thread in threads:
        thread.start()
    found = {each: format_stacks(each) for each in ("7/64", "8/64", "")}
    stop.set()
    assert found["7/64"].startswith("of-7/64:")
    assert found["7/64"].count("of-") == found["8/64"].count("of-") == 1
    assert "of-none:" in found[""]
    assert "MainThread:" in found[""]


def test_an_observer_of_a_partition_gets_only_its_events() -> None:
    of_seven: list[LogEvent] = []
    of_eight: list[LogEvent] = []
    of_all: list[LogEvent] = []
    with observed_by(of_all.append), observed_by(of_seven.append, "7/64"):
        with observed_by(of_eight.append, "8/64"):
            for titles, partition in enumerate(("7/64", "8/64", "")):
                emit(TitlesStored(titles=titles, partition=partition))
        emit(TitlesStored(titles=3, partition="8/64"))
    emit(TitlesStored(titles=4, partition="7/64"))
    assert [event.partition for event in of_seven] == ["7/64"]
    assert [event.partition for event in of_eight] == ["8/64"]
    assert [event.partition for event in of_all] == ["7/64", "8/64", "", "8/64"]


@pytest.mark.parametrize("partition", [None, "7/64"])
def test_an_observer_that_leaves_during_an_event_takes_it_from_no_other(
    partition: str | None,
) -> None:
    events: list[LogEvent] = []
    leaving: list[Iterator[None]] = []

    def leave(_: LogEvent) -> None:
        if leaving:
            next(leaving.pop(), None)

    def observe_once() -> Iterator[None]:
        with observed_by(leave, partition):
            yield

    with of_partition("7/64"):
        leaving.append(observe_once())
        next(leaving[0])
        with observed_by(events.append, partition):
            emit(TitlesStored(titles=1))
            emit(TitlesStored(titles=2))
    assert len(events) == 2


def test_every_event_of_a_collector_has_its_partition_even_after_a_restart() -> None:
    entries = simulate_entries(sessions=4, seconds=30)
    emitted: list[LogEvent] = []
    with observed_by(emitted.append):
        with of_partition("7/64"):
            run = CollectorRun(split_into_reads(entries, 50), OnceFailingStore())
            run.start()
        run.source.wait_until_routed()
        _wait_for_a_second_report(emitted)
        with of_partition("7/64"):
            run.drain()
    names = {event.event_name() for event in emitted}
    assert {"actor_restarted", "batch_written", "tick_completed", "service_stats"} <= names
    threads_of = {event.actor for event in emitted}
    assert {"session", "writer", "router"} <= threads_of
    assert [event for event in emitted if event.partition != "7/64"] == []


def _wait_for_a_second_report(emitted: list[LogEvent]) -> None:
    done = threading.Event()

    def look(event: LogEvent) -> None:
        if event.event_name() == "service_stats":
            done.set()

    with observed_by(look):
        assert done.wait(MAX_WAIT_S), [event.event_name() for event in emitted]


def test_a_collector_that_has_drained_leaves_no_thread_and_no_actor() -> None:
    threads, actors = set(threading.enumerate()), len(pykka.ActorRegistry.get_all())
    run = CollectorRun(split_into_reads(simulate_entries(sessions=4, seconds=30), 50))
    run.start()
    run.source.wait_until_routed()
    assert run.collector.drain() == 0
    for thread in set(threading.enumerate()) - threads:
        thread.join(MAX_WAIT_S)
    assert set(threading.enumerate()) <= threads
    assert len(pykka.ActorRegistry.get_all()) == actors
