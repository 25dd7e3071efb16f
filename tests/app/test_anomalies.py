"""A collector stores and publishes the anomalies of a replay, also from any checkpoint on."""

from collections.abc import Iterable, Iterator
from functools import cache, partial
from threading import Event
from typing import Final

import pytest
from structlog.testing import capture_logs

from conductor_actors.domain.anomalies.changes import AnomalyBegan, AnomalyChange
from conductor_actors.domain.checkpoints.encoding import recover
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.log_events import AnomalyDetected, AnomalyOver, LogEvent, observed_by
from conductor_actors.ports import Checkpoint, ReadResult
from tests.app.collector_run import TICK_MS, CollectorRun, make_settings
from tests.support.fakes.memory_checkpoints import MemoryCheckpoints
from tests.support.fakes.memory_store import MemoryStore
from tests.support.fakes.scripted_source import Step
from tests.support.recorded_talk import Talk
from tests.support.score_rows import AT_MS

TALK: Final = Talk(sessions=2, minutes=10)
QUICK_END: Final = {"session_timeout_s": 120, "presence_timeout_s": 120}

Change = tuple[str, int, AnomalyChange]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield


@cache
def entries() -> list[Entry]:
    return [
        (AT_MS + round(at_s * 1000), number, name, body.encode())
        for number, (at_s, name, body) in enumerate(TALK.events())
    ]


def changes_of(rows: Iterable[ScoreRow]) -> set[Change]:
    return {(row.session_id, row.at_ms, change) for row in rows for change in row.anomalies}


@cache
def replayed() -> set[Change]:
    rules, rows = make_settings(**QUICK_END), list[ScoreRow]()
    Replayer(Rules(rules.intake_rules(), rules.session_rules(), rules.scoring()), rows.extend).run(
        entries()
    )
    return changes_of(rows)


class KeptCheckpoints(MemoryCheckpoints):
    """Keeps each checkpoint in full. Reads wait a moment for one, so that there are many."""

    MOMENT_S: Final = 0.05

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Checkpoint] = []
        self._is_new = Event()

    def commit(self, checkpoint: Checkpoint) -> bool:
        is_committed = super().commit(checkpoint)
        whole = self.load()
        if whole is not None:
            self.kept.append(whole)
        self._is_new.set()
        return is_committed

    def read_after_one(self, read: ReadResult) -> ReadResult:
        self._is_new.wait(self.MOMENT_S)
        self._is_new.clear()
        return read


def run(store: MemoryStore, checkpoints: MemoryCheckpoints) -> CollectorRun:
    """Return a collector that reads every 5 s, so that every tick is live."""
    last_ms = entries()[-1][0] + TICK_MS
    script: list[Step] = []
    for begin_ms in range(AT_MS, last_ms, TICK_MS):
        end_ms = begin_ms + TICK_MS
        part = [entry for entry in entries() if begin_ms <= entry[0] < end_ms]
        read = ReadResult(part, end_ms, end_ms)
        if isinstance(checkpoints, KeptCheckpoints):
            script.append(partial(checkpoints.read_after_one, read))
        else:
            script.append(read)
    return CollectorRun(script, store, checkpoints, **QUICK_END, checkpoint_s=0.001)


def has_open_anomaly(checkpoint: Checkpoint) -> bool:
    rules = make_settings(**QUICK_END).session_rules()
    states = recover(checkpoint.header, checkpoint.sessions, rules).states.values()
    return any(state.detector and state.detector.anomaly for state in states)


def test_the_anomalies_of_a_replay_are_stored_published_and_reported_once_each() -> None:
    store, events = MemoryStore(), list[LogEvent]()
    collector = run(store, MemoryCheckpoints())
    with observed_by(events.append):
        collector.run_to_end()
    begun = {change.id for _, _, change in replayed() if isinstance(change, AnomalyBegan)}
    assert len(begun) >= TALK.sessions * 2
    assert changes_of(store.rows.values()) == replayed()
    assert changes_of(collector.publisher.rows) == replayed()
    assert {anomaly_id for anomaly_id, _ in store.anomalies} == begun
    assert all(anomaly.ended_ms for anomaly in store.anomalies.values())
    for kind in (AnomalyDetected, AnomalyOver):
        reported = [event.id for event in events if isinstance(event, kind)]
        assert sorted(reported) == sorted(begun)


def test_from_a_checkpoint_with_an_open_anomaly_the_same_anomalies_are_stored() -> None:
    whole, checkpoints = MemoryStore(), KeptCheckpoints()
    run(whole, checkpoints).run_to_end()
    resumable = [each for each in checkpoints.kept if has_open_anomaly(each)]
    assert resumable
    for checkpoint in resumable[:: max(1, len(resumable) // 5)]:
        store, resumed = MemoryStore(), MemoryCheckpoints()
        resumed.commit(checkpoint)
        run(store, resumed).run_to_end()
        first_ms = min(row.at_ms for row in store.rows.values())
        later = {change for change in replayed() if change[1] >= first_ms}
        assert changes_of(store.rows.values()) == later
        assert later != replayed()
