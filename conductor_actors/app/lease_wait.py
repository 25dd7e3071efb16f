"""Wait as a standby until this process has the lease."""

import time
from collections.abc import Callable
from threading import Event
from typing import Final, Protocol, TypeAlias, TypeVar

from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.log_events import LeaseAwaited, emit
from conductor_actors.outages import Outage, retry_until
from conductor_actors.ports import Clock, Lease

T = TypeVar("T")

REDIS_MAX_BACKOFF_S: Final = 2.0
STANDBY_POLL_INTERVAL_S: Final = 0.5
STANDBY_REMINDER_INTERVAL_S: Final = 60.0


class NamedLease(Lease, Protocol):
    """A lease that names its owner."""

    def owner(self) -> str:
        """Return the name of the owner; empty if there is none."""

    def break_from(self, owner: str) -> None:
        """Delete the lease of an owner that is known to have ended."""


# Returns whether the owner of that name is known to have ended.
MayBreak: TypeAlias = Callable[[str], bool]


def never_break(owner: str) -> bool:
    """Return False: an owner is believed to live until its lease expires."""
    del owner
    return False


class LeaseWait:
    """Waits for the lease. It does not wait for an owner that `may_break` says has ended.

    Set `stop` to end the wait with `Unavailable`. `subscribe` is called before each attempt.
    """

    def __init__(
        self, lease: NamedLease, stop: Event, may_break: MayBreak, subscribe: Callable[[], None]
    ) -> None:
        self._lease = lease
        self._stop = stop
        self._may_break = may_break
        self._subscribe = subscribe
        self._outage = Outage("redis")

    def complete(self, on_standby: Callable[[], None]) -> None:
        """Acquire the lease; call `on_standby` before each further attempt."""
        reminder = StandbyReminder(time.monotonic)
        is_owner = self.retry(self._is_owner)
        while not is_owner:
            on_standby()
            reminder.report(lambda: self._wait_out(self._lease.owner))
            if self._stop.wait(STANDBY_POLL_INTERVAL_S):
                raise Unavailable("stopped while waiting for the lease")
            is_owner = self._wait_out(self._is_owner)

    def retry(self, call: Callable[[], T]) -> T:
        """Return what a call returns once Redis is there."""
        return retry_until(self._stop, self._outage, REDIS_MAX_BACKOFF_S, call)

    def _wait_out(self, call: Callable[[], T]) -> T:
        """Retry after `ConfigError` too: a standby was accepted, and what changed is an outage."""
        errors = Unavailable, ConfigError
        try:
            return retry_until(self._stop, self._outage, REDIS_MAX_BACKOFF_S, call, errors)
        except ConfigError as error:  # stopped
            raise Unavailable(str(error)) from None

    def _is_owner(self) -> bool:
        self._subscribe()
        try:
            self._lease.acquire_or_renew()
        except OwnershipLost:
            return self._has_broken_lease()
        return True

    def _has_broken_lease(self) -> bool:
        """Return whether the lease of an owner that is known to have ended was taken."""
        owner = self._lease.owner()
        if not self._may_break(owner):
            return False
        self._lease.break_from(owner)
        try:
            self._lease.acquire_or_renew()
        except OwnershipLost:  # another standby was faster
            return False
        return True


class StandbyReminder:
    """Reports that this process waits for the lease: at once, then every minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s = clock()
        self._report_s = float("-inf")

    def report(self, owner: Callable[[], str]) -> None:
        """Report the owner, if it is time."""
        now_s = self._clock()
        if now_s >= self._report_s:
            self._report_s = now_s + STANDBY_REMINDER_INTERVAL_S
            emit(LeaseAwaited(owner=owner(), waited_s=round(now_s - self._began_s, 1)))
