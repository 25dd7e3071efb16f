"""A session agrees with the reference at every tick, and each rule holds by an example."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.domain.draft import apply_events
from conductor_actors.domain.events import (
    ChatMessage,
    Event,
)
from conductor_actors.domain.scoring import Scoring, Signals, category, clamped
from conductor_actors.domain.session_rules import SessionRules
from tests.domain.session_samples import (
    MINUTE_MS,
    SESSION,
    START_MS,
    TICK_MS,
    after,
    answers,
    batch_sizes,
    chat,
    closed,
    joined,
    left,
    new_state,
    reaction,
    row_of,
    rules_of_all_kinds,
    state_after,
    states_at_ticks,
    streams,
    vote,
)
from tests.support.reference import Timeouts, row_at

BEGINNINGS: tuple[Callable[[int], Event], ...] = (chat, vote, reaction, joined)


@settings(max_examples=60, deadline=None)
@given(streams, rules_of_all_kinds, batch_sizes)
def test_a_session_agrees_with_the_reference_at_every_tick(
    events: list[Event], rules: SessionRules, sizes: list[int]
) -> None:
    window_ms = rules.window_s * 1000
    timeouts = Timeouts(rules.timeout_s * 1000, rules.presence_timeout_s * 1000)
    for tick_ms, state in states_at_ticks(events, rules, sizes):
        row = row_at(tick_ms, SESSION, events, window_ms, timeouts)
        assert state.has_row_at(tick_ms) == (row is not None)
        if row is not None:
            signals = state.signals(tick_ms)
            score = clamped(Scoring().contributions(signals).total())
            assert msgspec.structs.asdict(signals) == pytest.approx(row.signals, rel=0, abs=1e-12)
            assert state.event_id == row.event_id
            assert score == pytest.approx(row.score, rel=0, abs=1e-12)
            assert category(row.score) == row.category


@settings(max_examples=60, deadline=None)
@given(streams, rules_of_all_kinds, batch_sizes)
def test_users_are_in_the_order_of_their_times_and_guests_are_counted(
    events: list[Event], rules: SessionRules, sizes: list[int]
) -> None:
    for tick_ms, state in states_at_ticks(events, rules, sizes):
        for _ in range(2):
            for window in (state.messages, state.active, state.leavers):
                assert [*window.times_ms.values()] == sorted(window.times_ms.values())
            present = {*state.connections, *state.leavers.times_ms}
            assert state.guests == len(state.active.times_ms.keys() - present)
            assert not state.leavers.times_ms.keys() & state.connections.keys()
            state.signals(tick_ms)


@settings(max_examples=200, deadline=None)
@given(streams, rules_of_all_kinds, batch_sizes, st.sets(st.integers(0, 6)))
def test_a_row_does_not_depend_on_the_rows_before_it(
    events: list[Event], rules: SessionRules, sizes: list[int], skipped: set[int]
) -> None:
    for tick_ms, state in states_at_ticks(events, rules, sizes):
        if state.has_row_at(tick_ms) and tick_ms // TICK_MS % 7 not in skipped:
            assert row_of(tick_ms, state) == row_of(tick_ms, state.copy())


def test_a_score_holds_until_an_event_comes_or_leaves_a_window() -> None:
    state = state_after(joined(0), chat(100))
    first, *quiet, last = [row_of(START_MS + tick * TICK_MS, state) for tick in range(1, 14)]
    assert first.signals == quiet[0].signals != last.signals
    assert {id(row.signals) for row in quiet} == {id(quiet[0].signals)}
    woken = apply_events(state, [chat(65_001)])
    assert row_of(START_MS + 70_000, woken).signals.chat_msgs_per_min == 1.0


def test_a_tick_and_an_event_take_no_more_steps_with_more_users() -> None:
    def steps_with(users: int) -> int:
        crowd = [f"user {number}" for number in range(users)]
        state = state_after(
            *(joined(0, user) for user in crowd), *(vote(1, user) for user in crowd)
        )
        with counted_lines() as lines:
            apply_events(state, [chat(2, crowd[0], "m"), vote(3, crowd[0]), left(4, crowd[0])])
            state.signals(START_MS + TICK_MS)
        return len(lines)

    assert steps_with(2000) == steps_with(2)


@contextmanager
def counted_lines() -> Iterator[list[None]]:
    """Collect one item for each line of Python that runs in this block."""
    lines: list[None] = []

    def trace(_: FrameType, kind: str, __: Any) -> Any:
        if kind == "line":
            lines.append(None)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield lines
    finally:
        sys.settrace(before)


@settings(max_examples=20, deadline=None)
@given(streams, rules_of_all_kinds, batch_sizes)
def test_signals_do_not_depend_on_how_often_they_are_measured(
    events: list[Event], rules: SessionRules, sizes: list[int]
) -> None:
    often = {
        tick_ms: answers(state, tick_ms) for tick_ms, state in states_at_ticks(events, rules, sizes)
    }
    for tick_ms, state in states_at_ticks(events, rules, sizes, 7 * TICK_MS):
        if state.has_row_at(tick_ms):
            assert answers(state, tick_ms) == often[tick_ms]


@settings(max_examples=60, deadline=None)
@given(streams, streams, rules_of_all_kinds)
def test_events_applied_to_a_copy_leave_the_state_unchanged(
    before: list[Event], events: list[Event], rules: SessionRules
) -> None:
    old = after(new_state(rules), before)
    offset_ms = before[-1].at_ms - START_MS
    later = [msgspec.structs.replace(event, at_ms=event.at_ms + offset_ms) for event in events]
    tick_ms = before[-1].at_ms - before[-1].at_ms % TICK_MS + TICK_MS
    end_ms = later[-1].at_ms - later[-1].at_ms % TICK_MS + TICK_MS
    now, then = answers(old, tick_ms), answers(after(old, later), end_ms)
    for _ in range(2):
        assert answers(old, tick_ms) == now
        assert answers(after(after(old, later[:1]), later[1:]), end_ms) == then


@settings(max_examples=40, deadline=None)
@given(streams, rules_of_all_kinds)
def test_signals_measured_twice_are_the_same(events: list[Event], rules: SessionRules) -> None:
    state = after(new_state(rules), events)
    tick_ms = events[-1].at_ms - events[-1].at_ms % TICK_MS + TICK_MS
    assert state.signals(tick_ms) == state.signals(tick_ms)


@settings(max_examples=60, deadline=None)
@given(streams)
def test_every_signal_but_the_users_falls_to_zero_without_events(events: list[Event]) -> None:
    state = after(new_state(), events)
    signals = state.signals(events[-1].at_ms + 5 * MINUTE_MS)
    assert signals == Signals(0.0, 0.0, 0, len(state.connections), 0.0, 0.0)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_chat_a_vote_a_reaction_or_a_join_begins_a_session(
    beginning: Callable[[int], Event],
) -> None:
    assert not new_state().has_row_at(START_MS)
    assert state_after(beginning(0)).has_row_at(START_MS + TICK_MS)


@pytest.mark.parametrize("nothing", [left, closed])
def test_a_leave_or_a_polls_end_does_not_begin_a_session(nothing: Callable[[int], Event]) -> None:
    assert not state_after(nothing(0)).has_row_at(START_MS + TICK_MS)


@pytest.mark.parametrize("sign_of_life", [*BEGINNINGS, left, closed])
def test_every_event_keeps_a_session_alive_for_its_timeout(
    sign_of_life: Callable[[int], Event],
) -> None:
    state = state_after(joined(0, "bob"), sign_of_life(20 * MINUTE_MS))
    assert state.has_row_at(START_MS + 50 * MINUTE_MS - 1)
    assert not state.has_row_at(START_MS + 50 * MINUTE_MS)


def test_a_session_drops_what_no_window_can_see() -> None:
    state = state_after(joined(0), left(1, "ada"), chat(2, "bob", "m"))
    state.signals(START_MS + 2 * MINUTE_MS)
    windows = (state.messages, state.active, state.leavers)
    assert [window.times_ms for window in windows] == [{}, {}, {}]


def test_a_repeated_message_does_not_keep_a_session_alive() -> None:
    state = after(
        new_state(SessionRules(60, 50)), [chat(0, message="m"), chat(40_000, message="m")]
    )
    assert not state.has_row_at(START_MS + 50_000)


def test_a_session_without_connected_users_begins_anew_after_its_timeout() -> None:
    first_life: list[Event] = [vote(0), reaction(0, "event-1"), chat(0, message="m")]
    second_life: list[Event] = [vote(30 * MINUTE_MS, "bob"), reaction(30 * MINUTE_MS, "event-2")]
    tick_ms = START_MS + 30 * MINUTE_MS + TICK_MS
    assert answers(state_after(*first_life, *second_life), tick_ms) == answers(
        state_after(*second_life), tick_ms
    )


def test_a_message_counts_again_one_window_after_its_first_arrival() -> None:
    repeated = [chat(at_ms, message="m") for at_ms in (0, 30_000, 59_999, 60_000)]
    assert state_after(*repeated[:3]).signals(START_MS + MINUTE_MS).chat_msgs_per_min == 1
    assert state_after(*repeated).signals(START_MS + MINUTE_MS + TICK_MS).chat_msgs_per_min == 1


def test_a_repeat_has_no_effect_at_all() -> None:
    first = chat(0, "ada", "m")
    repeat = ChatMessage(START_MS + 1000, "event-1", "bob", "m")
    tick_ms = START_MS + TICK_MS
    assert answers(state_after(first, repeat), tick_ms) == answers(state_after(first), tick_ms)


def test_messages_without_an_id_all_count() -> None:
    state = state_after(*(chat(0, message=None) for _ in range(7)))
    assert state.signals(START_MS + TICK_MS).chat_msgs_per_min == 7


def test_rates_are_scaled_to_a_minute() -> None:
    state = after(new_state(SessionRules(10)), [chat(0), reaction(0), reaction(0)])
    signals = state.signals(START_MS + TICK_MS)
    assert (signals.chat_msgs_per_min, signals.reactions_per_min) == (6, 12)


def test_a_window_includes_its_begin_and_not_its_end() -> None:
    assert state_after(chat(0)).signals(START_MS + MINUTE_MS).active_users == 1
    assert state_after(chat(0)).signals(START_MS + MINUTE_MS + TICK_MS).active_users == 0


def test_a_user_on_two_devices_has_left_once_both_are_gone() -> None:
    still_there = state_after(joined(0), joined(0), left(1000))
    gone = after(still_there, [left(2000)])
    tick_ms = START_MS + TICK_MS
    assert still_there.signals(tick_ms).user_leave_rate == 0
    assert gone.signals(tick_ms).user_leave_rate == 1  # of those who were there in the window
    assert gone.signals(START_MS + MINUTE_MS).total_users == 1
    assert gone.signals(START_MS + MINUTE_MS + TICK_MS).total_users == 0


def test_a_leave_at_zero_is_ignored() -> None:
    state = state_after(chat(0, "bob"), left(0), left(0), joined(1000), left(2000), left(2000))
    state = after(state, [joined(3000)])
    signals = state.signals(START_MS + TICK_MS)
    assert (signals.total_users, signals.user_leave_rate) == (2, 0)


def test_a_user_who_comes_back_has_not_left() -> None:
    state = state_after(joined(0), left(1000), joined(2000))
    assert state.signals(START_MS + TICK_MS).user_leave_rate == 0


def test_a_second_device_and_a_reconnect_within_a_window_are_no_activity() -> None:
    everybody_is_back = state_after(
        joined(0), joined(0, "bob"), left(90_000), joined(95_000), joined(96_000, "bob")
    )
    signals = everybody_is_back.signals(START_MS + 100_000)
    assert (signals.active_users, signals.total_users) == (0, 2)


def test_a_user_who_comes_back_a_window_after_leaving_arrives() -> None:
    late = state_after(joined(0), left(1000), joined(1000 + MINUTE_MS))
    soon = state_after(joined(0), left(1000), joined(999 + MINUTE_MS))
    tick_ms = START_MS + MINUTE_MS + TICK_MS
    assert late.signals(tick_ms).active_users == 1
    assert soon.signals(tick_ms).active_users == 0


def test_an_exodus_lowers_the_score() -> None:
    crowd = [joined(0, f"user {number}") for number in range(100)]
    active = [chat(90_000, f"user {number}") for number in range(20)]
    exodus = [left(91_000, f"user {number}") for number in range(10, 100)]
    stayed, gone = state_after(*crowd, *active), state_after(*crowd, *active, *exodus)
    tick_ms = START_MS + 95_000
    scores = [Scoring().contributions(one.signals(tick_ms)).total() for one in (stayed, gone)]
    assert scores[1] < scores[0]
    assert gone.signals(tick_ms).total_users == 100
    assert gone.signals(tick_ms).user_leave_rate == 0.9


def test_the_audience_is_known_once_a_join_was_received() -> None:
    unknown = state_after(chat(0), left(0), vote(1))
    known = after(unknown, [joined(2, "bob")])
    rows = [row_of(TICK_MS + START_MS, state) for state in (unknown, known)]
    assert [row.is_audience_known for row in rows] == [False, True]


@pytest.mark.parametrize("placeholder", [None, "unknown", SESSION])
def test_the_event_is_the_first_real_id_seen(placeholder: str | None) -> None:
    state = state_after(reaction(0, placeholder))
    assert state.event_id == SESSION
    assert after(state, [reaction(1, "event-1"), reaction(2, "event-2")]).event_id == "event-1"
