"""How outages are reported, waited out and retried."""

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest
from structlog.typing import EventDict

from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.outages import Backoff, Outage, retry_until
from tests.support.fakes.fake_clock import FakeClock

REFUSED = Unavailable("connection refused")


class Waits(threading.Event):
    """A stop event whose waits take no time and are recorded; it is set after `enough` of them."""

    def __init__(self, enough: int) -> None:
        super().__init__()
        self.waits_s: list[float] = []
        self._enough = enough

    def wait(self, timeout: float | None = None) -> bool:
        self.waits_s.append(timeout or 0.0)
        if len(self.waits_s) == self._enough:
            self.set()
        return self.is_set()


def failing(times: int, error: Exception = REFUSED) -> Callable[[], str]:
    """Return a call that fails so many times and then succeeds."""
    left = [error] * times

    def attempt() -> str:
        if left:
            raise left.pop()
        return "done"

    return attempt


def events(lines: list[EventDict]) -> list[object]:
    return [line["event"] for line in lines]


def test_an_outage_is_reported_at_its_beginning_every_30_s_and_at_its_end(
    log_lines: list[EventDict],
) -> None:
    clock = FakeClock()
    outage = Outage("redis", clock)
    for waited_s in (0, 10, 19.9, 0.1, 29.9, 0.1):
        clock.advance(waited_s)
        outage.record_failure(REFUSED)
    clock.advance(5)
    outage.record_success()
    assert [(line["event"], line.get("lasted_s")) for line in log_lines] == [
        ("outage_began", None),
        ("outage_continues", 30.0),
        ("outage_continues", 60.0),
        ("outage_ended", 65.0),
    ]
    assert {line["service"] for line in log_lines} == {"redis"}
    assert {line["error"] for line in log_lines if "error" in line} == {"connection refused"}


def test_without_an_outage_nothing_is_reported(log_lines: list[EventDict]) -> None:
    Outage("redis").record_success()
    assert retry_until(threading.Event(), Outage("redis"), 1.0, failing(0)) == "done"
    assert log_lines == []


def test_a_second_outage_is_reported_again(log_lines: list[EventDict]) -> None:
    outage = Outage("redis", FakeClock())
    for _ in range(2):
        outage.record_failure(REFUSED)
        outage.record_success()
    assert events(log_lines) == ["outage_began", "outage_ended"] * 2


def test_a_call_is_retried_until_it_succeeds(log_lines: list[EventDict]) -> None:
    waits = Waits(enough=100)
    assert retry_until(waits, Outage("database"), 15.0, failing(20)) == "done"
    assert len(waits.waits_s) == 20
    assert events(log_lines) == ["outage_began", "outage_ended"]


def test_retries_back_off_exponentially_with_full_jitter_up_to_a_bound() -> None:
    waited = [Waits(enough=100) for _ in range(50)]
    for waits in waited:
        retry_until(waits, Outage("database"), 2.0, failing(8))
    backoff = list(zip(*(waits.waits_s for waits in waited), strict=True))
    bounds_s = [0.25, 0.5, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    assert all(max(attempt) <= bound_s for attempt, bound_s in zip(backoff, bounds_s, strict=True))
    assert all(
        min(attempt) < bound_s / 2 < max(attempt)
        for attempt, bound_s in zip(backoff, bounds_s, strict=True)
    )


def test_a_stop_ends_the_retries_with_the_last_error() -> None:
    waits = Waits(enough=3)
    with pytest.raises(Unavailable, match="refused"):
        retry_until(waits, Outage("database"), 15.0, failing(100))
    assert len(waits.waits_s) == 3


def test_an_error_that_is_no_outage_is_not_retried(log_lines: list[EventDict]) -> None:
    waits = Waits(enough=100)
    with pytest.raises(ZeroDivisionError):
        retry_until(waits, Outage("database"), 15.0, failing(1, ZeroDivisionError()))
    assert waits.waits_s == []
    assert log_lines == []


def fail(backoff: Backoff, error: Exception = REFUSED) -> None:
    with suppress(type(error)), backoff.attempt():
        raise error


def waited_s(backoff: Backoff, clock: FakeClock) -> float:
    """Let time pass in small steps until an attempt is due."""
    began_s = clock()
    while not backoff.is_over():
        clock.advance(0.01)
    return clock() - began_s


def test_attempts_wait_longer_and_longer_with_full_jitter_up_to_a_bound() -> None:
    waits: list[list[float]] = []
    for _ in range(50):
        clock = FakeClock()
        backoff = Backoff("database", 2.0, clock)
        waits.append([])
        for _ in range(6):
            fail(backoff)
            waits[-1].append(waited_s(backoff, clock))
    bounds_s = [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]
    for each, bound_s in zip(zip(*waits, strict=True), bounds_s, strict=True):
        assert min(each) < bound_s / 2 < max(each) <= bound_s + 0.011


def test_an_attempt_that_works_ends_the_outage_and_the_waiting(log_lines: list[EventDict]) -> None:
    clock = FakeClock()
    backoff = Backoff("database", 5.0, clock)
    assert backoff.is_over()
    for _ in range(20):
        fail(backoff)
    with backoff.attempt():
        pass
    assert backoff.is_over()
    assert events(log_lines) == ["outage_began", "outage_ended"]
    fail(backoff)
    assert waited_s(backoff, clock) <= 0.26


def test_what_an_operator_must_end_is_an_outage_like_any_other(log_lines: list[EventDict]) -> None:
    backoff = Backoff("database", 5.0, FakeClock())
    with pytest.raises(ConfigError), backoff.attempt():
        raise ConfigError("no table: run migrate")
    assert not backoff.is_over()
    assert log_lines[0]["error"] == "no table: run migrate"


def test_a_bug_is_no_outage(log_lines: list[EventDict]) -> None:
    backoff = Backoff("database", 5.0, FakeClock())
    with pytest.raises(ZeroDivisionError), backoff.attempt():
        raise ZeroDivisionError
    assert backoff.is_over()
    assert log_lines == []
