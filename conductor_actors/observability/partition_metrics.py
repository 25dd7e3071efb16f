"""The metrics of partitions: how many there are, and the blocks that they read."""

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
        self._repeated = make.counter(
            "blocks_repeated", "Blocks that were read before, and dropped."
        )

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        match event:
            case events.PartitionStarted():
                count = event.partition.partition("/")[2]
                self._partitions.set(int(count) if count.isdecimal() else 1)
            case events.RewindRequested():
                self._rewinds.labels(event.reason).inc()
            case events.BlocksRepeated():
                self._repeated.inc(event.blocks)
