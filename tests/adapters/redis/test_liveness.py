"""A quiet connection is sent a PING; without a reply it is dead."""

from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.adapters.redis.liveness import Deadlines, Liveness

DEADLINES = Deadlines(quiet_s=1, pong_within_s=4)
NEW = Liveness(DEADLINES, heard_s=100)


def test_a_connection_that_was_heard_of_lately_needs_no_ping() -> None:
    assert (NEW.needs_ping(100.5), NEW.is_dead(100.5), NEW.wait_s(100.5)) == (False, False, 0.5)


def test_a_quiet_connection_needs_one_ping() -> None:
    assert (NEW.needs_ping(101), NEW.is_dead(101)) == (True, False)
    pinged = NEW.after_ping(101)
    assert (pinged.needs_ping(104), pinged.is_dead(104), pinged.wait_s(104)) == (False, False, 1)


def test_a_connection_whose_ping_has_no_reply_in_time_is_dead() -> None:
    assert NEW.after_ping(101).is_dead(105)


def test_any_reply_proves_that_a_connection_is_alive() -> None:
    alive = NEW.after_ping(101).after_reply(104.5)
    assert (alive.is_dead(200), alive.needs_ping(105), alive.needs_ping(105.5)) == (
        False,
        False,
        True,
    )


@given(st.lists(st.floats(0, 10), max_size=20))
def test_silence_ends_in_death_after_one_ping_whenever_it_is_checked(steps: list[float]) -> None:
    now_s, liveness, pings = 100.0, NEW, 0
    for step_s in steps:
        now_s += step_s
        if liveness.is_dead(now_s):
            assert now_s - NEW.heard_s >= DEADLINES.quiet_s + DEADLINES.pong_within_s
            break
        if liveness.needs_ping(now_s):
            liveness, pings = liveness.after_ping(now_s), pings + 1
    assert pings <= 1
