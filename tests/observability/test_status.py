"""What is known of a collector by those who ask from another thread."""

from conductor_actors.app.sources import WatchedCheckpoints, WatchedSource
from conductor_actors.domain.gaps import Gap
from conductor_actors.observability.status import READS_WITHIN_S, Progress
from conductor_actors.ports import Checkpoint, ReadResult
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.memory_checkpoints import MemoryCheckpoints
from tests.support.fakes.scripted_source import ScriptedSource

WHOLE = Checkpoint(b"header", {}, is_full=True)


def test_at_first_nothing_is_known() -> None:
    progress = Progress(FakeClock())
    assert (progress.lag_s(), progress.checkpoint_age_s(), progress.gaps()) == (None, None, {})
    assert progress.state() == "starting"


def test_a_standby_is_not_ready_and_not_stalled() -> None:
    clock = FakeClock()
    progress = Progress(clock)
    progress.stands_by()
    clock.advance(2 * READS_WITHIN_S)
    assert progress.state() == "standby"
    assert progress.obstacles() == ("standby: another process owns the events",)
    progress.begins()
    assert (progress.state(), list(progress.obstacles())) == ("running", [])
    clock.advance(2 * READS_WITHIN_S)
    assert progress.state() == "stalled"


def test_reads_tell_how_far_behind_they_are_and_what_is_missing() -> None:
    progress = Progress(FakeClock())
    gaps = [Gap("acme", "trimmed", 7), Gap("*", "restarted", None), Gap("globex", "trimmed", 3)]
    source = WatchedSource(
        ScriptedSource([ReadResult((), 1000, 3500, gaps), ReadResult((), 9, 9)]), progress
    )
    source.read()
    assert progress.lag_s() == 2.5
    source.read()
    assert progress.lag_s() == 0
    assert progress.gaps() == {"trimmed": (2, 10), "restarted": (1, 0)}


def test_a_watched_source_is_its_source() -> None:
    inner = ScriptedSource([ReadResult((), 1, 1)])
    source = WatchedSource(inner, Progress())
    source.subscribe()
    source.resume(b"1")
    assert (inner.subscribe_calls, source.position()) == (1, b"1")
    source.close()
    assert inner.closed


def test_the_age_of_the_last_checkpoint_is_known() -> None:
    clock = FakeClock()
    progress, inner = Progress(clock), MemoryCheckpoints()
    store = WatchedCheckpoints(inner, progress)
    assert not store.commit(WHOLE._replace(is_full=False))
    assert progress.checkpoint_age_s() is None
    assert store.commit(WHOLE)
    clock.advance(12.5)
    assert progress.checkpoint_age_s() == 12.5
    assert store.load() == WHOLE
    store.close()
    assert inner.closed
