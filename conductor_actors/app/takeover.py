"""Wait until this process is the owner, then continue from the last checkpoint."""

import time
from collections.abc import Callable
from threading import Event
from typing import NamedTuple

from conductor_actors.actors.anomaly_reports import report_open_anomalies
from conductor_actors.adapters.redis.ownership.checkpoint_errors import mapped_checkpoint_errors
from conductor_actors.app.lease_wait import LeaseWait, MayBreak, NamedLease, never_break
from conductor_actors.app.sources import WrappedSource
from conductor_actors.domain.checkpoints.encoding import Recovered, recover
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.log_events import CheckpointLoaded, emit
from conductor_actors.ports import CheckpointStore, EventSource, ReadResult


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
        self._wait = LeaseWait(lease, stop, may_break, source.subscribe)

    def complete(self, rules: SessionRules, on_standby: Callable[[], None]) -> Ownership:
        """Become the owner, load the last checkpoint and read for the first time.

        Raise `ConfigError` if the checkpoint is of another version or other rules, and
        `OwnershipLost` if this took so long that another process became the owner.
        """
        self._wait.complete(on_standby)
        recovered = self._wait.retry(lambda: self._load(rules))
        if recovered is not None:
            self._source.resume(recovered.header.position)
        first = self._wait.retry(self._read)
        return Ownership(_SourceAfterFirstRead(self._source, first), recovered)

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


class _SourceAfterFirstRead(WrappedSource):
    """Returns an earlier read first, so that no checkpoint begins before it was routed."""

    def __init__(self, source: EventSource, first: ReadResult) -> None:
        super().__init__(source)
        self._first: ReadResult | None = first

    def read(self) -> ReadResult:
        first, self._first = self._first, None
        return self._source.read() if first is None else first
