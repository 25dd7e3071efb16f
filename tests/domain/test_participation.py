"""The participation in the open polls of a session."""

from conductor_actors.domain.events import Event
from tests.domain.session_samples import (
    MINUTE_MS,
    START_MS,
    TICK_MS,
    after,
    closed,
    joined,
    left,
    state_after,
    vote,
)


def test_participation_is_the_share_of_the_most_users_connected_until_the_close() -> None:
    crowd = [joined(0, user) for user in ("ada", "bob", "cyd", "dan")]
    state = state_after(*crowd, left(1, "dan"), vote(2), joined(3, "dan"), left(4, "dan"), vote(5))
    late: list[Event] = [joined(6, "eve"), closed(7), joined(8, "dan"), closed(9), vote(10, "dan")]
    tick_ms = START_MS + TICK_MS
    assert state.signals(tick_ms).poll_participation == 1 / 4
    assert after(state, late).signals(tick_ms).poll_participation == 2 / 4


def test_participation_is_that_of_the_open_poll_with_the_highest_share() -> None:
    crowd = [joined(0, user) for user in ("ada", "bob", "cyd", "dan")]
    lunch = [vote(1), vote(2, "bob"), vote(3, "cyd")]
    state = state_after(*crowd, *lunch, vote(4, poll="venue"))
    assert state.signals(START_MS + TICK_MS).poll_participation == 3 / 4
    over = after(state, [closed(5)])
    assert over.signals(START_MS + MINUTE_MS).poll_participation == 3 / 4
    assert over.signals(START_MS + MINUTE_MS + TICK_MS).poll_participation == 1 / 4


def test_one_late_vote_on_a_poll_that_was_closed_starts_it_anew() -> None:
    crowd = [joined(0, user) for user in ("ada", "bob")]
    state = state_after(*crowd, vote(1), vote(2, "bob"), closed(3), vote(3 + MINUTE_MS))
    assert state.signals(START_MS + MINUTE_MS + TICK_MS).poll_participation == 1 / 2


def test_the_poll_voted_on_longest_ago_makes_room_for_the_seventeenth() -> None:
    crowd = [joined(0, user) for user in ("ada", "bob")]
    full = [vote(1, "ada", "first"), vote(1, "bob", "first"), vote(2, "ada", "second")]
    others = [vote(3 + number, "ada", f"poll {number}") for number in range(14)]
    state = state_after(*crowd, *full, *others)
    assert state.signals(START_MS + TICK_MS).poll_participation == 1
    full_again = after(state, [vote(20, "ada", "seventeenth")])
    assert full_again.signals(START_MS + TICK_MS).poll_participation == 1 / 2
    kept = after(state, [vote(20, "ada", "first"), vote(21, "ada", "seventeenth")])
    assert kept.signals(START_MS + TICK_MS).poll_participation == 1
    assert "second" not in kept.polls
