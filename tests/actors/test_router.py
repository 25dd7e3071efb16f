"""What the Router tells whom, in which order, and when it does not read."""

from collections.abc import Callable

import pytest
from structlog.typing import EventDict

from conductor_actors.actors.messages import (
    Barrier,
    BarrierPassed,
    Committed,
    EventBatch,
    IntervalElapsed,
    RequireFull,
    Snapshot,
    StartSession,
    Tick,
    TicksBroadcast,
    TitlesChanged,
    Undeliverable,
    WatermarkReached,
)
from conductor_actors.actors.runtime.base import ChildFailed
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.domain.gaps import Gap, GapMark
from conductor_actors.domain.intake_state import IntakeState
from conductor_actors.domain.session_titles import SessionDetails, TitleChange
from conductor_actors.domain.ticks import TickPosition
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import DeadLetter, ReadResult
from tests.actors.router_harness import MAX_WAIT_S, RouterHarness, entry, read
from tests.support.event_samples import CHAT, REACTION, SESSION_INFO
from tests.support.score_rows import AT_MS


@pytest.fixture
def harness(dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> RouterHarness:
    monkeypatch.setattr("conductor_actors.actors.router.random", lambda: 0.0)  # no pauses
    return RouterHarness(dispatcher)


def events_named(lines: list[EventDict], name: str) -> list[EventDict]:
    return [line for line in lines if line["event"] == name]


def test_each_session_receives_its_events_once_right_before_their_tick(
    harness: RouterHarness,
) -> None:
    first = [entry(AT_MS + each, f"s{each % 3}") for each in range(9)]
    second = [entry(AT_MS + 10 + each, f"s{each % 3}") for each in range(6)]
    harness.route(read(first), read(second), read([], AT_MS + 5000))
    for session in ("s0", "s1", "s2"):
        batch, tick = harness.mail(session)
        assert isinstance(batch, EventBatch)
        assert len(batch.events) == 5
        assert isinstance(tick, Tick)


def test_events_after_a_tick_are_dispatched_only_once_it_was_broadcast(
    harness: RouterHarness,
) -> None:
    at_ms = [AT_MS + 1, AT_MS + 5000, AT_MS + 10_000]
    _, ref = harness.start(read([entry(each) for each in at_ms], AT_MS + 10_000))
    for reached_ms, dispatched in ((1, 0), (5000, 0), (10_000, 1)):
        envelope = harness.ticker.get()
        assert isinstance(envelope.message, WatermarkReached)
        assert envelope.message.watermark.at_ms == AT_MS + reached_ms
        assert len(harness.mail() if dispatched else []) == dispatched
        next_ms = AT_MS + reached_ms - reached_ms % 5000 + 5000
        ref.ask(TicksBroadcast(TickPosition(next_ms - 5000, next_ms)), timeout=MAX_WAIT_S)
    assert len(harness.mail()) == 2


def test_a_watermark_is_sent_again_if_the_reply_passes_no_tick(harness: RouterHarness) -> None:
    """It may be of a Ticker that has just been restarted."""
    harness.start(read([entry(AT_MS + 1), entry(AT_MS + 5000)]))
    for position in (TickPosition(), TickPosition(AT_MS, AT_MS + 5000)):
        assert harness.ticker.get().message.watermark.at_ms == AT_MS + 1
        harness.mailbox.tell(TicksBroadcast(position))
    for _ in range(2):
        assert harness.ticker.get().message.watermark.at_ms == AT_MS + 5000
        harness.mailbox.tell(TicksBroadcast(TickPosition(AT_MS, AT_MS + 5000)))
    assert harness.mail() == []  # the event is delivered with the tick
    harness.is_aborted = True  # or its end would wait for another answer


def test_a_stopping_router_finishes_the_read_that_waits_for_a_tick(
    harness: RouterHarness,
) -> None:
    _, ref = harness.start(read([entry(AT_MS + 1), entry(AT_MS + 5000)], AT_MS + 5001))
    assert harness.ticker.get().message.watermark.at_ms == AT_MS + 1
    stopping = ref.stop(block=False)
    for position in (TickPosition(0, AT_MS + 5000), TickPosition(AT_MS + 5000, AT_MS + 10_000)):
        harness.mailbox.tell(TicksBroadcast(position))
    stopping.get(timeout=MAX_WAIT_S)
    assert sum(len(each.events) for each in harness.mail() if isinstance(each, EventBatch)) == 2
    assert len(harness.checkpointer.of(BarrierPassed)) == 1


def test_an_aborted_drain_leaves_the_read_unfinished_without_a_checkpoint(
    harness: RouterHarness,
) -> None:
    _, ref = harness.start(read([entry(AT_MS + 1)]))
    harness.ticker.get()
    harness.is_aborted = True
    ref.stop(timeout=MAX_WAIT_S)
    assert not harness.checkpointer.of(BarrierPassed)


def test_a_tick_follows_all_earlier_events_and_precedes_all_later_ones(
    harness: RouterHarness,
) -> None:
    at_ms = [AT_MS + 1, AT_MS + 4999, AT_MS + 5000, AT_MS + 9999, AT_MS + 10_000]
    harness.route(read([entry(each) for each in at_ms], AT_MS + 10_000))
    order: list[object] = []
    for message in harness.mail():
        if isinstance(message, Tick):
            order.append(("tick", message.at_ms - AT_MS))
        elif isinstance(message, EventBatch):
            order += [event.at_ms - AT_MS for event in message.events]
    assert order == [1, 4999, ("tick", 5000), 5000, 9999, ("tick", 10_000)]


def test_no_tick_is_due_until_all_earlier_events_were_read(harness: RouterHarness) -> None:
    harness.route(read([entry(AT_MS)], AT_MS + 4999, now_ms=AT_MS + 60_000))
    assert harness.supervisor.of(StartSession) == []


def test_missed_ticks_are_broadcast_in_order(harness: RouterHarness) -> None:
    harness.route(read([entry(AT_MS)]), read([], AT_MS + 20_000))
    assert [tick.at_ms - AT_MS for tick in harness.ticks()] == [5000, 10_000, 15_000, 20_000]


def test_a_tick_older_than_15_seconds_is_not_live(harness: RouterHarness) -> None:
    harness.route(read([entry(AT_MS)], AT_MS + 25_000, now_ms=AT_MS + 25_000))
    assert [(tick.at_ms - AT_MS, tick.is_live) for tick in harness.ticks()] == [
        (5000, False),
        (10_000, True),
        (15_000, True),
        (20_000, True),
        (25_000, True),
    ]


def test_events_from_before_the_first_tick_only_fill_the_windows(
    harness: RouterHarness,
) -> None:
    early = ReadResult([entry(AT_MS)], AT_MS + 60_000, AT_MS + 60_000, first_tick_ms=AT_MS + 58_000)
    harness.route(early)
    assert [tick.at_ms - AT_MS for tick in harness.ticks()] == [60_000]


def test_a_tick_counts_down_all_listening_sessions(harness: RouterHarness) -> None:
    harness.route(read([entry(AT_MS, "s"), entry(AT_MS, "t")], AT_MS + 5000, now_ms=AT_MS + 5250))
    (tick,) = harness.ticks()
    assert tick is harness.ticks("t")[0]
    assert (tick.sessions.total, tick.sessions.lag_s) == (2, 0.25)
    assert tick.sessions.began_s == harness.clock()


def test_nothing_is_read_while_downstream_is_full(harness: RouterHarness) -> None:
    harness.depth.fill()
    source, _ = harness.start_with_ticker(read([entry(AT_MS)], AT_MS + 5000))
    harness.depth.wait_polled()
    assert source.calls == 0
    harness.depth.drain()
    source.wait_until_routed()
    assert len(harness.ticks()) == 1


def test_a_router_that_can_not_read_can_be_stopped(harness: RouterHarness) -> None:
    harness.depth.fill()
    source, ref = harness.start_with_ticker()
    assert ref.stop(timeout=MAX_WAIT_S)
    assert (source.calls, source.closed) == (0, True)


def test_no_tick_is_broadcast_while_downstream_is_full(harness: RouterHarness) -> None:
    def fill_and_read() -> ReadResult:
        harness.depth.fill()
        return read([entry(AT_MS)], AT_MS + 5000)

    source, _ = harness.start_with_ticker(fill_and_read)
    harness.depth.wait_polled()
    assert harness.ticks() == []
    harness.depth.drain()
    source.wait_until_routed()
    assert len(harness.ticks()) == 1


def test_an_invalid_event_is_counted_and_dead_lettered_and_its_body_is_never_logged(
    harness: RouterHarness, log_lines: list[EventDict]
) -> None:
    bad = [
        (AT_MS + 1, 0, CHAT, b"{secret"),
        (AT_MS + 2, 7, CHAT, b"{{secret"),
        (AT_MS + 3, 0, REACTION, b'{"secret": 1}'),
    ]
    ref = harness.route(read([entry(AT_MS), *bad, entry(AT_MS + 9)]))
    assert harness.dead_letters.messages == [
        Undeliverable(
            [
                DeadLetter(CHAT, f"{AT_MS + 1}-0", "not_json", b"{secret"),
                DeadLetter(CHAT, f"{AT_MS + 2}-7", "not_json", b"{{secret"),
                DeadLetter(REACTION, f"{AT_MS + 3}-0", "missing_id", b'{"secret": 1}'),
            ]
        )
    ]
    ref.ask(IntervalElapsed(), timeout=MAX_WAIT_S)
    ref.ask(IntervalElapsed(), timeout=MAX_WAIT_S)
    assert [
        (line["source"], line["reason"], line["events"])
        for line in events_named(log_lines, "events_invalid")
    ] == [(CHAT, "not_json", 2), (REACTION, "missing_id", 1)]
    assert "secret" not in str(log_lines)


def test_titles_are_sent_to_the_title_writer_before_the_checkpoint_that_follows(
    harness: RouterHarness,
) -> None:
    harness.title_writer = harness.checkpointer
    named = (AT_MS, 0, SESSION_INFO, b'{"sessionId":"keynote","title":"Keynote"}')
    ref = harness.route(read([named], AT_MS + 1))
    assert ref.stop(timeout=MAX_WAIT_S)
    keynote = TitleChange("default", "keynote", AT_MS, SessionDetails("Keynote"))
    assert harness.checkpointer.of(TitlesChanged) == [TitlesChanged([keynote])]
    kinds = [type(message) for message in harness.checkpointer.messages]
    assert kinds.index(TitlesChanged) < kinds.index(BarrierPassed)


def test_optional_keys_that_cannot_be_used_are_counted_by_name(
    harness: RouterHarness, log_lines: list[EventDict]
) -> None:
    body = b'{"sessionId":"s","eventId":"","userId":7}'
    ref = harness.route(read([(AT_MS, n, REACTION, body) for n in range(3)], AT_MS + 5000))
    ref.ask(IntervalElapsed(), timeout=MAX_WAIT_S)
    ref.ask(IntervalElapsed(), timeout=MAX_WAIT_S)
    assert [
        (line["key"], line["events"]) for line in events_named(log_lines, "event_keys_ignored")
    ] == [("eventId", 3), ("userId", 3)]
    assert [line["events"] for line in events_named(log_lines, "events_routed")] == [3, 0]
    assert harness.dead_letters.messages == []


def test_routed_events_are_reported_once(
    harness: RouterHarness, log_lines: list[EventDict]
) -> None:
    ours_not = (AT_MS, 1, "sync-events", b'{"resource":"POLL","action":"x","payload":{}}')
    ref = harness.route(read([entry(AT_MS), ours_not, entry(AT_MS, "t", 2)], AT_MS + 5000))
    ref.ask(IntervalElapsed(), timeout=MAX_WAIT_S)
    ref.ask(IntervalElapsed(), timeout=MAX_WAIT_S)
    assert [
        (line["events"], line["skipped"], line["sessions"])
        for line in events_named(log_lines, "events_routed")
    ] == [(2, 1, 2), (0, 0, 2)]


def test_a_gap_is_reported(harness: RouterHarness, log_lines: list[EventDict]) -> None:
    harness.route(ReadResult([], AT_MS, AT_MS, gaps=[Gap("acme", "flooded", 12)]))
    (line,) = events_named(log_lines, "gap_detected")
    assert (line["tenant"], line["reason"], line["lost_events"]) == ("acme", "flooded", 12)


def test_a_gap_of_all_partitions_is_left_to_the_splitter_to_report(
    harness: RouterHarness, log_lines: list[EventDict]
) -> None:
    gaps = [Gap("acme", "flooded", 12, AT_MS, AT_MS)]
    harness.reports_gaps = False
    harness.route(ReadResult([], AT_MS, AT_MS, gaps, clock_gaps=gaps))
    assert events_named(log_lines, "gap_detected") == []


@pytest.mark.parametrize("outage", [Unavailable("connection refused"), ConfigError("grant it")])
def test_an_outage_is_reported_at_once_and_every_30_s_and_is_not_a_failure(
    harness: RouterHarness, log_lines: list[EventDict], outage: Exception
) -> None:
    def away_after(waited_s: float) -> Callable[[], ReadResult]:
        def fail() -> ReadResult:
            harness.clock.advance(waited_s)
            raise outage

        return fail

    attempts = [away_after(each) for each in (0, 1, 28.5, 0.5, 1, 29)]
    ref = harness.route(*attempts, read([entry(AT_MS)], AT_MS + 5000))
    assert [
        (line["event"], line.get("lasted_s")) for line in log_lines if "outage" in line["event"]
    ] == [
        ("outage_began", None),
        ("outage_continues", 30.0),
        ("outage_continues", 60.0),
        ("outage_ended", 60.0),
    ]
    assert ref.is_alive()
    assert len(harness.supervisor.messages) == len(harness.supervisor.of(StartSession)) == 1


def test_a_stopped_router_closes_its_source_and_reports(
    harness: RouterHarness, log_lines: list[EventDict]
) -> None:
    source, ref = harness.start_with_ticker(read([entry(AT_MS)]))
    source.wait_until_routed()
    assert ref.stop(timeout=MAX_WAIT_S)
    assert source.closed
    assert [line["events"] for line in events_named(log_lines, "events_routed")] == [1]


def barrier_of(harness: RouterHarness) -> BarrierPassed:
    return harness.checkpointer.take(BarrierPassed)


def test_a_checkpoint_begins_after_a_whole_read_was_routed(harness: RouterHarness) -> None:
    harness.mailbox.tell(Barrier())  # before the first read
    harness.route(read([entry(AT_MS)], AT_MS + 7000), read([entry(AT_MS + 7000)], AT_MS + 9000))
    barrier = barrier_of(harness)
    assert barrier.header.position == b"1"
    assert barrier.header.intake == IntakeState(AT_MS + 10_000, AT_MS + 5000, AT_MS)
    assert (barrier.header.number, barrier.header.window_s, barrier.is_full) == (1, 60, True)
    assert [type(message) for message in harness.mail()] == [EventBatch, Tick, Snapshot]
    assert len(harness.checkpointer.messages) == 1


def test_a_checkpoint_begins_after_events_that_wait_for_the_next_tick(
    harness: RouterHarness,
) -> None:
    harness.mailbox.tell(Barrier())
    harness.route(read([entry(AT_MS)], AT_MS + 1000))
    assert [type(message) for message in harness.mail()] == [EventBatch, Snapshot]


def test_each_checkpoint_has_its_own_number_even_if_the_router_fails_in_between(
    harness: RouterHarness,
) -> None:
    def fail() -> ReadResult:
        raise ZeroDivisionError

    harness.mailbox.tell(Barrier())
    harness.start_with_ticker(read([entry(AT_MS)]), fail)
    harness.supervisor.take(StartSession)
    harness.supervisor.take(ChildFailed)
    harness.mailbox.tell(Barrier())
    harness.route(read([entry(AT_MS + 1)]))
    assert [barrier.header.number for barrier in harness.checkpointer.of(BarrierPassed)] == [1, 2]


def test_a_durable_session_is_not_in_the_next_checkpoint(harness: RouterHarness) -> None:
    harness.mailbox.tell(Barrier())
    source, ref = harness.start_with_ticker(read([entry(AT_MS, "s"), entry(AT_MS, "t")]))
    source.wait_until_routed()
    ref.ask(Committed(1), timeout=MAX_WAIT_S)
    ref.ask(Barrier(), timeout=MAX_WAIT_S)
    while len(harness.checkpointer.of(BarrierPassed)) < 2:
        ref.ask(IntervalElapsed(), timeout=MAX_WAIT_S)
    captures = [message for message in harness.mail() if isinstance(message, Snapshot)]
    assert [snapshot.has_changed for snapshot in captures] == [True, False]
    ref.ask(RequireFull(), timeout=MAX_WAIT_S)
    ref.ask(Barrier(), timeout=MAX_WAIT_S)
    while len(harness.checkpointer.of(BarrierPassed)) < 3:
        ref.ask(IntervalElapsed(), timeout=MAX_WAIT_S)
    assert [barrier.is_full for barrier in harness.checkpointer.of(BarrierPassed)] == [
        True,
        False,
        True,
    ]


def test_a_stopping_router_begins_a_last_checkpoint(harness: RouterHarness) -> None:
    ref = harness.route(read([entry(AT_MS)], AT_MS + 5000))
    assert ref.stop(timeout=MAX_WAIT_S)
    assert barrier_of(harness).header.position == b"1"
    assert isinstance(harness.mail()[-1], Snapshot)


def test_a_router_that_has_read_nothing_begins_no_checkpoint(harness: RouterHarness) -> None:
    harness.depth.fill()
    _, ref = harness.start_with_ticker(read([entry(AT_MS)]))
    assert ref.stop(timeout=MAX_WAIT_S)
    assert harness.checkpointer.messages == []


def test_a_tick_marks_the_tenants_whose_rows_miss_events(harness: RouterHarness) -> None:
    gap = Gap("acme", "trimmed", 7, AT_MS - 9000, AT_MS - 1000)
    first = ReadResult([entry(AT_MS)], AT_MS + 5000, AT_MS + 5000, [gap])
    harness.route(first, read([entry(AT_MS + 60_000)], AT_MS + 65_000))
    marks = {tick.at_ms - AT_MS: dict(tick.marks) for tick in harness.ticks()}
    assert marks[5000] == marks[55_000] == {"acme": GapMark("trimmed", 7)}
    assert marks[60_000] == marks[65_000] == {}
