"""Where events come from: the streams and the pub/sub channels of the same names, merged."""

import time
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from conductor_actors.adapters.redis_client import DEADLINE_S, open_client, translated
from conductor_actors.adapters.redis_pubsub import Heard, PubSubListener
from conductor_actors.adapters.redis_streams import Start, StreamReader
from conductor_actors.adapters.tenants import EventNames
from conductor_actors.domain.intake import Entry
from conductor_actors.ports import Clock, Gap, Read

# Between reads when all was read: fewer, larger reads cost less, and a score is due every 5 s.
PAUSE_S: Final = 0.025

Transport = Literal["both", "streams", "pubsub"]


class SourceOptions(NamedTuple):
    """What is read, from where on."""

    transport: Transport = "both"
    tenants: Sequence[str] = ()
    start: Start = "window"
    window_s: int = 60
    pubsub_limit: int = 100_000


class RedisSource:
    """An `EventSource`. Pub/sub messages get the time of their reading, by Redis' clock."""

    def __init__(self, url: str, options: SourceOptions, clock: Clock = time.monotonic) -> None:
        self._client = open_client(url)
        self._options = options
        self._clock = clock
        self._names = EventNames(self._client, options.tenants)
        self._streams = StreamReader(self._client, options.start, options.window_s)
        self._listener: PubSubListener | None = None
        self._has_begun = False
        self._heard = 0
        self._next_read_s = 0.0

    def read(self) -> Read:
        """Read what is there; wait a moment first when the last read left nothing behind."""
        time.sleep(max(0.0, self._next_read_s - self._clock()))
        with translated():
            names = self._names.current()
        heard, gaps = self._listen(names) if self._options.transport != "streams" else ([], [])
        streams = names if self._options.transport != "pubsub" else ()
        ordered = self._streams.read(streams, self._as_entries(heard))
        self._next_read_s = 0.0 if self._streams.is_behind else self._clock() + PAUSE_S
        read = Read(ordered.entries, ordered.watermark_ms, ordered.now_ms, gaps)
        if not self._has_begun:
            self._has_begun = True
            if self._options.start != "earliest":
                read = read._replace(first_tick_ms=ordered.now_ms)
        return read

    def close(self) -> None:
        """Let go of every connection."""
        if self._listener:
            self._listener.close()
        self._client.close()

    def _listen(self, names: Sequence[str]) -> tuple[list[Heard], list[Gap]]:
        if self._listener is None:
            self._listener = PubSubListener(
                self._client, names, self._names.channel_patterns(), self._options.pubsub_limit
            )
        self._listener.wait_subscribed(DEADLINE_S)
        return self._listener.take()

    def _as_entries(self, heard: Sequence[Heard]) -> list[Entry]:
        if not heard:
            return []
        offset_s = self._streams.clock_ms() / 1000 - self._clock()
        entries = []
        for each in heard:
            self._heard += 1
            entries.append((int((each.at_s + offset_s) * 1000), self._heard, each.name, each.body))
        return entries
