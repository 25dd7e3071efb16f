"""Wrappers of ports that report what the collector does, and sources that wrap another source."""

import time
from collections.abc import Sequence
from threading import Event
from typing import Final

from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.domain.shards import ShardFilter
from conductor_actors.errors import Unavailable
from conductor_actors.log_events import EventsRead, UpdatesPublished, emit
from conductor_actors.observability.status import Progress
from conductor_actors.ports import (
    Checkpoint,
    CheckpointStore,
    Clock,
    EventSource,
    ReadResult,
    UpdatePublisher,
)

READS_LOG_S: Final = 1.0  # there are forty reads a second


class WrappedSource:
    """An `EventSource` that passes every call on; its subclasses change reading."""

    def __init__(self, source: EventSource) -> None:
        self._source = source

    def subscribe(self) -> None:
        """Start to buffer events that can't be read later."""
        self._source.subscribe()

    def resume(self, position: bytes) -> None:
        """Read on from the position of another source."""
        self._source.resume(position)

    def position(self) -> bytes:
        """Return the position after the entries of all reads so far."""
        return self._source.position()

    def close(self) -> None:
        """Close every connection."""
        self._source.close()


class ShardSource(WrappedSource):
    """An `EventSource` of one shard's entries. The watermark and gaps are those of all shards."""

    def __init__(self, source: EventSource, shard_filter: ShardFilter) -> None:
        super().__init__(source)
        self._shard_filter = shard_filter

    def read(self) -> ReadResult:
        """Return the next entries, without those of other shards."""
        read = self._source.read()
        return read._replace(entries=self._shard_filter.select(read.entries))


class EndingSource(WrappedSource):
    """An `EventSource` that sets an event once every entry before a moment has been routed."""

    def __init__(self, source: EventSource, until_ms: int, reached: Event) -> None:
        super().__init__(source)
        self._until_ms = until_ms
        self._reached = reached
        self._watermark_ms = 0

    def read(self) -> ReadResult:
        """Return the next entries; the entries of the read before have been routed by then."""
        if self._watermark_ms >= self._until_ms:
            self._reached.set()
        read = self._source.read()
        self._watermark_ms = read.watermark_ms
        return read


class WatchedSource(WrappedSource):
    """An `EventSource` that records the progress of reading."""

    def __init__(
        self, source: EventSource, progress: Progress, clock: Clock = time.monotonic
    ) -> None:
        super().__init__(source)
        self._progress = progress
        self._clock = clock
        self._next_log_s = clock()
        self._entries = 0

    def read(self) -> ReadResult:
        """Return the next entries."""
        read = self._source.read()
        self._progress.has_read(read)
        self._entries += len(read.entries)
        if self._clock() >= self._next_log_s:
            self._next_log_s = self._clock() + READS_LOG_S
            lag_s = max(0, read.now_ms - read.watermark_ms) / 1000
            emit(EventsRead(entries=self._entries, lag_s=lag_s))
            self._entries = 0
        return read


class WatchedPublisher:
    """An `UpdatePublisher` that reports whether the last call succeeded, and how long it took."""

    def __init__(
        self, publisher: UpdatePublisher, progress: Progress, clock: Clock = time.monotonic
    ) -> None:
        self._publisher = publisher
        self._progress = progress
        self._clock = clock

    def publish(self, rows: Sequence[ScoreRow]) -> None:
        """Publish the rows."""
        began_s = self._clock()
        try:
            self._publisher.publish(rows)
        except Unavailable:
            self._progress.is_publishing = False
            raise
        self._progress.is_publishing = True
        duration_s = round(self._clock() - began_s, 4)
        emit(UpdatesPublished(updates=len(rows), duration_s=duration_s))

    def close(self) -> None:
        """Close every connection."""
        self._publisher.close()


class WatchedCheckpoints:
    """A `CheckpointStore` that records each successful commit."""

    def __init__(self, store: CheckpointStore, progress: Progress) -> None:
        self._store = store
        self._progress = progress

    def load(self) -> Checkpoint | None:
        """Return the last checkpoint in full, if there is one."""
        return self._store.load()

    def commit(self, checkpoint: Checkpoint) -> bool:
        """Store a checkpoint as a whole."""
        is_committed = self._store.commit(checkpoint)
        if is_committed:
            self._progress.has_committed()
        return is_committed

    def close(self) -> None:
        """Close every connection."""
        self._store.close()
