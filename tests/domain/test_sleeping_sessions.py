"""Sessions that sleep while users are connected."""

from collections.abc import Callable

import pytest

from conductor_actors.domain.events import Event
from tests.domain.session_samples import (
    MINUTE_MS,
    SESSION,
    START_MS,
    TICK_MS,
    after,
    chat,
    closed,
    joined,
    left,
    reaction,
    row_of,
    state_after,
)

SLEEP_MS = 30 * MINUTE_MS
FORGOTTEN_MS = 360 * MINUTE_MS


def test_a_session_with_connected_users_sleeps_and_wakes_with_all_that_it_knew() -> None:
    audience = [joined(0, f"user {number}") for number in range(200)]
    asleep = state_after(reaction(0, "event-1"), *audience)
    assert not asleep.has_row_at(START_MS + SLEEP_MS)
    awake = after(asleep, [chat(SLEEP_MS, f"user {number}") for number in range(4)])
    tick_ms = START_MS + SLEEP_MS + TICK_MS
    assert awake.has_row_at(tick_ms)
    assert awake.event_id == "event-1"
    signals = awake.signals(tick_ms)
    assert (signals.active_users, signals.total_users) == (4, 200)


@pytest.mark.parametrize("quiet", [left, closed])
def test_a_leave_or_a_polls_end_does_not_wake_a_session(quiet: Callable[[int], Event]) -> None:
    asleep = state_after(joined(0), joined(0, "bob"), quiet(SLEEP_MS))
    assert not asleep.has_row_at(START_MS + SLEEP_MS + TICK_MS)
    assert asleep.is_forgotten_at(START_MS + FORGOTTEN_MS)  # counted from the join


def test_a_leave_counts_while_a_session_sleeps() -> None:
    awake = state_after(joined(0), joined(0, "bob"), left(SLEEP_MS), chat(SLEEP_MS + 1, "bob"))
    signals = awake.signals(START_MS + SLEEP_MS + TICK_MS)
    assert (signals.total_users, signals.user_leave_rate) == (2, 0.5)


def test_a_session_that_sleeps_is_forgotten_when_the_last_user_leaves() -> None:
    asleep = state_after(reaction(0, "event-1"), joined(0))
    assert not asleep.is_forgotten_at(START_MS + SLEEP_MS)
    gone = after(asleep, [left(SLEEP_MS)])
    assert gone.is_forgotten_at(START_MS + SLEEP_MS)
    assert after(gone, [chat(SLEEP_MS)]).event_id == SESSION


def test_a_session_that_sleeps_is_forgotten_after_its_presence_timeout() -> None:
    asleep = state_after(joined(0, "ada"), joined(0, "bob"), left(SLEEP_MS, "ada"))
    late = after(asleep, [chat(FORGOTTEN_MS - 1, "bob")])
    too_late = after(asleep, [chat(FORGOTTEN_MS, "bob")])
    assert [*late.connections] == ["bob"]
    assert not too_late.connections


def test_the_last_row_before_a_session_sleeps_or_is_over_says_when_it_was_active() -> None:
    for state in (state_after(joined(0)), state_after(reaction(0))):
        last_ms = START_MS + SLEEP_MS - TICK_MS
        assert not row_of(last_ms - TICK_MS, state).is_last
        last = row_of(last_ms, state)
        assert (last.is_last, last.active_until_ms) == (True, START_MS + TICK_MS)
        assert not row_of(last_ms, after(state, [reaction(SLEEP_MS - TICK_MS - 1)])).is_last
