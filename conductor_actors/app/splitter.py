"""The splitter: reads all events, and writes them to their partitions.

One process has the lease, and others wait for it. A former owner may still write for a while: the
readers of the blocks drop what they have.
"""

import gc
from contextlib import ExitStack, suppress
from threading import Event
from typing import Literal, NamedTuple, TypeAlias

from conductor_actors.actors.supervisor import EXIT_FAILED, EXIT_OK
from conductor_actors.adapters.redis.key_names import CHECKPOINT_KEY
from conductor_actors.adapters.redis.ownership.lease import RedisLease
from conductor_actors.adapters.redis.partitions.partition_count import fix_partition_count
from conductor_actors.adapters.redis.partitions.splitter_checkpoints import SplitterCheckpoint
from conductor_actors.app.adoption import needs_adoption
from conductor_actors.app.collector import GC_THRESHOLDS
from conductor_actors.app.lease_wait import LeaseWait, MayBreak, never_break
from conductor_actors.app.split_loop import SplitLoop
from conductor_actors.app.splitting_ports import SplitterPorts, open_splitter_ports, split_rules
from conductor_actors.app.startup import ServerUrls
from conductor_actors.domain.partitions.splitting import FirstRead, Splitter, SplitterState
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.log_events import OwnershipTaken, SplitterStarted, SplitterStopped, emit
from conductor_actors.ports import ReadResult
from conductor_actors.settings import Settings

SplitterPhase: TypeAlias = Literal["starting", "standby", "running", "draining", "ended"]


class SplitterStatus(NamedTuple):
    """What a splitter does, how many events it has read, and how late it is.

    Everything before `frontier_ms` is in blocks.
    """

    state: SplitterPhase
    events: int = 0
    lag_s: float | None = None
    frontier_ms: int = 0


class SplitterService:
    """Runs from the wait for its lease until it is stopped, or another process has the lease."""

    def __init__(
        self,
        settings: Settings,
        urls: ServerUrls,
        owner: str | None = None,
        may_break: MayBreak = never_break,
    ) -> None:
        """Own the lease as `owner`; do not wait for an owner that `may_break` says has ended."""
        self._settings = settings
        self._redis_url = urls.redis
        self._lease = RedisLease(urls.redis, None, owner)
        self._may_break = may_break
        self._stop = Event()
        self._phase: SplitterPhase = "starting"
        self._loop: SplitLoop | None = None

    def stop(self) -> None:
        """Request the end, after a last checkpoint; any thread may call this, more than once."""
        self._stop.set()

    def status(self) -> SplitterStatus:
        """Return the status of this moment."""
        if self._loop is None:
            return SplitterStatus(self._phase)
        is_draining = self._phase == "running" and self._stop.is_set()
        loop, phase = self._loop, self._phase
        phase = "draining" if is_draining else phase
        return SplitterStatus(phase, loop.events, loop.lag_s, loop.frontier_ms)

    def run(self) -> int:
        """Run; return the exit code. Raise `ConfigError` for what the operator must change."""
        gc.set_threshold(*GC_THRESHOLDS)
        with ExitStack() as cleanup:
            cleanup.callback(self._lease.close)
            cleanup.callback(self._end)
            try:
                return self._run(cleanup)
            except Unavailable:  # stopped while waiting for a server or for the lease
                return EXIT_OK
            except OwnershipLost as lost:
                emit(OwnershipTaken(reason=str(lost)))
                return EXIT_FAILED

    def _run(self, cleanup: ExitStack) -> int:
        ports = open_splitter_ports(self._settings, self._redis_url, self._lease, cleanup)
        wait = LeaseWait(self._lease, self._stop, self._may_break, ports.source.subscribe)
        wait.retry(lambda: fix_partition_count(self._redis_url, self._settings.partitions))
        wait.complete(self._stand_by)
        wait.retry(lambda: _require_adopted(self._redis_url))
        checkpoint = wait.retry(ports.checkpoints.newest)
        if checkpoint is not None:
            ports.source.resume(checkpoint.position)
        first = wait.retry(ports.source.read)
        if checkpoint is None:
            checkpoint = _first_checkpoint(ports, first)
            wait.retry(lambda: ports.checkpoints.commit(checkpoint))
        self._split(ports, checkpoint.state, first)
        return EXIT_OK

    def _stand_by(self) -> None:
        self._phase = "standby"

    def _split(self, ports: SplitterPorts, state: SplitterState, first: ReadResult) -> None:
        rules = split_rules(self._settings)
        splitter = Splitter(rules, state)
        self._loop = SplitLoop(ports, rules, splitter, self._stop)
        self._phase = "running"
        emit(SplitterStarted(partitions=rules.partitions, frontier_ms=state.frontier[0]))
        self._loop.run(first)
        emit(SplitterStopped())

    def _end(self) -> None:
        self._phase = "ended"
        with suppress(Unavailable, ConfigError):
            self._lease.release()


def _require_adopted(redis_url: str) -> None:
    """Raise `ConfigError` if the sessions of a single collector are not in the partitions yet."""
    if needs_adoption(redis_url):
        raise ConfigError(
            f"REDIS_URL: {CHECKPOINT_KEY} has the sessions of a single collector; stop all and "
            "start with `cluster up`, or with --shards, which shares them out among the partitions"
        )


def _first_checkpoint(ports: SplitterPorts, first: ReadResult) -> SplitterCheckpoint:
    """Return the state before the first read of all, from which anyone can read it again.

    It is committed before any block is written, so that all blocks follow from one first read.
    """
    found = FirstRead(first.first_tick_ms, dict(first.directives))
    return SplitterCheckpoint(ports.source.start_position(), SplitterState(first_read=found))
