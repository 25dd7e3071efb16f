"""The status of a collector, as its own threads record it."""

from conductor_actors.app.monitored_ports import MonitoredCheckpoints, MonitoredSource
from conductor_actors.domain.entries import Entry, RestampedEntry
from conductor_actors.domain.gaps import Gap
from conductor_actors.log_events import GapDetected
from conductor_actors.observability.collector_progress import STALLED_AFTER_S, CollectorProgress
from conductor_actors.observability.collector_status import CollectorStatus, GapCount
from conductor_actors.ports import Checkpoint, ReadResult
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.memory_checkpoints import MemoryCheckpoints
from tests.support.fakes.scripted_source import ScriptedSource

FULL = Checkpoint(b"header", {}, is_full=True)


def test_a_collector_that_starts_has_no_lag_no_checkpoint_and_no_gaps() -> None:
    status = CollectorProgress(FakeClock()).status()
    assert status == CollectorStatus("starting", ("collector: starting",), None, None, {})


def test_a_standby_is_not_ready_and_not_stalled() -> None:
    clock = FakeClock()
    progress = CollectorProgress(clock)
    progress.record_standby()
    clock.advance(2 * STALLED_AFTER_S)
    assert progress.status().state == "standby"
    assert progress.status().obstacles == ("standby: another process owns the events",)


def test_a_collector_that_has_read_nothing_for_20_s_is_stalled() -> None:
    clock = FakeClock()
    progress = CollectorProgress(clock)
    clock.advance(2 * STALLED_AFTER_S)
    progress.record_start()
    assert (progress.status().state, progress.status().obstacles) == ("running", [])
    clock.advance(2 * STALLED_AFTER_S)
    assert progress.status().state == "stalled"
    assert progress.status().obstacles == ["collector: no events could be read for 20 s"]
    progress.record_read(ReadResult((), 0, 0))
    assert progress.status().state == "running"


def test_a_collector_that_cannot_publish_is_stalled() -> None:
    progress = CollectorProgress(FakeClock())
    progress.record_start()
    progress.is_publishing = False
    assert progress.status().state == "stalled"
    assert progress.status().obstacles == ["collector: scores can't be announced"]


def test_a_collector_that_drains_is_not_ready() -> None:
    progress = CollectorProgress(FakeClock())
    progress.record_start()
    progress.record_drain()
    assert progress.status()[:2] == ("draining", ("collector: draining",))


def test_reads_are_recorded_with_their_lag_and_their_gaps() -> None:
    progress = CollectorProgress(FakeClock())
    gaps = [Gap("acme", "trimmed", 7), Gap("*", "restarted", None), Gap("globex", "trimmed", 3)]
    source = MonitoredSource(
        ScriptedSource([ReadResult((), 1000, 3500, gaps), ReadResult((), 9, 9)]), progress
    )
    source.read()
    assert progress.status().lag_s == 2.5
    source.read()
    assert progress.status().lag_s == 0
    assert progress.status().gaps == {"trimmed": GapCount(2, 10), "restarted": GapCount(1, 0)}


def test_entries_ahead_of_redis_clock_are_counted_beside_the_logged_gaps() -> None:
    progress = CollectorProgress()
    gaps = [Gap("acme", "clock", 0, 1000, 90_000)]
    on_time: Entry = (999, 0, "sync-events", b"")
    ahead = [RestampedEntry((90_000, each, "sync-events", b""), 1000, each) for each in range(3)]
    for entries, watermark_ms, clock_gaps in (
        ([on_time, *ahead], 1000, gaps),
        ((), 1000, gaps),
        (ahead, 1001, ()),  # those of the read before
        ([on_time], 1002, ()),
    ):
        progress.record_read(ReadResult(entries, watermark_ms, 1000, clock_gaps=clock_gaps))
    for reason in ("clock", "trimmed"):
        progress.observe(GapDetected(tenant="acme", reason=reason, lost_events=0))
    assert progress.status().gaps == {"clock": GapCount(1, 0, 6)}


def test_a_monitored_source_passes_every_call_on() -> None:
    inner = ScriptedSource([ReadResult((), 1, 1)])
    source = MonitoredSource(inner, CollectorProgress())
    source.subscribe()
    source.resume(b"1")
    assert (inner.subscribe_calls, source.position()) == (1, b"1")
    source.close()
    assert inner.closed


def test_the_age_of_a_checkpoint_begins_at_its_successful_commit() -> None:
    clock = FakeClock()
    progress, inner = CollectorProgress(clock), MemoryCheckpoints()
    store = MonitoredCheckpoints(inner, progress)
    assert not store.commit(FULL._replace(is_full=False))
    assert progress.status().checkpoint_age_s is None
    assert store.commit(FULL)
    clock.advance(12.5)
    assert progress.status().checkpoint_age_s == 12.5
    assert store.load() == FULL
    store.close()
    assert inner.closed
