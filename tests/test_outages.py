"""How an outage is waited out, and what is said of it."""

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest
from structlog.typing import EventDict

from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.outages import Attempts, Outage, Patience
from tests.support.fakes.fake_clock import FakeClock

REFUSED = Unavailable("connection refused")


class Waits(threading.Event):
    """Nobody gives up; every wait is noted instead of waited. After `enough`, give up."""

    def __init__(self, enough: int) -> None:
        super().__init__()
        self.noted_s: list[float] = []
        self._enough = enough

    def wait(self, timeout: float | None = None) -> bool:
        self.noted_s.append(timeout or 0.0)
        if len(self.noted_s) == self._enough:
            self.set()
        return self.is_set()


def failing(times: int, error: Exception = REFUSED) -> Callable[[], str]:
    """Fail so often, then work."""
    left = [error] * times

    def attempt() -> str:
        if left:
            raise left.pop()
        return "done"

    return attempt


def said(lines: list[EventDict]) -> list[object]:
    return [line["event"] for line in lines]


def test_an_outage_is_said_once_then_every_30_s_then_its_end(log_lines: list[EventDict]) -> None:
    clock = FakeClock()
    outage = Outage("redis", clock)
    for waited_s in (0, 10, 19.9, 0.1, 29.9, 0.1):
        clock.advance(waited_s)
        outage.goes_on(REFUSED)
    clock.advance(5)
    outage.is_over()
    assert [(line["event"], line.get("lasted_s")) for line in log_lines] == [
        ("outage_began", None),
        ("outage_continues", 30.0),
        ("outage_continues", 60.0),
        ("outage_ended", 65.0),
    ]
    assert {line["service"] for line in log_lines} == {"redis"}
    assert {line["error"] for line in log_lines if "error" in line} == {"connection refused"}


def test_without_an_outage_nothing_is_said(log_lines: list[EventDict]) -> None:
    Outage("redis").is_over()
    assert Patience("redis", 1.0, threading.Event()).call(failing(0)) == "done"
    assert log_lines == []


def test_a_second_outage_is_said_again(log_lines: list[EventDict]) -> None:
    outage = Outage("redis", FakeClock())
    for _ in range(2):
        outage.goes_on(REFUSED)
        outage.is_over()
    assert said(log_lines) == ["outage_began", "outage_ended"] * 2


def test_patience_calls_until_it_works(log_lines: list[EventDict]) -> None:
    waits = Waits(enough=100)
    assert Patience("database", 15.0, waits).call(failing(20)) == "done"
    assert len(waits.noted_s) == 20
    assert said(log_lines) == ["outage_began", "outage_ended"]


def test_patience_waits_longer_and_longer_with_full_jitter_up_to_a_bound() -> None:
    waited = [Waits(enough=100) for _ in range(50)]
    for waits in waited:
        Patience("database", 2.0, waits).call(failing(8))
    attempts = list(zip(*(waits.noted_s for waits in waited), strict=True))
    bounds_s = [0.25, 0.5, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    assert all(max(attempt) <= bound_s for attempt, bound_s in zip(attempts, bounds_s, strict=True))
    assert all(
        min(attempt) < bound_s / 2 < max(attempt)
        for attempt, bound_s in zip(attempts, bounds_s, strict=True)
    )


def test_patience_ends_when_told_to_give_up_with_the_last_error() -> None:
    waits = Waits(enough=3)
    with pytest.raises(Unavailable, match="refused"):
        Patience("database", 15.0, waits).call(failing(100))
    assert len(waits.noted_s) == 3


def test_what_is_no_outage_is_not_tried_again(log_lines: list[EventDict]) -> None:
    waits = Waits(enough=100)
    with pytest.raises(ZeroDivisionError):
        Patience("database", 15.0, waits).call(failing(1, ZeroDivisionError()))
    assert waits.noted_s == []
    assert log_lines == []


def fail(attempts: Attempts, error: Exception = REFUSED) -> None:
    with suppress(type(error)), attempts.attempt():
        raise error


def waited_s(attempts: Attempts, clock: FakeClock) -> float:
    """Let time pass in small steps until an attempt is due."""
    began_s = clock()
    while not attempts.are_due():
        clock.advance(0.01)
    return clock() - began_s


def test_attempts_wait_longer_and_longer_with_full_jitter_up_to_a_bound() -> None:
    waits: list[list[float]] = []
    for _ in range(50):
        clock = FakeClock()
        attempts = Attempts("database", 2.0, clock)
        waits.append([])
        for _ in range(6):
            fail(attempts)
            waits[-1].append(waited_s(attempts, clock))
    bounds_s = [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]
    for each, bound_s in zip(zip(*waits, strict=True), bounds_s, strict=True):
        assert min(each) < bound_s / 2 < max(each) <= bound_s + 0.011


def test_an_attempt_that_works_ends_the_outage_and_the_waiting(log_lines: list[EventDict]) -> None:
    clock = FakeClock()
    attempts = Attempts("database", 5.0, clock)
    assert attempts.are_due()
    for _ in range(20):
        fail(attempts)
    with attempts.attempt():
        pass
    assert attempts.are_due()
    assert said(log_lines) == ["outage_began", "outage_ended"]
    fail(attempts)
    assert waited_s(attempts, clock) <= 0.26


def test_what_an_operator_must_end_is_an_outage_like_any_other(log_lines: list[EventDict]) -> None:
    attempts = Attempts("database", 5.0, FakeClock())
    with pytest.raises(ConfigError), attempts.attempt():
        raise ConfigError("no table: run migrate")
    assert not attempts.are_due()
    assert log_lines[0]["error"] == "no table: run migrate"


def test_a_bug_is_no_outage(log_lines: list[EventDict]) -> None:
    attempts = Attempts("database", 5.0, FakeClock())
    with pytest.raises(ZeroDivisionError), attempts.attempt():
        raise ZeroDivisionError
    assert attempts.are_due()
    assert log_lines == []
