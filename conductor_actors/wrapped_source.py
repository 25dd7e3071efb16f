"""What every source that wraps another has in common: all but its reading is the other's."""

from conductor_actors.ports import EventSource


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
        """Tell how far was read."""
        return self._source.position()

    def close(self) -> None:
        """Let go of every connection."""
        self._source.close()
