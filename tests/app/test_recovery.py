"""A collector that restarts from any checkpoint continues as if it had never stopped."""

import threading
from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from conductor_actors.domain.checkpoints.encoding import recover
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.gaps import Gap, GapMark
from conductor_actors.ports import Checkpoint, ReadResult
from tests.app.collector_run import (
    CollectorRun,
    Rows,
    histories,
    make_settings,
    pack,
    replay_rows,
    simulate_entries,
    split_into_reads,
)
from tests.support.fakes.memory_checkpoints import MemoryCheckpoints
from tests.support.fakes.memory_store import MemoryStore
from tests.support.fakes.scripted_source import ScriptedSource
from tests.support.score_rows import AT_MS

CHECKPOINT_OFTEN: dict[str, float] = {"checkpoint_s": 0.001}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield


class DurableState(NamedTuple):
    """A checkpoint, and the rows that were stored when it was committed."""

    checkpoint: Checkpoint
    rows: Rows

    @property
    def passed_ms(self) -> int:
        rules = make_settings().session_rules()
        return recover(self.checkpoint.header, {}, rules).header.intake.passed_ms

    def restore_checkpoints(self) -> MemoryCheckpoints:
        store = MemoryCheckpoints()
        store.commit(self.checkpoint)
        return store


class RecordingCheckpoints(MemoryCheckpoints):
    """Records the durable state at each commit."""

    def __init__(self, rows: MemoryStore) -> None:
        super().__init__()
        self._rows = rows
        self.states: list[DurableState] = []

    def commit(self, checkpoint: Checkpoint) -> bool:
        is_committed = super().commit(checkpoint)
        whole = self.load()
        if whole is not None:
            self.states.append(DurableState(whole, pack(self._rows.rows.values())))
        return is_committed


class CheckpointPacedSource(ScriptedSource):
    """Returns no entries after every `size` reads until another checkpoint is committed."""

    def __init__(
        self, script: Sequence[ReadResult], checkpoints: MemoryCheckpoints, size: int
    ) -> None:
        super().__init__(script)
        self._checkpoints = checkpoints
        self._size = size
        self._reads = 0
        self._commits = 0

    def read(self) -> ReadResult:
        if self._reads == self._size:
            if len(self._checkpoints.commits) == self._commits:
                threading.Event().wait(0.001)
                return ReadResult((), self._last.watermark_ms, self._last.now_ms)
            self._reads, self._commits = 0, len(self._checkpoints.commits)
        self._reads += 1
        return super().read()


class RecordedRun(NamedTuple):
    """A finished run, and the durable state at each of its checkpoints."""

    run: CollectorRun
    states: list[DurableState]


def run_with_checkpoints(reads: Sequence[ReadResult], size: int, **variables: float) -> RecordedRun:
    """Run a collector that commits a checkpoint every `size` reads."""
    store = MemoryStore()
    checkpoints = RecordingCheckpoints(store)
    run = CollectorRun(
        CheckpointPacedSource(reads, checkpoints, size),
        store,
        checkpoints,
        **CHECKPOINT_OFTEN,
        **variables,
    )
    run.run_to_end()
    return RecordedRun(run, checkpoints.states)


def assert_continues(
    state: DurableState, reads: Sequence[ReadResult], expected: Rows, **variables: float
) -> None:
    before = {key: expected[key] for key in expected if key[2] <= state.passed_ms}
    assert before.items() <= state.rows.items()  # a checkpoint is never ahead of the rows
    again = CollectorRun(reads, None, state.restore_checkpoints(), **variables).run_to_end()
    assert again == {key: expected[key] for key in expected if key not in before}


@pytest.mark.parametrize("threads", [1, 3])
def test_a_restart_from_any_checkpoint_has_the_rows_of_a_replay_bit_for_bit(threads: int) -> None:
    entries = simulate_entries(seed=3)
    reads, expected = split_into_reads(entries, 20), replay_rows(entries)
    run, states = run_with_checkpoints(reads, 20, dispatcher_threads=threads)
    assert pack(run.store.rows.values()) == expected
    assert len(states) > 10
    for state in states[:: len(states) // 8]:
        assert_continues(state, reads, expected)


@settings(max_examples=25, deadline=None)
@given(histories(), st.integers(1, 5), st.sampled_from([60.0, 120.0, 21_600.0]), st.data())
def test_a_restart_at_any_checkpoint_of_any_history_has_the_rows_of_its_replay(
    entries: list[Entry], size: int, presence_timeout_s: float, data: st.DataObject
) -> None:
    rules = {"session_timeout_s": 60.0, "presence_timeout_s": presence_timeout_s}
    reads, expected = split_into_reads(entries, size), replay_rows(entries, **rules)
    states = run_with_checkpoints(reads, 1, **rules).states
    assert_continues(data.draw(st.sampled_from(states)), reads, expected, **rules)


def test_after_a_drain_a_restart_reads_nothing_again() -> None:
    entries = simulate_entries(seed=3, seconds=60)
    reads = split_into_reads(entries, 50)
    run = CollectorRun(reads, checkpoint_s=3600)
    stored = run.run_to_end()
    again = CollectorRun(reads, run.store, run.checkpoints)
    assert again.source._script == []
    assert again.run_to_end() == stored


def test_a_later_checkpoint_has_only_the_sessions_that_changed() -> None:
    run, _ = run_with_checkpoints(split_into_reads(simulate_entries(seed=3, seconds=30), 3), 1)
    first, *others = run.checkpoints.commits
    assert first.is_full
    assert not any(commit.is_full for commit in others)
    assert median(len(commit.sessions) for commit in others) <= 3  # between two ticks
    assert len(run.checkpoints.sessions) == len({key[:2] for key in run.store.rows})


def test_rows_whose_window_overlaps_a_gap_are_marked_also_after_a_restart() -> None:
    entries = [
        entry for entry in simulate_entries(seed=3, seconds=150) if entry[0] < AT_MS + 150_000
    ]
    reads = split_into_reads(entries, 40)
    gap = Gap("acme", "trimmed", 7, AT_MS + 20_000, AT_MS + 33_000)
    at = next(n for n, read in enumerate(reads) if read.watermark_ms > gap.to_ms)
    reads[at] = reads[at]._replace(gaps=[gap])
    run, states = run_with_checkpoints(reads, 10)
    for state in states[:: len(states) // 8]:
        again = CollectorRun(reads, None, state.restore_checkpoints())
        again.run_to_end()
        for row in [*run.store.rows.values(), *again.store.rows.values()]:
            is_touched = reads[at].entries[0][0] < row.at_ms <= gap.to_ms + 60_000
            expected = GapMark("trimmed", 7) if is_touched and row.tenant_id == "acme" else None
            assert row.gap == expected
