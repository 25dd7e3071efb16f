"""The metrics of partitions: how many there are, and the blocks that they read and are written."""

from typing import Final

from conductor_actors import log_events as events
from conductor_actors.log_events import LogEvent
from conductor_actors.observability.series import SeriesFactory

_REWIND_REASONS: Final = ("hole", "unreadable")


class PartitionMetrics:
    """The partitions of the sessions, and their blocks."""

    def __init__(self, make: SeriesFactory) -> None:
        self._partitions = make.gauge(
            "partitions", "Partitions of the sessions; 1 if one collector has all."
        )
        self._partitions.set(1)
        self._rewinds = make.counter(
            "rewinds_requested", "Requests for blocks that are missing or damaged.", "reason"
        )
        for reason in _REWIND_REASONS:
            self._rewinds.labels(reason)
        self._splitter = make.gauge("splitter", "1 if this process is the splitter, else 0.")
        self._lag = make.gauge("splitter_lag_seconds", "Time that the splitter is behind Redis.")
        self._split = make.counter("events_split", "Events that the splitter read.")
        self._written = make.counter("blocks_written", "Blocks that the splitter wrote.")
        self._repeated = make.counter(
            "blocks_repeated", "Blocks that were read before, and dropped."
        )

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        match event:
            case events.PartitionStarted():
                count = event.partition.partition("/")[2]
                self._partitions.set(int(count) if count.isdecimal() else 1)
            case events.SplitterStarted():
                self._splitter.set(1)
                self._partitions.set(event.partitions)
            case events.SplitterStopped() | events.OwnershipTaken() if not event.partition:
                self._splitter.set(0)
                self._lag.set(0)
            case events.EventsSplit():
                self._lag.set(event.lag_s)
                self._split.inc(event.events)
                self._written.inc(event.blocks)
            case events.RewindRequested():
                self._rewinds.labels(event.reason).inc()
            case events.BlocksRepeated():
                self._repeated.inc(event.blocks)
