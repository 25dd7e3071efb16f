"""Wait out an outage of Redis or the database: try again with jitter, say so once, then rarely.

An outage is not a crash: it spends no restart budget.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

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

FIRST_WAIT_S: Final = 0.25
REMIND_EVERY_S: Final = 30.0


class Outage:
    """Speak of one service's outages: when one begins, every 30 s, and when it is over."""

    def __init__(self, service: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._clock = clock
        self._began_s: float | None = None
        self._spoke_s = 0.0

    def goes_on(self, error: BaseException) -> None:
        """Note a failed attempt."""
        now_s = self._clock()
        if self._began_s is None:
            self._began_s = self._spoke_s = now_s
            emit(OutageBegan(service=self._service, error=str(error)))
        elif now_s - self._spoke_s >= REMIND_EVERY_S:
            self._spoke_s = now_s
            emit(
                OutageContinues(
                    service=self._service,
                    error=str(error),
                    lasted_s=round(now_s - self._began_s, 1),
                )
            )

    def is_over(self) -> None:
        """Note an attempt that worked."""
        if self._began_s is not None:
            lasted_s = round(self._clock() - self._began_s, 1)
            emit(OutageEnded(service=self._service, lasted_s=lasted_s))
            self._began_s = None


class Attempts:
    """Note a service's failures, and say when to try again; for whoever has other work meanwhile.

    Full jitter as in `Patience`. A `ConfigError` ends when an operator acts: until then it is an
    outage like any other, whose text is the advice.
    """

    def __init__(self, service: str, longest_wait_s: float, clock: Callable[[], float]) -> None:
        self._outage = Outage(service, clock)
        self._clock = clock
        self._wait = wait_random_exponential(multiplier=FIRST_WAIT_S, max=longest_wait_s)
        self._failed = RetryCallState(Retrying(), None, (), {})
        self._next_s = 0.0

    def are_due(self) -> bool:
        """Tell whether it is time for an attempt."""
        return self._clock() >= self._next_s

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Note how the block goes; its error is passed on."""
        try:
            yield
        except (Unavailable, ConfigError) as error:
            self._outage.goes_on(error)
            self._next_s = self._clock() + self._wait(self._failed)
            self._failed.attempt_number += 1
            raise
        self._outage.is_over()
        self._next_s = 0.0
        self._failed.attempt_number = 1


class Patience:
    """Call until it works: full jitter from 0.25 s up to `longest_wait_s` between attempts.

    Setting `give_up` ends the waiting: the call's last `Unavailable` is raised.
    """

    def __init__(self, service: str, longest_wait_s: float, give_up: threading.Event) -> None:
        self._outage = Outage(service)
        self._retrying = Retrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_random_exponential(multiplier=FIRST_WAIT_S, max=longest_wait_s),
            stop=stop_when_event_set(give_up),
            sleep=sleep_using_event(give_up),
            before_sleep=self._note,
            reraise=True,
        )

    def call(self, attempt: Callable[[], T]) -> T:
        """Return what the first attempt that works returns."""
        result = self._retrying(attempt)
        self._outage.is_over()
        return result

    def _note(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is not None:
            self._outage.goes_on(error)
