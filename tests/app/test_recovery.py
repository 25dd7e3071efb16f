"""The whole collector on fakes, cut off at any checkpoint: it goes on as if nothing had been."""

import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from conductor_actors.domain.checkpoints import recover
from conductor_actors.domain.gaps import Gap, GapMark
from conductor_actors.domain.intake import Entry
from conductor_actors.ports import Checkpoint, ReadResult
from conductor_actors.simulate import Simulation
from tests.app.test_pipeline import Rows, Run, histories, packed, reads_of, replayed, settings_of
from tests.support.fakes.memory_checkpoints import MemoryCheckpoints
from tests.support.fakes.memory_store import MemoryStore
from tests.support.fakes.scripted_source import ScriptedSource
from tests.support.score_rows import AT_MS

OFTEN: dict[str, float] = {"checkpoint_s": 0.001}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield


class Moment(NamedTuple):
    """What was durable when a checkpoint was."""

    checkpoint: Checkpoint
    rows: Rows

    @property
    def passed_ms(self) -> int:
        rules = settings_of().session_rules()
        return recover(self.checkpoint.header, {}, rules).header.intake.passed_ms

    def restored(self) -> MemoryCheckpoints:
        store = MemoryCheckpoints()
        store.commit(self.checkpoint)
        return store


class Remembered(MemoryCheckpoints):
    """Remembers what was durable at each commit."""

    def __init__(self, rows: MemoryStore) -> None:
        super().__init__()
        self._rows = rows
        self.moments: list[Moment] = []

    def commit(self, checkpoint: Checkpoint) -> bool:
        is_committed = super().commit(checkpoint)
        whole = self.load()
        if whole is not None:
            self.moments.append(Moment(whole, packed(self._rows.rows.values())))
        return is_committed


class Paced(ScriptedSource):
    """Gives nothing more until there was a checkpoint since the last so many reads."""

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


class Played(NamedTuple):
    """A run with a checkpoint every few reads."""

    run: Run
    moments: list[Moment]


def played(reads: Sequence[ReadResult], size: int, **variables: float) -> Played:
    store = MemoryStore()
    checkpoints = Remembered(store)
    run = Run(Paced(reads, checkpoints, size), store, checkpoints, **OFTEN, **variables)
    run.play()
    return Played(run, checkpoints.moments)


def simulated(sessions: int = 12, seconds: int = 240) -> list[Entry]:
    simulation = Simulation(sessions=sessions, seed=3, tenants=("default", "acme"))
    entries: list[Entry] = []
    for step in range(seconds * 4):
        sent = simulation.step(AT_MS / 1000 + step / 4, 0.25)
        entries += [(AT_MS + step * 250, number, *each) for number, each in enumerate(sent)]
    return entries


def must_go_on(
    moment: Moment, reads: Sequence[ReadResult], expected: Rows, **variables: float
) -> None:
    before = {key: expected[key] for key in expected if key[2] <= moment.passed_ms}
    assert before.items() <= moment.rows.items()  # it was not ahead of the rows
    again = Run(reads, None, moment.restored(), **variables).play()
    assert again == {key: expected[key] for key in expected if key not in before}


@pytest.mark.parametrize("threads", [1, 3])
def test_from_any_checkpoint_on_the_rows_are_those_of_a_replay_bit_for_bit(threads: int) -> None:
    entries = simulated()
    reads, expected = reads_of(entries, 20), replayed(entries)
    run, moments = played(reads, 20, dispatcher_threads=threads)
    assert packed(run.store.rows.values()) == expected
    assert len(moments) > 10
    for moment in moments[:: len(moments) // 8]:
        must_go_on(moment, reads, expected)


@settings(max_examples=25, deadline=None)
@given(histories(), st.integers(1, 5), st.sampled_from([60.0, 120.0, 21_600.0]), st.data())
def test_any_history_cut_off_anywhere_gives_the_rows_of_its_replay(
    entries: list[Entry], size: int, presence_timeout_s: float, data: st.DataObject
) -> None:
    rules = {"session_timeout_s": 60.0, "presence_timeout_s": presence_timeout_s}
    reads, expected = reads_of(entries, size), replayed(entries, **rules)
    moments = played(reads, 1, **rules).moments
    must_go_on(data.draw(st.sampled_from(moments)), reads, expected, **rules)


def test_the_last_checkpoint_is_the_end_of_what_was_read() -> None:
    entries = simulated(seconds=60)
    reads = reads_of(entries, 50)
    run = Run(reads, checkpoint_s=3600)
    stored = run.play()
    again = Run(reads, run.store, run.checkpoints)
    assert again.source._script == []
    assert again.play() == stored


def test_a_checkpoint_has_only_the_sessions_that_changed() -> None:
    run, _ = played(reads_of(simulated(seconds=30), 3), 1)
    first, *others = run.checkpoints.commits
    assert first.is_full
    assert not any(commit.is_full or len(commit.sessions) > 3 for commit in others)
    assert len(run.checkpoints.sessions) == len({key[:2] for key in run.store.rows})


def test_rows_whose_window_touches_a_gap_say_so_before_and_after_a_crash() -> None:
    entries = [entry for entry in simulated(seconds=150) if entry[0] < AT_MS + 150_000]
    reads = reads_of(entries, 40)
    gap = Gap("acme", "trimmed", 7, AT_MS + 20_000, AT_MS + 33_000)
    at = next(n for n, read in enumerate(reads) if read.watermark_ms > gap.to_ms)
    reads[at] = reads[at]._replace(gaps=[gap])
    run, moments = played(reads, 10)
    for moment in moments[:: len(moments) // 8]:
        again = Run(reads, checkpoints=moment.restored())
        again.play()
        for row in [*run.store.rows.values(), *again.store.rows.values()]:
            is_touched = reads[at].entries[0][0] < row.at_ms <= gap.to_ms + 60_000
            expected = GapMark("trimmed", 7) if is_touched and row.tenant_id == "acme" else None
            assert row.gap == expected
