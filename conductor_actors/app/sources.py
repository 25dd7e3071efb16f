"""Sources that wrap another source, and change what it reads."""

from threading import Event

from conductor_actors.domain.shards import ShardFilter
from conductor_actors.ports import EventSource, ReadResult


class WrappedSource:
    """An `EventSource` that passes every call on; its subclasses add `read`."""

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


class BoundedSource(WrappedSource):
    """An `EventSource` that sets an event when every entry before an instant has been routed."""

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
