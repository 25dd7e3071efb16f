"""Outages of Redis and the database: report them, back off, and retry until they are over.

An outage is not a crash: it spends no restart budget.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal, TypeAlias, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.nap import sleep_using_event

from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import OutageBegan, OutageContinues, OutageEnded, emit

T = TypeVar("T")
ServiceState: TypeAlias = Literal["unknown", "ok", "away"]

FIRST_BACKOFF_S: Final = 0.25
REMINDER_INTERVAL_S: Final = 30.0


class Outage:
    """Whether one service is away. Logs the begin and end of an outage, and every 30 s of it."""

    def __init__(self, service: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._clock = clock
        self._began_s: float | None = None
        self._reported_s = 0.0
        self.state: ServiceState = "unknown"

    def record_failure(self, error: BaseException | str) -> None:
        """Record a failed attempt."""
        self.state = "away"
        now_s = self._clock()
        if self._began_s is None:
            self._began_s = self._reported_s = now_s
            emit(OutageBegan(service=self._service, error=str(error)))
        elif now_s - self._reported_s >= REMINDER_INTERVAL_S:
            self._reported_s = now_s
            lasted_s = round(now_s - self._began_s, 1)
            emit(OutageContinues(service=self._service, error=str(error), lasted_s=lasted_s))

    def record_success(self) -> None:
        """Record a successful attempt."""
        self.state = "ok"
        if self._began_s is not None:
            lasted_s = round(self._clock() - self._began_s, 1)
            emit(OutageEnded(service=self._service, lasted_s=lasted_s))
            self._began_s = None


class Backoff:
    """When to call a service again after it failed, for a caller that has other work meanwhile.

    Full jitter, as in `retry_until`. A `ConfigError` ends when an operator acts: until then it is
    an outage like any other, whose text is the advice.
    """

    def __init__(self, service: str, max_wait_s: float, clock: Callable[[], float]) -> None:
        self._outage = Outage(service, clock)
        self._clock = clock
        self._wait = _full_jitter(max_wait_s)
        self._failed = RetryCallState(Retrying(), None, (), {})
        self._next_s = 0.0

    def is_over(self) -> bool:
        """Check whether the service may be called now."""
        return self._clock() >= self._next_s

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Record whether the block succeeds; its error is raised."""
        try:
            yield
        except (Unavailable, ConfigError) as error:
            self._outage.record_failure(error)
            self._next_s = self._clock() + self._wait(self._failed)
            self._failed.attempt_number += 1
            raise
        self._outage.record_success()
        self._next_s = 0.0
        self._failed.attempt_number = 1


def retry_until(
    stop: threading.Event,
    outage: Outage,
    max_wait_s: float,
    call: Callable[[], T],
    retried: type[Exception] | tuple[type[Exception], ...] = Unavailable,
) -> T:
    """Return what the first successful call returns; `retried` lists the errors to retry.

    Waits with full jitter from 0.25 s up to `max_wait_s` between calls. Once `stop` is set, the
    last call's error is raised.
    """

    def record(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is not None:
            outage.record_failure(error)

    retrying = Retrying(
        retry=retry_if_exception_type(retried),
        wait=_full_jitter(max_wait_s),
        stop=stop_when_event_set(stop),
        sleep=sleep_using_event(stop),
        before_sleep=record,
        reraise=True,
    )
    result = retrying(call)
    outage.record_success()
    return result


def _full_jitter(max_wait_s: float) -> wait_random_exponential:
    return wait_random_exponential(multiplier=FIRST_BACKOFF_S, max=max_wait_s)
