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
    Undeliverable,
    WatermarkReached,
)
from conductor_actors.actors.runtime.base import ChildFailed
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.domain.gaps import Gap, GapMark
from conductor_actors.domain.intake import IntakeState
from conductor_actors.domain.ticks import TickPosition
from conductor_actors.errors import Unavailable
from conductor_actors.ports import DeadLetter, ReadResult
from tests.actors.router_harness import PATIENCE_S, Desk, entry, read
from tests.support.event_samples import CHAT, REACTION
from tests.support.score_rows import AT_MS


@pytest.fixture
def desk(dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr("conductor_actors.actors.router.random", lambda: 0.0)  # no pauses
    return Desk(dispatcher)


def events_named(lines: list[EventDict], name: str) -> list[EventDict]:
    return [line for line in lines if line["event"] == name]


def test_each_session_is_told_its_events_once_right_before_their_tick(desk: Desk) -> None:
    first = [entry(AT_MS + each, f"s{each % 3}") for each in range(9)]
    second = [entry(AT_MS + 10 + each, f"s{each % 3}") for each in range(6)]
    desk.play(read(first), read(second), read([], AT_MS + 5000))
    for session in ("s0", "s1", "s2"):
        batch, tick = desk.mail(session)
        assert isinstance(batch, EventBatch)
        assert len(batch.events) == 5
        assert isinstance(tick, Tick)


def test_nothing_is_dispatched_beyond_a_tick_before_it_was_broadcast(desk: Desk) -> None:
    at_ms = [AT_MS + 1, AT_MS + 5000, AT_MS + 10_000]
    _, ref = desk.start(read([entry(each) for each in at_ms], AT_MS + 10_000))
    for reached_ms, dispatched in ((1, 0), (5000, 1), (10_000, 2)):
        envelope = desk.ticker.get()
        assert isinstance(envelope.message, WatermarkReached)
        assert envelope.message.watermark.at_ms == AT_MS + reached_ms
        assert len(desk.mail() if dispatched else []) == dispatched
        next_ms = AT_MS + reached_ms - reached_ms % 5000 + 5000
        ref.ask(TicksBroadcast(TickPosition(next_ms - 5000, next_ms)), timeout=PATIENCE_S)


def test_an_answer_that_passes_no_tick_is_asked_for_again(desk: Desk) -> None:
    """It may be of a Ticker that has just been restarted."""
    desk.start(read([entry(AT_MS + 1), entry(AT_MS + 5000)]))
    for position in (TickPosition(), TickPosition(AT_MS, AT_MS + 5000)):
        assert desk.ticker.get().message.watermark.at_ms == AT_MS + 1
        desk.mailbox.tell(TicksBroadcast(position))
    for _ in range(2):
        assert desk.ticker.get().message.watermark.at_ms == AT_MS + 5000
        desk.mailbox.tell(TicksBroadcast(TickPosition(AT_MS, AT_MS + 5000)))
    assert len(desk.mail()) == 1
    desk.is_aborted = True  # or its end would wait for another answer


def test_a_router_that_is_stopped_finishes_the_read_that_waits_for_a_tick(desk: Desk) -> None:
    _, ref = desk.start(read([entry(AT_MS + 1), entry(AT_MS + 5000)], AT_MS + 5001))
    assert desk.ticker.get().message.watermark.at_ms == AT_MS + 1
    stopping = ref.stop(block=False)
    for position in (TickPosition(0, AT_MS + 5000), TickPosition(AT_MS + 5000, AT_MS + 10_000)):
        desk.mailbox.tell(TicksBroadcast(position))
    stopping.get(timeout=PATIENCE_S)
    assert sum(len(each.events) for each in desk.mail() if isinstance(each, EventBatch)) == 2
    assert len(desk.checkpointer.of(BarrierPassed)) == 1


def test_a_hopeless_drain_leaves_the_read_and_makes_no_checkpoint(desk: Desk) -> None:
    _, ref = desk.start(read([entry(AT_MS + 1)]))
    desk.ticker.get()
    desk.is_aborted = True
    ref.stop(timeout=PATIENCE_S)
    assert not desk.checkpointer.of(BarrierPassed)


def test_a_tick_comes_behind_every_event_before_it_and_before_all_others(desk: Desk) -> None:
    at_ms = [AT_MS + 1, AT_MS + 4999, AT_MS + 5000, AT_MS + 9999, AT_MS + 10_000]
    desk.play(read([entry(each) for each in at_ms], AT_MS + 10_000))
    order: list[object] = []
    for message in desk.mail():
        if isinstance(message, Tick):
            order.append(("tick", message.at_ms - AT_MS))
        elif isinstance(message, EventBatch):
            order += [event.at_ms - AT_MS for event in message.events]
    assert order == [1, 4999, ("tick", 5000), 5000, 9999, ("tick", 10_000)]


def test_no_tick_comes_before_everything_before_it_has_been_read(desk: Desk) -> None:
    desk.play(read([entry(AT_MS)], AT_MS + 4999, now_ms=AT_MS + 60_000))
    assert desk.supervisor.of(StartSession) == []


def test_ticks_that_were_missed_come_all_in_order(desk: Desk) -> None:
    desk.play(read([entry(AT_MS)]), read([], AT_MS + 20_000))
    assert [tick.at_ms - AT_MS for tick in desk.ticks()] == [5000, 10_000, 15_000, 20_000]


def test_a_tick_older_than_15_seconds_is_not_live(desk: Desk) -> None:
    desk.play(read([entry(AT_MS)], AT_MS + 25_000, now_ms=AT_MS + 25_000))
    assert [(tick.at_ms - AT_MS, tick.is_live) for tick in desk.ticks()] == [
        (5000, False),
        (10_000, True),
        (15_000, True),
        (20_000, True),
        (25_000, True),
    ]


def test_what_was_read_from_before_the_first_tick_only_fills_the_windows(desk: Desk) -> None:
    early = ReadResult([entry(AT_MS)], AT_MS + 60_000, AT_MS + 60_000, first_tick_ms=AT_MS + 58_000)
    desk.play(early)
    assert [tick.at_ms - AT_MS for tick in desk.ticks()] == [60_000]


def test_a_tick_counts_down_all_sessions_that_listen(desk: Desk) -> None:
    desk.play(read([entry(AT_MS, "s"), entry(AT_MS, "t")], AT_MS + 5000, now_ms=AT_MS + 5250))
    (tick,) = desk.ticks()
    assert tick is desk.ticks("t")[0]
    assert (tick.sessions.total, tick.sessions.lag_s) == (2, 0.25)
    assert tick.sessions.began_s == desk.clock()


def test_nothing_is_read_while_downstream_is_full(desk: Desk) -> None:
    desk.depth.fill()
    source, _ = desk.start_with_ticker(read([entry(AT_MS)], AT_MS + 5000))
    desk.depth.wait_looked_at()
    assert source.calls == 0
    desk.depth.drain()
    source.wait_played()
    assert len(desk.ticks()) == 1


def test_a_router_that_can_not_read_still_hears_a_stop(desk: Desk) -> None:
    desk.depth.fill()
    source, ref = desk.start_with_ticker()
    assert ref.stop(timeout=PATIENCE_S)
    assert (source.calls, source.closed) == (0, True)


def test_no_tick_is_told_while_downstream_is_full(desk: Desk) -> None:
    def fill_and_read() -> ReadResult:
        desk.depth.fill()
        return read([entry(AT_MS)], AT_MS + 5000)

    source, _ = desk.start_with_ticker(fill_and_read)
    desk.depth.wait_looked_at()
    assert desk.ticks() == []
    desk.depth.drain()
    source.wait_played()
    assert len(desk.ticks()) == 1


def test_what_is_no_event_is_put_aside_and_counted_and_its_text_never_logged(
    desk: Desk, log_lines: list[EventDict]
) -> None:
    bad = [
        (AT_MS + 1, 0, CHAT, b"{secret"),
        (AT_MS + 2, 7, CHAT, b"{{secret"),
        (AT_MS + 3, 0, REACTION, b'{"secret": 1}'),
    ]
    ref = desk.play(read([entry(AT_MS), *bad, entry(AT_MS + 9)]))
    assert desk.dead_letters.messages == [
        Undeliverable(
            [
                DeadLetter(CHAT, f"{AT_MS + 1}-0", "not_json", b"{secret"),
                DeadLetter(CHAT, f"{AT_MS + 2}-7", "not_json", b"{{secret"),
                DeadLetter(REACTION, f"{AT_MS + 3}-0", "missing_id", b'{"secret": 1}'),
            ]
        )
    ]
    ref.ask(IntervalElapsed(), timeout=PATIENCE_S)
    ref.ask(IntervalElapsed(), timeout=PATIENCE_S)
    assert [
        (line["source"], line["reason"], line["events"])
        for line in events_named(log_lines, "events_invalid")
    ] == [(CHAT, "not_json", 2), (REACTION, "missing_id", 1)]
    assert "secret" not in str(log_lines)


def test_what_was_routed_is_said_once(desk: Desk, log_lines: list[EventDict]) -> None:
    ours_not = (AT_MS, 1, "sync-events", b'{"resource":"POLL","action":"x","payload":{}}')
    ref = desk.play(read([entry(AT_MS), ours_not, entry(AT_MS, "t", 2)], AT_MS + 5000))
    ref.ask(IntervalElapsed(), timeout=PATIENCE_S)
    ref.ask(IntervalElapsed(), timeout=PATIENCE_S)
    assert [
        (line["events"], line["skipped"], line["sessions"])
        for line in events_named(log_lines, "events_routed")
    ] == [(2, 1, 2), (0, 0, 2)]


def test_a_gap_is_said(desk: Desk, log_lines: list[EventDict]) -> None:
    desk.play(ReadResult([], AT_MS, AT_MS, gaps=[Gap("acme", "flooded", 12)]))
    (line,) = events_named(log_lines, "gap_detected")
    assert (line["tenant"], line["reason"], line["lost_events"]) == ("acme", "flooded", 12)


def test_an_outage_is_said_once_then_every_30_s_and_is_no_failure(
    desk: Desk, log_lines: list[EventDict]
) -> None:
    def away_after(waited_s: float) -> Callable[[], ReadResult]:
        def fail() -> ReadResult:
            desk.clock.advance(waited_s)
            raise Unavailable("connection refused")

        return fail

    attempts = [away_after(each) for each in (0, 1, 28.5, 0.5, 1, 29)]
    ref = desk.play(*attempts, read([entry(AT_MS)], AT_MS + 5000))
    assert [
        (line["event"], line.get("lasted_s")) for line in log_lines if "outage" in line["event"]
    ] == [
        ("outage_began", None),
        ("outage_continues", 30.0),
        ("outage_continues", 60.0),
        ("outage_ended", 60.0),
    ]
    assert ref.is_alive()
    assert len(desk.supervisor.messages) == len(desk.supervisor.of(StartSession)) == 1


def test_a_stopped_router_lets_go_of_its_source_and_reports(
    desk: Desk, log_lines: list[EventDict]
) -> None:
    source, ref = desk.start_with_ticker(read([entry(AT_MS)]))
    source.wait_played()
    assert ref.stop(timeout=PATIENCE_S)
    assert source.closed
    assert [line["events"] for line in events_named(log_lines, "events_routed")] == [1]


def barrier_of(desk: Desk) -> BarrierPassed:
    return desk.checkpointer.take(BarrierPassed)


def test_a_cut_comes_behind_a_read_that_was_routed_whole(desk: Desk) -> None:
    desk.mailbox.tell(Barrier())  # before the first read
    desk.play(read([entry(AT_MS)], AT_MS + 7000), read([entry(AT_MS + 7000)], AT_MS + 9000))
    barrier = barrier_of(desk)
    assert barrier.header.position == b"1"
    assert barrier.header.intake == IntakeState(AT_MS + 10_000, AT_MS + 5000, AT_MS)
    assert (barrier.header.number, barrier.header.window_s, barrier.is_full) == (1, 60, True)
    assert [type(message) for message in desk.mail()] == [EventBatch, Tick, Snapshot]
    assert len(desk.checkpointer.messages) == 1


def test_a_cut_comes_behind_what_was_gathered_for_the_next_tick(desk: Desk) -> None:
    desk.mailbox.tell(Barrier())
    desk.play(read([entry(AT_MS)], AT_MS + 1000))
    assert [type(message) for message in desk.mail()] == [EventBatch, Snapshot]


def test_each_cut_has_its_own_number_though_the_router_failed_between(desk: Desk) -> None:
    def fail() -> ReadResult:
        raise ZeroDivisionError

    desk.mailbox.tell(Barrier())
    desk.start_with_ticker(read([entry(AT_MS)]), fail)
    desk.supervisor.take(StartSession)
    desk.supervisor.take(ChildFailed)
    desk.mailbox.tell(Barrier())
    desk.play(read([entry(AT_MS + 1)]))
    assert [barrier.header.number for barrier in desk.checkpointer.of(BarrierPassed)] == [1, 2]


def test_what_is_durable_is_not_in_the_next_checkpoint(desk: Desk) -> None:
    desk.mailbox.tell(Barrier())
    source, ref = desk.start_with_ticker(read([entry(AT_MS, "s"), entry(AT_MS, "t")]))
    source.wait_played()
    ref.ask(Committed(1), timeout=PATIENCE_S)
    ref.ask(Barrier(), timeout=PATIENCE_S)
    while len(desk.checkpointer.of(BarrierPassed)) < 2:
        ref.ask(IntervalElapsed(), timeout=PATIENCE_S)
    captures = [message for message in desk.mail() if isinstance(message, Snapshot)]
    assert [snapshot.has_changed for snapshot in captures] == [True, False]
    ref.ask(RequireFull(), timeout=PATIENCE_S)
    ref.ask(Barrier(), timeout=PATIENCE_S)
    while len(desk.checkpointer.of(BarrierPassed)) < 3:
        ref.ask(IntervalElapsed(), timeout=PATIENCE_S)
    assert [barrier.is_full for barrier in desk.checkpointer.of(BarrierPassed)] == [
        True,
        False,
        True,
    ]


def test_a_stopping_router_makes_a_last_cut(desk: Desk) -> None:
    ref = desk.play(read([entry(AT_MS)], AT_MS + 5000))
    assert ref.stop(timeout=PATIENCE_S)
    assert barrier_of(desk).header.position == b"1"
    assert isinstance(desk.mail()[-1], Snapshot)


def test_a_router_that_has_read_nothing_has_nothing_to_cut(desk: Desk) -> None:
    desk.depth.fill()
    _, ref = desk.start_with_ticker(read([entry(AT_MS)]))
    assert ref.stop(timeout=PATIENCE_S)
    assert desk.checkpointer.messages == []


def test_ticks_tell_whose_rows_miss_something(desk: Desk) -> None:
    gap = Gap("acme", "trimmed", 7, AT_MS - 9000, AT_MS - 1000)
    first = ReadResult([entry(AT_MS)], AT_MS + 5000, AT_MS + 5000, [gap])
    desk.play(first, read([entry(AT_MS + 60_000)], AT_MS + 65_000))
    marks = {tick.at_ms - AT_MS: dict(tick.marks) for tick in desk.ticks()}
    assert marks[5000] == marks[55_000] == {"acme": GapMark("trimmed", 7)}
    assert marks[60_000] == marks[65_000] == {}
