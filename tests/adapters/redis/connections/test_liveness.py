"""A quiet connection is sent a request; without a reply it is dead."""

from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.adapters.redis.connections.liveness import Deadlines, Liveness

DEADLINES = Deadlines(quiet_s=1, pong_within_s=4, role_check_s=100)
NEW = Liveness.new(DEADLINES, 100)


def test_a_connection_that_was_heard_of_lately_needs_no_request() -> None:
    assert (NEW.is_request_due(100.5), NEW.is_dead(100.5), NEW.wait_s(100.5)) == (False, False, 0.5)


def test_a_quiet_connection_needs_one_request() -> None:
    assert (NEW.is_request_due(101), NEW.is_dead(101)) == (True, False)
    requested = NEW.after_request(101)
    assert (requested.is_request_due(104), requested.is_dead(104), requested.wait_s(104)) == (
        False,
        False,
        1,
    )


def test_a_connection_whose_request_has_no_reply_in_time_is_dead() -> None:
    assert NEW.after_request(101).is_dead(105)


def test_any_reply_proves_that_a_connection_is_alive() -> None:
    alive = NEW.after_request(101).after_reply(104.5)
    assert (alive.is_dead(200), alive.is_request_due(105), alive.is_request_due(105.5)) == (
        False,
        False,
        True,
    )


def test_a_connection_that_is_never_quiet_needs_a_request_to_check_the_role() -> None:
    deadlines = DEADLINES._replace(role_check_s=2)
    busy = Liveness.new(deadlines, 100).after_reply(101.9)
    assert (busy.is_request_due(101.9), busy.is_request_due(102)) == (False, True)
    assert busy.after_request(102).after_reply(103.9).is_request_due(103.9) is False
    assert busy.after_request(102).after_reply(103.9).is_request_due(104) is True


@given(st.lists(st.floats(0, 10), max_size=20))
def test_silence_ends_in_death_after_one_request_whenever_it_is_checked(steps: list[float]) -> None:
    now_s, liveness, requests = 100.0, NEW, 0
    for step_s in steps:
        now_s += step_s
        if liveness.is_dead(now_s):
            assert now_s - NEW.heard_s >= DEADLINES.quiet_s + DEADLINES.pong_within_s
            break
        if liveness.is_request_due(now_s):
            liveness, requests = liveness.after_request(now_s), requests + 1
    assert requests <= 1
