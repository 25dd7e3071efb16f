"""Become the owner, however long that takes, and begin where the last owner was."""

import time
from collections.abc import Callable
from threading import Event
from typing import Final, NamedTuple, Protocol, TypeVar

from conductor_actors.adapters.redis.checkpoint_errors import mapped_checkpoint_errors
from conductor_actors.app.sources import WrappedSource
from conductor_actors.domain.checkpoints import Recovered, recover
from conductor_actors.domain.session_state import SessionRules
from conductor_actors.errors import OwnershipLost, Unavailable
from conductor_actors.log_events import CheckpointLoaded, LeaseAwaited, emit
from conductor_actors.outages import Outage, retry_until
from conductor_actors.ports import CheckpointStore, Clock, EventSource, Lease, Read

T = TypeVar("T")

REDIS_WAIT_S: Final = 2.0
LOOK_EVERY_S: Final = 0.5
STANDBY_REMINDER_S: Final = 60.0


class NamedLease(Lease, Protocol):
    """A lease that says who has it."""

    def owner(self) -> str:
        """Say who has it, or nothing."""


class Begun(NamedTuple):
    """A source that has been read from, so its grants are there, and what to go on from."""

    source: EventSource
    recovered: Recovered | None


class Takeover:
    """Wait for the lease as a standby that listens, and neither reads nor writes anything.

    Setting `stop` ends the waiting with `Unavailable`.
    """

    def __init__(
        self, lease: NamedLease, source: EventSource, checkpoints: CheckpointStore, stop: Event
    ) -> None:
        self._lease = lease
        self._source = source
        self._checkpoints = checkpoints
        self._stop = stop
        self._outage = Outage("redis")

    def complete(self, rules: SessionRules, stands_by: Callable[[], None]) -> Begun:
        """Become the owner, load the last checkpoint and read for the first time.

        Raise `ConfigError` if the checkpoint is none of this version and these rules, and
        `OwnershipLost` if all this took so long that another has become the owner.
        """
        standby = _Standby(time.monotonic)
        while not self._retry(self._is_owner):
            stands_by()
            standby.speak(lambda: self._retry(self._lease.owner))
            if self._stop.wait(LOOK_EVERY_S):
                raise Unavailable("asked to stop")
        recovered = self._retry(lambda: self._load(rules))
        if recovered is not None:
            self._source.resume(recovered.header.position)
        first = self._retry(self._read)
        return Begun(_Begun(self._source, first), recovered)

    def _retry(self, call: Callable[[], T]) -> T:
        return retry_until(self._stop, self._outage, REDIS_WAIT_S, call)

    def _is_owner(self) -> bool:
        self._source.listen()
        try:
            self._lease.hold()
        except OwnershipLost:
            return False
        return True

    def _load(self, rules: SessionRules) -> Recovered | None:
        self._lease.hold()
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
        return recovered

    def _read(self) -> Read:
        self._lease.hold()
        return self._source.read()


class _Standby:
    """Says that it waits: at once, and then every minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s = clock()
        self._speak_s = float("-inf")

    def speak(self, owner: Callable[[], str]) -> None:
        now_s = self._clock()
        if now_s >= self._speak_s:
            self._speak_s = now_s + STANDBY_REMINDER_S
            emit(LeaseAwaited(owner=owner(), waited_s=round(now_s - self._began_s, 1)))


class _Begun(WrappedSource):
    """An `EventSource` whose first read is done already. No cut is made before it was routed."""

    def __init__(self, source: EventSource, first: Read) -> None:
        super().__init__(source)
        self._first: Read | None = first

    def read(self) -> Read:
        first, self._first = self._first, None
        return self._source.read() if first is None else first
