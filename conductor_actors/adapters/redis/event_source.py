"""Where events come from: the streams and the pub/sub channels of the same names, merged."""

import time
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from conductor_actors.adapters.redis.checkpoint_errors import unreadable
from conductor_actors.adapters.redis.client import (
    DEADLINE_S,
    mapped_errors,
    open_client,
    short_timeout,
)
from conductor_actors.adapters.redis.event_names import EventNames
from conductor_actors.adapters.redis.key_names import CHECKPOINT_KEY
from conductor_actors.adapters.redis.pubsub import PubSubListener
from conductor_actors.adapters.redis.streams import (
    Ordered,
    Start,
    StreamPositions,
    StreamReader,
    joined,
)
from conductor_actors.adapters.redis.subscription import Subscriptions
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.identity import EVERY_TENANT
from conductor_actors.domain.intake import Entry
from conductor_actors.errors import Unavailable
from conductor_actors.ports import Read

# Between reads when all was read: fewer, larger reads cost less, and a score is due every 5 s.
PAUSE_S: Final = 0.025
# What a standby has heard: enough for the time since the last checkpoint of who died.
KEPT_S: Final = 45.0

Transport = Literal["both", "streams", "pubsub"]


class SourceOptions(NamedTuple):
    """What is read, from where on."""

    transport: Transport = "both"
    tenants: Sequence[str] = ()
    start: Start = "window"
    window_s: int = 60
    pubsub_limit: int = 100_000
    until_ms: int | None = None  # nothing that comes later is read


class _Position(msgspec.Struct, array_like=True):
    streams: StreamPositions
    has_heard: bool  # whether pub/sub has ever brought an event


class RedisSource:
    """An `EventSource`. Pub/sub messages get the time of their reading, by Redis' clock."""

    def __init__(self, url: str, options: SourceOptions) -> None:
        self._client = open_client(url)
        self._short_timeout = short_timeout(self._client)
        self._is_away = False
        self._options = options
        self._names = EventNames(self._client, options.tenants)
        self._streams = StreamReader(self._client, options.start, options.window_s)
        self._streams.until_ms = options.until_ms
        self._listener: PubSubListener | None = None
        self._has_begun = False
        self._heard = 0
        self._had_heard = False  # before this process began
        self._is_missed_said = False
        self._resumed_ms = 0  # what was heard before this, another process has counted
        self._given_ms = 0  # no message may come before this any more
        self._next_read_s = 0.0

    def listen(self) -> None:
        """Begin to hear pub/sub messages; those that nobody reads within 45 s are let go of."""
        if self._options.transport != "streams":
            self._started_listener().take(time.monotonic() - KEPT_S)

    def resume(self, position: bytes) -> None:
        """Begin to read where another source was; to be called before the first read."""
        try:
            found = msgspec.msgpack.decode(position, type=_Position)
        except msgspec.MsgspecError:
            raise unreadable(f"the position in {CHECKPOINT_KEY}") from None
        self._streams.resume(found.streams)
        self._has_begun, self._had_heard = True, found.has_heard
        ms, sequence = found.streams.frontier
        self._resumed_ms = ms
        self._given_ms = ms + (sequence > 0)

    def position(self) -> bytes:
        """Return how far was read."""
        has_heard = self._had_heard or self._heard > 0
        return msgspec.msgpack.encode(_Position(self._streams.positions(), has_heard))

    def read(self) -> Read:
        """Read what is there; wait a moment first when the last read left nothing behind."""
        time.sleep(max(0.0, self._next_read_s - time.monotonic()))
        if self._is_away:
            with mapped_errors():
                self._short_timeout.ping()
        self._is_away = True
        read = self._read()
        self._is_away = False
        return read

    def _read(self) -> Read:
        with mapped_errors():
            names = self._names.current()
        if self._options.transport != "streams":
            self._started_listener().wait_subscribed(DEADLINE_S)
        asked_s = time.monotonic()
        ordered = self._streams.read(names if self._options.transport != "pubsub" else ())
        heard, gaps = self._take_heard(asked_s, ordered)
        self._next_read_s = 0.0 if self._streams.is_behind else time.monotonic() + PAUSE_S
        entries = sorted(ordered.entries + heard) if heard else ordered.entries
        first_tick_ms = None
        if not self._has_begun and self._options.start != "earliest":
            first_tick_ms = ordered.now_ms
        self._has_begun = True
        gaps += self._streams.gaps
        return Read(entries, ordered.frontier[0], ordered.now_ms, gaps, first_tick_ms)

    def close(self) -> None:
        """Close every connection."""
        if self._listener:
            self._listener.close()
        self._short_timeout.close()
        self._client.close()

    def _started_listener(self) -> PubSubListener:
        if self._listener is None:
            self._listener = PubSubListener(
                self._client,
                Subscriptions(self._names.channels(), self._names.channel_patterns()),
                self._options.pubsub_limit,
            )
        return self._listener

    def _take_heard(self, asked_s: float, ordered: Ordered) -> tuple[list[Entry], list[Gap]]:
        """Return the messages before the frontier; the others wait in the bounded listener.

        Their clock is ours, set by Redis' once per read: what that shakes is put in order.
        """
        if self._listener is None:
            return [], []
        before_ms, sequence = ordered.frontier
        offset_ms = ordered.now_ms - asked_s * 1000
        has_moved = before_ms > self._given_ms
        heard, gaps = self._listener.take((before_ms - offset_ms) / 1000 if has_moved else 0.0)
        gaps = [_shifted(gap, offset_ms) for gap in gaps] + self._missed(ordered.now_ms)
        entries = []
        for each in heard:
            heard_ms = int(each.at_s * 1000 + offset_ms)
            if heard_ms < self._resumed_ms:
                continue
            self._heard += 1
            at_ms = max(self._given_ms, min(heard_ms, before_ms - 1))
            entries.append((at_ms, self._heard, each.name, each.body))
        self._given_ms = max(self._given_ms, before_ms + (sequence > 0))
        return entries, gaps

    def _missed(self, now_ms: int) -> list[Gap]:
        """Return, once, the gap between the checkpoint and the subscription."""
        if not self._had_heard or self._is_missed_said:
            return []
        self._is_missed_said = True
        return [Gap(EVERY_TENANT, "restarted", None, self._resumed_ms, now_ms)]


def joined_positions(positions: Sequence[bytes]) -> bytes:
    """Make one position of those of shards; raise `Unavailable` if they are not of one moment."""
    found = [msgspec.msgpack.decode(position, type=_Position) for position in positions]
    frontiers = {each.streams.frontier for each in found}
    if len(frontiers) > 1:
        raise Unavailable("the shards' checkpoints are of different moments; start once more")
    has_heard = any(each.has_heard for each in found)
    return msgspec.msgpack.encode(_Position(joined([each.streams for each in found]), has_heard))


def _shifted(gap: Gap, by_ms: float) -> Gap:
    return gap._replace(from_ms=int(gap.from_ms + by_ms), to_ms=int(gap.to_ms + by_ms))
