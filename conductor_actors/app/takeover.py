"""Wait until this process is the owner, then continue from the last checkpoint."""

import time
from collections.abc import Callable
from threading import Event
from typing import Final, NamedTuple, Protocol, TypeAlias, TypeVar

from conductor_actors.actors.anomaly_reports import report_open_anomalies
from conductor_actors.adapters.redis.ownership.checkpoint_errors import mapped_checkpoint_errors
from conductor_actors.app.sources import WrappedSource
from conductor_actors.domain.checkpoints.encoding import Recovered, recover
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.log_events import CheckpointLoaded, LeaseAwaited, emit
from conductor_actors.outages import Outage, retry_until
from conductor_actors.ports import CheckpointStore, Clock, EventSource, Lease, ReadResult

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


class Ownership(NamedTuple):
    """A source that was read once, which proves its grants, and the checkpoint to continue from."""

    source: EventSource
    recovered: Recovered | None


class Takeover:
    """Waits for the lease as a standby, which subscribes but neither reads streams nor writes.

    Set `stop` to end the wait with `Unavailable`. It does not wait for an owner that `may_break`
    says has ended.
    """

    def __init__(
        self,
        lease: NamedLease,
        source: EventSource,
        checkpoints: CheckpointStore,
        stop: Event,
        may_break: MayBreak = never_break,
    ) -> None:
        self._lease = lease
        self._source = source
        self._checkpoints = checkpoints
        self._stop = stop
        self._may_break = may_break
        self._outage = Outage("redis")

    def complete(self, rules: SessionRules, on_standby: Callable[[], None]) -> Ownership:
        """Become the owner, load the last checkpoint and read for the first time.

        Raise `ConfigError` if the checkpoint is of another version or other rules, and
        `OwnershipLost` if this took so long that another process became the owner.
        """
        standby = _Standby(time.monotonic)
        is_owner = self._retry(self._is_owner)
        while not is_owner:
            on_standby()
            standby.report(lambda: self._wait_out(self._lease.owner))
            if self._stop.wait(STANDBY_POLL_INTERVAL_S):
                raise Unavailable("stopped while waiting for the lease")
            is_owner = self._wait_out(self._is_owner)
        recovered = self._retry(lambda: self._load(rules))
        if recovered is not None:
            self._source.resume(recovered.header.position)
        first = self._retry(self._read)
        return Ownership(_SourceAfterFirstRead(self._source, first), recovered)

    def _retry(self, call: Callable[[], T]) -> T:
        return retry_until(self._stop, self._outage, REDIS_MAX_BACKOFF_S, call)

    def _wait_out(self, call: Callable[[], T]) -> T:
        """Retry after `ConfigError` too: a standby was accepted, and what changed is an outage."""
        errors = Unavailable, ConfigError
        try:
            return retry_until(self._stop, self._outage, REDIS_MAX_BACKOFF_S, call, errors)
        except ConfigError as error:  # stopped
            raise Unavailable(str(error)) from None

    def _is_owner(self) -> bool:
        self._source.subscribe()
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

    def _load(self, rules: SessionRules) -> Recovered | None:
        self._lease.acquire_or_renew()
        began_s = time.monotonic()
        found = self._checkpoints.load()
        if found is None:
            return None
        with mapped_checkpoint_errors():
            recovered = recover(found.header, found.sessions, rules)
        emit(
            CheckpointLoaded(
                number=recovered.header.number,
                sessions=len(recovered.states),
                size_bytes=found.size_bytes(),
                duration_s=round(time.monotonic() - began_s, 3),
            )
        )
        report_open_anomalies(recovered.states)
        return recovered

    def _read(self) -> ReadResult:
        self._lease.acquire_or_renew()
        return self._source.read()


class _Standby:
    """Reports that this process waits for the lease: at once, then every minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s = clock()
        self._report_s = float("-inf")

    def report(self, owner: Callable[[], str]) -> None:
        now_s = self._clock()
        if now_s >= self._report_s:
            self._report_s = now_s + STANDBY_REMINDER_INTERVAL_S
            emit(LeaseAwaited(owner=owner(), waited_s=round(now_s - self._began_s, 1)))


class _SourceAfterFirstRead(WrappedSource):
    """Returns an earlier read first, so that no checkpoint begins before it was routed."""

    def __init__(self, source: EventSource, first: ReadResult) -> None:
        super().__init__(source)
        self._first: ReadResult | None = first

    def read(self) -> ReadResult:
        first, self._first = self._first, None
        return self._source.read() if first is None else first
