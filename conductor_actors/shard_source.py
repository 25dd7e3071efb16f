"""Sources of which less is taken, and everything else is as it is."""

from threading import Event

from conductor_actors.domain.sieve import Sieve
from conductor_actors.ports import EventSource, Read
from conductor_actors.wrapped_source import WrappedSource


class ShardSource(WrappedSource):
    """An `EventSource`. Watermark and gaps are everybody's: each shard ticks and marks by them."""

    def __init__(self, source: EventSource, sieve: Sieve) -> None:
        super().__init__(source)
        self._sieve = sieve

    def read(self) -> Read:
        """Read what is there, and keep what is ours."""
        read = self._source.read()
        return read._replace(entries=self._sieve.ours(read.entries))


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
