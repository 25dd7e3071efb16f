"""Ports that record the collector's progress, and report what they read and published."""

import time
from collections.abc import Sequence
from typing import Final

from conductor_actors.app.sources import WrappedSource
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import EventsRead, UpdatesPublished, emit
from conductor_actors.observability.collector_progress import CollectorProgress
from conductor_actors.ports import (
    Checkpoint,
    CheckpointStore,
    Clock,
    EventSource,
    ReadResult,
    UpdatePublisher,
)

READS_REPORT_INTERVAL_S: Final = 1.0  # there are forty reads a second


class MonitoredSource(WrappedSource):
    """An `EventSource` that records every read, and reports them once a second."""

    def __init__(
        self, source: EventSource, progress: CollectorProgress, clock: Clock = time.monotonic
    ) -> None:
        super().__init__(source)
        self._progress = progress
        self._clock = clock
        self._next_report_s = clock()
        self._entries = 0

    def read(self) -> ReadResult:
        """Return the next entries."""
        read = self._source.read()
        self._progress.record_read(read)
        self._entries += len(read.entries)
        if self._clock() >= self._next_report_s:
            self._next_report_s = self._clock() + READS_REPORT_INTERVAL_S
            emit(EventsRead(entries=self._entries, lag_s=read.lag_s))
            self._entries = 0
        return read


class MonitoredPublisher:
    """An `UpdatePublisher` that records whether the last call succeeded, and reports its time."""

    def __init__(
        self, publisher: UpdatePublisher, progress: CollectorProgress, clock: Clock = time.monotonic
    ) -> None:
        self._publisher = publisher
        self._progress = progress
        self._clock = clock

    def publish(self, rows: Sequence[ScoreRow]) -> None:
        """Publish the rows."""
        began_s = self._clock()
        try:
            self._publisher.publish(rows)
        except (Unavailable, ConfigError):
            self._progress.is_publishing = False
            raise
        self._progress.is_publishing = True
        duration_s = round(self._clock() - began_s, 4)
        emit(UpdatesPublished(updates=len(rows), duration_s=duration_s))

    def close(self) -> None:
        """Close every connection."""
        self._publisher.close()


class MonitoredCheckpoints:
    """A `CheckpointStore` that records each successful commit."""

    def __init__(self, store: CheckpointStore, progress: CollectorProgress) -> None:
        self._store = store
        self._progress = progress

    def load(self) -> Checkpoint | None:
        """Return the last checkpoint in full, if there is one."""
        return self._store.load()

    def commit(self, checkpoint: Checkpoint) -> bool:
        """Store a checkpoint as a whole."""
        is_committed = self._store.commit(checkpoint)
        if is_committed:
            self._progress.record_commit()
        return is_committed

    def close(self) -> None:
        """Close every connection."""
        self._store.close()
