"""When webhooks are tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.domain.webhook_retries import (
    MAX_IN_FLIGHT_PER_RECEIVER,
    MAX_RECEIVER_PAUSE_S,
    MAX_RETRY_S,
    RETRIES_END_S,
    ReceiverCondition,
    retry_ms,
    verdict_of,
)

NOW_MS = 1_767_528_000_000
END_MS = round(RETRIES_END_S * 1000)
fractions = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_success(status: int) -> None:
    assert verdict_of(status, NOW_MS, NOW_MS - 2 * END_MS) == "delivered"


@pytest.mark.parametrize("status", [None, 101, 302, 307, 400, 401, 404, 429, 500, 503])
def test_anything_else_is_retried_for_more_than_a_day(status: int | None) -> None:
    assert verdict_of(status, NOW_MS, NOW_MS) == "retry"
    assert verdict_of(status, NOW_MS, NOW_MS - END_MS + 1) == "retry"
    assert verdict_of(status, NOW_MS, NOW_MS - END_MS) == "dead"
    assert RETRIES_END_S > 86_400


def test_410_ends_it_at_once() -> None:
    assert verdict_of(410, NOW_MS, NOW_MS) == "dead"


@given(attempts=st.integers(1, 10_000), fraction=fractions)
def test_a_wait_is_never_none_and_at_most_15_minutes(attempts: int, fraction: float) -> None:
    wait_ms = retry_ms(attempts, NOW_MS, fraction, None) - NOW_MS
    assert 1000 <= wait_ms <= MAX_RETRY_S * 1000


def test_waits_grow_with_the_attempts_and_differ_by_chance() -> None:
    longest = [retry_ms(attempts, 0, 0.999, None) for attempts in range(1, 12)]
    assert longest == sorted(longest)
    assert longest[0] < 5_000
    assert longest[-1] > 800_000
    assert retry_ms(8, 0, 0.1, None) != retry_ms(8, 0, 0.9, None)


@given(fraction=fractions)
def test_a_receiver_may_ask_for_a_longer_wait_and_for_no_shorter_one(fraction: float) -> None:
    assert retry_ms(1, NOW_MS, fraction, 3600) == NOW_MS + 3_600_000
    assert retry_ms(20, NOW_MS, 0.9, 0.0) > NOW_MS + 700_000
    assert retry_ms(1, NOW_MS, fraction, -5) > NOW_MS
    assert retry_ms(1, NOW_MS, fraction, 1e9) == NOW_MS + END_MS


def test_a_receiver_that_works_gets_several_at_once() -> None:
    assert ReceiverCondition().free_slots(0, NOW_MS) == MAX_IN_FLIGHT_PER_RECEIVER
    assert ReceiverCondition().free_slots(MAX_IN_FLIGHT_PER_RECEIVER, NOW_MS) == 0
    assert ReceiverCondition().free_slots(100, NOW_MS) == 0


@pytest.mark.parametrize("status", [None, 408, 429, 500, 502, 503, 504])
def test_one_that_does_not_gets_one_after_a_pause(status: int | None) -> None:
    failing = ReceiverCondition().after(status, NOW_MS, 0.5, None)
    assert failing.free_slots(0, NOW_MS) == 0
    assert failing.free_slots(0, failing.resume_ms) == 1
    assert failing.free_slots(1, failing.resume_ms) == 0
    assert failing.after(204, failing.resume_ms, 0.5, None) == ReceiverCondition()


@pytest.mark.parametrize("status", [200, 301, 400, 401, 404, 410, 422])
def test_one_that_refuses_an_event_works(status: int) -> None:
    assert ReceiverCondition().after(status, NOW_MS, 0.5, None) == ReceiverCondition()


@given(failures=st.integers(0, 10_000), fraction=fractions)
def test_a_pause_is_at_most_a_minute(failures: int, fraction: float) -> None:
    failing = ReceiverCondition(failures).after(None, NOW_MS, fraction, None)
    assert NOW_MS < failing.resume_ms <= NOW_MS + MAX_RECEIVER_PAUSE_S * 1000


def test_attempts_that_were_begun_together_count_as_one_failure() -> None:
    first = ReceiverCondition().after(None, NOW_MS, 0.5, None)
    assert first.after(None, NOW_MS, 0.5, None) == first
    assert first.after(503, NOW_MS, 0.5, 600).resume_ms == NOW_MS + 600_000
    assert first.after(503, first.resume_ms, 0.5, None).failures == 2
