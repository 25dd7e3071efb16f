"""The work of the splitter: read, split, write, and now and then a checkpoint."""

import time
from collections.abc import Callable, Sequence
from random import random
from threading import Event
from typing import Final

from conductor_actors.actors.stats import report_refused
from conductor_actors.adapters.redis.partitions.splitter_checkpoints import SplitterCheckpoint
from conductor_actors.app.block_rewriter import BlockRewriter
from conductor_actors.app.splitting_ports import SplitterPorts, interval_of
from conductor_actors.domain.gaps import Gaps
from conductor_actors.domain.partitions.splitting import NumberedBlock, SplitRules, Splitter
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import EventsRead, EventsSplit, GapDetected, emit
from conductor_actors.outages import Outage
from conductor_actors.ports import Clock, ReadResult

LEASE_INTERVAL_S: Final = 2.5  # the lease expires after 8 s
CHECKPOINT_INTERVAL_S: Final = 5.0
MAX_CHECKPOINT_SHARE: Final = 0.02  # of the time; large ones come less often
SPLIT_REPORT_INTERVAL_S: Final = 5.0
LAG_REPORT_INTERVAL_S: Final = 1.0
MAX_SPLIT_RETRY_S: Final = 0.5


class SplitLoop:
    """Splits reads until `stop` is set. `events` and `lag_s` are what it has done so far."""

    def __init__(
        self,
        ports: SplitterPorts,
        rules: SplitRules,
        splitter: Splitter,
        stop: Event,
        clock: Clock = time.monotonic,
    ) -> None:
        self._ports = ports
        self._splitter = splitter
        self._stop = stop
        self._clock = clock
        self._rewriter = BlockRewriter(ports, rules, splitter, clock)
        self._gaps = Gaps(rules.intake.window_s)
        self._events_outage = Outage("redis events", clock)
        self._lease_outage = Outage("redis lease", clock)
        self._checkpoint_outage = Outage("redis checkpoints", clock)
        self._timers = [
            _Timer(LEASE_INTERVAL_S, clock, self._renew_lease),
            _Timer(CHECKPOINT_INTERVAL_S, clock, self._commit, MAX_CHECKPOINT_SHARE),
            _Timer(SPLIT_REPORT_INTERVAL_S, clock, self._report),
            _Timer(LAG_REPORT_INTERVAL_S, clock, self._report_lag),
        ]
        self._reported_events = self._read_entries = self._blocks = 0
        self.events = 0
        self.lag_s: float | None = None

    @property
    def frontier_ms(self) -> int:
        """The time before which everything was split."""
        return self._splitter.frontier[0]

    def run(self, first: ReadResult) -> None:
        """Split a first read and those that follow, then commit a last checkpoint.

        Raise `OwnershipLost` if another process has become the owner.
        """
        try:
            self._split(first)
            while not self._stop.is_set():
                for timer in self._timers:
                    timer.run_if_due()
                self._read_next()
                self._rewriter.run()
        finally:
            self._rewriter.close()
        self._commit()
        self._report()

    def _read_next(self) -> None:
        try:
            read = self._ports.source.read()
        except (Unavailable, ConfigError) as error:  # a restart would not help
            self._events_outage.record_failure(error)
            self._stop.wait(random() * MAX_SPLIT_RETRY_S)  # noqa: S311 - jitter
        else:
            self._events_outage.record_success()
            self._split(read)

    def _split(self, read: ReadResult) -> None:
        for gap in (*read.gaps, *read.clock_gaps):
            if self._gaps.add(gap):  # each read can extend one of the clock
                emit(GapDetected(tenant=gap.tenant, reason=gap.reason, lost_events=gap.lost))
        self._gaps.expire(read.watermark_ms)
        self._write(self._splitter.split(read.entries, interval_of(read)))
        self.events += len(read.entries)
        self._read_entries += len(read.entries)
        self.lag_s = read.lag_s

    def _write(self, blocks: Sequence[NumberedBlock]) -> None:
        """Write blocks. While no server takes them, nothing else is read.

        If some do, the others' readers will ask for what they miss.
        """
        self._blocks += len(blocks)
        while blocks and len(self._ports.writer.write(blocks)) == len(blocks):
            if self._stop.wait(random() * MAX_SPLIT_RETRY_S):  # noqa: S311 - jitter
                return  # the readers will ask the next splitter
            self._timers[0].run_if_due()

    def _renew_lease(self) -> None:
        try:
            self._ports.lease.acquire_or_renew()
        except (Unavailable, ConfigError) as error:
            self._lease_outage.record_failure(error)
        else:
            self._lease_outage.record_success()

    def _commit(self) -> None:
        checkpoint = SplitterCheckpoint(self._ports.source.position(), self._splitter.state())
        try:
            self._ports.checkpoints.commit(checkpoint)
        except (Unavailable, ConfigError) as error:
            self._checkpoint_outage.record_failure(error)
        else:
            self._checkpoint_outage.record_success()

    def _report(self) -> None:
        events, self._reported_events = self.events - self._reported_events, self.events
        blocks, self._blocks = self._blocks, 0
        emit(EventsSplit(events=events, blocks=blocks, lag_s=self.lag_s or 0.0))
        report_refused(self._splitter.pop_refused())

    def _report_lag(self) -> None:
        entries, self._read_entries = self._read_entries, 0
        if self.lag_s is not None:
            emit(EventsRead(entries=entries, lag_s=self.lag_s))


class _Timer:
    """Calls a function once an interval has passed since its last call, or longer if it is slow.

    It takes at most `max_share` of the time.
    """

    def __init__(
        self, interval_s: float, clock: Clock, call: Callable[[], None], max_share: float = 1.0
    ) -> None:
        self._interval_s = interval_s
        self._max_share = max_share
        self._clock = clock
        self._call = call
        self._due_s = clock() + interval_s

    def run_if_due(self) -> None:
        now_s = self._clock()
        if now_s >= self._due_s:
            self._call()
            took_s = self._clock() - now_s
            self._due_s = now_s + max(self._interval_s, took_s / self._max_share)
