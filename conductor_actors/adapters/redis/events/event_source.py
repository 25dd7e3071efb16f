"""Read events from Redis: the streams and the pub/sub channels of the same names, merged.

Commands are read from their streams, whatever the transport of events is.
"""

import time
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from conductor_actors.adapters.redis.connections.client import (
    REDIS_TIMEOUT_S,
    open_client,
    probe_client,
    require_reply,
)
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.events.directive_history import read_directives
from conductor_actors.adapters.redis.events.event_names import EventNames
from conductor_actors.adapters.redis.events.pubsub_listener import PubSubListener
from conductor_actors.adapters.redis.events.read_pauses import ReadPauses
from conductor_actors.adapters.redis.events.stream_reader import (
    OrderedEntries,
    Start,
    StreamPositions,
    StreamReader,
)
from conductor_actors.adapters.redis.events.subscription import Subscriptions
from conductor_actors.adapters.redis.key_names import CHECKPOINT_KEY
from conductor_actors.adapters.redis.ownership.checkpoint_errors import unreadable
from conductor_actors.domain.conductor.directives import NO_DIRECTIVES
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.events import UNSCORED_NAMES
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.identity import EVERY_TENANT
from conductor_actors.domain.merging import Frontier
from conductor_actors.ports import ReadResult

# More than the time since the last checkpoint of an owner that died.
STANDBY_BUFFER_S: Final = 45.0

Transport = Literal["both", "streams", "pubsub"]


class SourceOptions(NamedTuple):
    """What to read, and from where."""

    transport: Transport = "both"
    tenants: Sequence[str] = ()
    start: Start = "window"
    window_s: int = 60
    pubsub_limit: int = 100_000


class _Position(msgspec.Struct, array_like=True):
    streams: StreamPositions
    uses_pubsub: bool  # pub/sub has brought an event at some time: not only reports


class RedisSource:
    """An `EventSource`. A pub/sub message has the time at which it was read, by Redis' clock."""

    def __init__(self, url: str, options: SourceOptions) -> None:
        self._client = open_client(url)
        self._probe = probe_client(self._client)
        self._is_away = False
        self._options = options
        self._names = EventNames(self._client, options.tenants)
        self._streams = StreamReader(self._client, options.start, options.window_s)
        self._listener: PubSubListener | None = None
        self._has_begun = False
        self._messages = 0  # received by this process
        self._used_pubsub = False  # by an earlier process
        self._has_pubsub_events = False
        self._has_reported_restart = False
        self._resumed_ms = 0  # another process has counted the messages before this time
        self._released_ms = 0  # no message may get a time before this one
        self._pauses = ReadPauses()

    def subscribe(self) -> None:
        """Start to buffer pub/sub messages, and drop those that were buffered for 45 s."""
        if self._options.transport != "streams":
            self._started_listener().pop_before(time.monotonic() - STANDBY_BUFFER_S)

    def resume(self, position: bytes) -> None:
        """Read on from the position of another source; call this before the first read."""
        resumed = _decoded(position)
        self._streams.resume(resumed.streams)
        self._has_begun, self._used_pubsub = True, resumed.uses_pubsub
        ms, sequence = resumed.streams.frontier
        self._resumed_ms = ms
        self._released_ms = ms + (sequence > 0)

    def position(self) -> bytes:
        """Return the position after the entries of all reads so far."""
        uses_pubsub = self._used_pubsub or self._has_pubsub_events
        return msgspec.msgpack.encode(_Position(self._streams.positions(), uses_pubsub))

    def start_position(self) -> bytes:
        """Return the position before the first read, once there was one that did not resume."""
        start = StreamPositions((0, 0), self._streams.positions().start, {})
        return msgspec.msgpack.encode(_Position(start, self._has_pubsub_events))

    def read(self) -> ReadResult:
        """Return the next entries, after a short pause if the last read left none."""
        self._pauses.wait(self._listener)
        if self._is_away:
            require_reply(self._probe)
        self._is_away = True
        result = self._read()
        self._is_away = False
        return result

    def _read(self) -> ReadResult:
        with mapped_errors():
            is_pubsub = self._options.transport == "pubsub"
            names = self._names.own() if is_pubsub else self._names.current()
        if self._options.transport != "streams":
            self._started_listener().wait_subscribed(REDIS_TIMEOUT_S)
        began_s = time.monotonic()
        ordered = self._streams.read(names)
        messages, gaps = self._pop_messages(began_s, ordered)
        entries = ordered.entries
        if messages:
            entries = sorted(entries + messages) if entries else messages
        if not self._streams.is_behind:
            self._pauses.begin(ordered.now_ms, is_idle=not entries)
        first_tick_ms, directives = None, NO_DIRECTIVES
        if not self._has_begun and self._options.start != "earliest":
            first_tick_ms = ordered.now_ms
            usable = self._streams.wrong_type_keys.exclude_from(self._names.own())
            directives = read_directives(self._client, usable, first_tick_ms)
        self._has_begun = True
        gaps += self._streams.gaps
        clock_gaps = self._streams.clock_gaps
        return ReadResult(
            entries,
            ordered.frontier[0],
            ordered.now_ms,
            gaps,
            first_tick_ms,
            clock_gaps,
            directives,
        )

    def close(self) -> None:
        """Close every connection."""
        if self._listener:
            self._listener.close()
        self._probe.close()
        self._client.close()

    def _started_listener(self) -> PubSubListener:
        if self._listener is None:
            self._listener = PubSubListener(
                self._client,
                Subscriptions(self._names.channels(), self._names.channel_patterns()),
                self._options.pubsub_limit,
                ignored_tenants=self._names.ignored_tenants,
            )
        return self._listener

    def _pop_messages(
        self, began_s: float, ordered: OrderedEntries
    ) -> tuple[list[Entry], list[Gap]]:
        """Return the messages before the frontier as entries; later ones stay in the buffer.

        Messages have times of our clock, which each read sets by Redis' clock anew. Where that
        would move one behind what was released, it gets the earliest time that is left.
        """
        if self._listener is None:
            return [], []
        before_ms, sequence = ordered.frontier
        offset_ms = ordered.now_ms - began_s * 1000
        has_advanced = before_ms > self._released_ms
        before_s = (before_ms - offset_ms) / 1000 if has_advanced else 0.0
        received, gaps = self._listener.pop_before(before_s)
        gaps = [_in_redis_time(gap, offset_ms) for gap in gaps] + self._restart_gap(ordered.now_ms)
        entries: list[Entry] = []
        for each in received:
            received_ms = int(each.received_s * 1000 + offset_ms)
            if received_ms < self._resumed_ms:
                continue
            at_ms = max(self._released_ms, min(received_ms, before_ms - 1))
            numbered = enumerate(each.messages, self._messages + 1)
            entries += [(at_ms, number, name, body) for number, (name, body) in numbered]
            self._messages += len(each.messages)
            if not self._has_pubsub_events:
                self._has_pubsub_events = any(_is_scored(name) for name, _ in each.messages)
        self._released_ms = max(self._released_ms, before_ms + (sequence > 0))
        return entries, gaps

    def _restart_gap(self, now_ms: int) -> list[Gap]:
        """Return, once, the time since the checkpoint, in which messages may have been missed."""
        if not self._used_pubsub or self._has_reported_restart:
            return []
        self._has_reported_restart = True
        return [Gap(EVERY_TENANT, "restarted", None, self._resumed_ms, now_ms)]


def _is_scored(name: str) -> bool:
    return not name.endswith(UNSCORED_NAMES)


def frontier_of(position: bytes) -> Frontier:
    """Return up to where entries were read, by the position of a source."""
    return _decoded(position).streams.frontier


def _decoded(position: bytes) -> _Position:
    try:
        return msgspec.msgpack.decode(position, type=_Position)
    except msgspec.MsgspecError:
        raise unreadable(f"the position in {CHECKPOINT_KEY}") from None


def _in_redis_time(gap: Gap, offset_ms: float) -> Gap:
    return gap._replace(from_ms=int(gap.from_ms + offset_ms), to_ms=int(gap.to_ms + offset_ms))
