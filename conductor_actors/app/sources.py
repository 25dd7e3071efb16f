"""What every source that wraps another has in common: all but its reading is the other's."""

import time
from collections.abc import Sequence
from threading import Event
from typing import Final

from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.domain.shards import ShardFilter
from conductor_actors.errors import Unavailable
from conductor_actors.log_events import EventsRead, UpdatesPublished, emit
from conductor_actors.observability.status import Progress
from conductor_actors.ports import Checkpoint, CheckpointStore, Clock, EventSource, Read, ScoreFeed

SPEAK_EVERY_S: Final = 1.0  # of reads: there are forty a second


class WrappedSource:
    """The parts of an `EventSource` that are passed on."""

    def __init__(self, source: EventSource) -> None:
        self._source = source

    def listen(self) -> None:
        """Begin to hear what can't be read later."""
        self._source.listen()

    def resume(self, position: bytes) -> None:
        """Begin to read where another source was."""
        self._source.resume(position)

    def position(self) -> bytes:
        """Return how far was read."""
        return self._source.position()

    def close(self) -> None:
        """Close every connection."""
        self._source.close()


class ShardSource(WrappedSource):
    """An `EventSource`. Watermark and gaps are everybody's: each shard ticks and marks by them."""

    def __init__(self, source: EventSource, shard_filter: ShardFilter) -> None:
        super().__init__(source)
        self._shard_filter = shard_filter

    def read(self) -> Read:
        """Read what is there, and keep what is ours."""
        read = self._source.read()
        return read._replace(entries=self._shard_filter.ours(read.entries))


class EndingSource(WrappedSource):
    """An `EventSource` that says when all of what comes before a moment has been routed."""

    def __init__(self, source: EventSource, until_ms: int, reached: Event) -> None:
        super().__init__(source)
        self._until_ms = until_ms
        self._reached = reached
        self._watermark_ms = 0

    def read(self) -> Read:
        """Read what is there; who asks for more has routed what it was given before."""
        if self._watermark_ms >= self._until_ms:
            self._reached.set()
        read = self._source.read()
        self._watermark_ms = read.watermark_ms
        return read


class WatchedSource(WrappedSource):
    """An `EventSource` that tells of each read that worked, of gaps, and how far reading came."""

    def __init__(
        self, source: EventSource, progress: Progress, clock: Clock = time.monotonic
    ) -> None:
        super().__init__(source)
        self._progress = progress
        self._clock = clock
        self._speak_s = clock()
        self._entries = 0

    def read(self) -> Read:
        """Read what is there."""
        read = self._source.read()
        self._progress.has_read(read)
        self._entries += len(read.entries)
        if self._clock() >= self._speak_s:
            self._speak_s = self._clock() + SPEAK_EVERY_S
            lag_s = max(0, read.now_ms - read.watermark_ms) / 1000
            emit(EventsRead(entries=self._entries, lag_s=lag_s))
            self._entries = 0
        return read


class WatchedFeed:
    """A `ScoreFeed` that tells whether the last announcement worked, and how long it took."""

    def __init__(self, feed: ScoreFeed, progress: Progress, clock: Clock = time.monotonic) -> None:
        self._feed = feed
        self._progress = progress
        self._clock = clock

    def publish(self, rows: Sequence[ScoreRow]) -> None:
        """Announce the rows."""
        began_s = self._clock()
        try:
            self._feed.publish(rows)
        except Unavailable:
            self._progress.is_publishing = False
            raise
        self._progress.is_publishing = True
        duration_s = round(self._clock() - began_s, 4)
        emit(UpdatesPublished(updates=len(rows), duration_s=duration_s))

    def close(self) -> None:
        """Close every connection."""
        self._feed.close()


class WatchedCheckpoints:
    """A `CheckpointStore` that tells of each commit that worked."""

    def __init__(self, store: CheckpointStore, progress: Progress) -> None:
        self._store = store
        self._progress = progress

    def load(self) -> Checkpoint | None:
        """Return the last checkpoint, if there is one."""
        return self._store.load()

    def commit(self, checkpoint: Checkpoint) -> bool:
        """Store it all at once, or nothing."""
        is_committed = self._store.commit(checkpoint)
        if is_committed:
            self._progress.has_committed()
        return is_committed

    def close(self) -> None:
        """Close every connection."""
        self._store.close()
