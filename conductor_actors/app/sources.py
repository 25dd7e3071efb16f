"""A source that wraps another source, and changes what it reads."""

from conductor_actors.ports import EventSource


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
