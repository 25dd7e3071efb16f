"""One collector, from the wait for its lease to its drain."""

import gc
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Final, NamedTuple

from conductor_actors.actors.supervisor import EXIT_FAILED, EXIT_OK
from conductor_actors.adapters.redis.ownership.lease import RedisLease
from conductor_actors.app.collector import GC_THRESHOLDS, Collector
from conductor_actors.app.collector_ports import Ports
from conductor_actors.app.lease_wait import MayBreak, never_break
from conductor_actors.app.opened_ports import CollectorConfig
from conductor_actors.app.signals import DRAIN_TIMEOUT_S
from conductor_actors.app.takeover import Takeover
from conductor_actors.app.tick_watchdog import MAX_STALL_S, TickWatchdog, format_stacks
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.log_events import (
    OwnershipTaken,
    TicksStalled,
    current_partition,
    emit,
    observed_by,
)
from conductor_actors.observability.collector_progress import CollectorProgress

FAILURE_POLL_S: Final = 0.1


def _nothing() -> None:
    pass


def _never() -> bool:
    return False


class Surroundings(NamedTuple):
    """What a run does beside its collector.

    `started` is called when the collector starts, and `drain_began` before it drains; once
    `has_failed`, it drains, too.
    """

    started: Callable[[], None] = _nothing
    has_failed: Callable[[], bool] = _never
    drain_began: Callable[[], None] = _nothing


class CollectorRun:
    """A collector from the wait for its lease to its drain, which `stop`, once set, requests."""

    def __init__(
        self,
        config: CollectorConfig,
        lease: RedisLease,
        progress: CollectorProgress,
        stop: threading.Event,
        surroundings: Surroundings = Surroundings(),  # noqa: B008 - immutable
    ) -> None:
        self._settings, _, self._partition = config
        self._lease = lease
        self._progress = progress
        self._stop = stop
        self._surroundings = surroundings
        self._collector: Collector | None = None

    def sessions(self) -> int:
        """Return the number of sessions."""
        return 0 if self._collector is None else self._collector.session_count()

    def run(self, ports: Ports, may_break: MayBreak = never_break) -> int:
        """Run; return the exit code.

        Break the lease of an owner for which `may_break` returns True. Raise `ConfigError` for what
        the operator must change first.
        """
        try:
            self._collector = self._take_over(ports, may_break)
        except Unavailable:  # stopped while waiting for a server or for the lease
            return EXIT_OK
        except OwnershipLost as lost:
            emit(OwnershipTaken(reason=str(lost)))
            return EXIT_FAILED
        return self._collect(self._collector)

    def _take_over(self, ports: Ports, may_break: MayBreak) -> Collector:
        """Wait for the lease; continue from the last checkpoint."""
        gc.set_threshold(*GC_THRESHOLDS)  # before thousands of states are decoded
        takeover = Takeover(self._lease, ports.source, ports.checkpoints, self._stop, may_break)
        with ExitStack() as on_failure:
            on_failure.callback(self._release_lease)
            rules = self._settings.session_rules()
            source, recovered = takeover.complete(rules, self._progress.record_standby)
            on_failure.pop_all()
        ports = ports._replace(source=source)
        return Collector(self._settings, ports, recovered, self._partition)

    def _release_lease(self) -> None:
        with suppress(Unavailable, ConfigError):
            self._lease.release()

    def _collect(self, collector: Collector) -> int:
        self._surroundings.started()
        collector.start()
        self._progress.record_start()
        watchdog = TickWatchdog(collector.tick_activity, self._progress.redis_now_ms)
        partition = self._partition and str(self._partition)
        with observed_by(watchdog.observe, partition):
            exit_code = self._watch(collector, watchdog)
        self._progress.record_drain()
        self._surroundings.drain_began()
        return collector.drain() or exit_code

    def _watch(self, collector: Collector, watchdog: TickWatchdog) -> int:
        while not self._stop.is_set():
            failure = collector.wait(FAILURE_POLL_S)
            if failure is not None:
                return failure
            if watchdog.stalled_s() >= MAX_STALL_S:
                self._give_up(watchdog.stalled_s())
                return EXIT_FAILED
            if self._surroundings.has_failed():
                return EXIT_FAILED
        return EXIT_OK

    def _give_up(self, stalled_s: float) -> None:
        """Release the lease for a standby; the process ends, unless other partitions are in it."""
        emit(TicksStalled(stalled_s=round(stalled_s, 1), stacks=format_stacks(current_partition())))
        if self._partition is None:
            end = threading.Timer(DRAIN_TIMEOUT_S, os._exit, [EXIT_FAILED])
            end.daemon = True
            end.start()
        with suppress(Unavailable):
            self._lease.give_up()
