"""Listen to pub/sub on a thread of its own: it can't wait, so it is read whatever else is slow.

redis-py does not notice a dead pub/sub socket by itself, so this keeps a deadline of its own:
a PING when it is quiet, and a reply to it in time.
"""

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from random import random
from typing import Any, Final, NamedTuple

import redis

from conductor_actors.adapters.redis.client import Command, mapped_errors, short_timeout
from conductor_actors.adapters.redis.event_names import event_tenant
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.identity import EVERY_TENANT
from conductor_actors.domain.quotas import units
from conductor_actors.errors import ConfigError, Unavailable

CLOSE_WITHIN_S: Final = 2.0
# Between two looks: each costs three calls of the system, however much has come.
GATHER_S: Final = 0.005
MOST_AT_ONCE: Final = 1000


class Heard(NamedTuple):
    """A message: when it was read (monotonic seconds), its channel, its body."""

    at_s: float
    name: str
    body: bytes


class Subscriptions(NamedTuple):
    """What is listened to."""

    channels: Sequence[str]
    patterns: Sequence[str] = ()


class Deadlines(NamedTuple):
    """When a quiet connection is asked whether it lives, and how long anything may take."""

    quiet_s: float = 0.25
    pong_within_s: float = 4.0
    reconnect_within_s: float = 1.0


class TenantBuffer:
    """Messages not taken yet: at most `limit` of up to a kilobyte, a larger one counts as more.

    Past that it drops, and counts, the newest of the tenant that has most waiting, the message
    that comes included: who floods.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queues: dict[str, list[Heard]] = {}
        self._units: Counter[str] = Counter()
        self._total = 0
        self._lost: Counter[str] = Counter()

    def add(self, tenant: str, message: Heard) -> None:
        """Put a message behind the others, or drop whichever has to go."""
        units = _units(message)
        while self._total + units > self._limit:
            flooding = max(self._units, key=self._units.__getitem__, default=tenant)
            if flooding == tenant or self._units[flooding] < self._units[tenant] + units:
                self._lost[tenant] += 1
                return
            self._lost[flooding] += 1
            self._forget(flooding, _units(self._queues[flooding].pop()))
        if tenant not in self._queues:
            self._queues[tenant] = []
        self._queues[tenant].append(message)
        self._units[tenant] += units
        self._total += units

    def take(self, before_s: float) -> list[Heard]:
        """Give and forget what was heard before a moment, in order."""
        taken: list[Heard] = []
        for tenant, queue in [*self._queues.items()]:
            due = bisect_left(queue, before_s, key=_at)
            taken += queue[:due]
            self._forget(tenant, sum(map(_units, queue[:due])))
            del queue[:due]
            if not queue:
                del self._queues[tenant], self._units[tenant]
        taken.sort(key=_at)
        return taken

    def lost(self) -> Counter[str]:
        """Give and forget how many messages of each tenant were dropped."""
        lost, self._lost = self._lost, Counter()
        return lost

    def _forget(self, tenant: str, units: int) -> None:
        self._units[tenant] -= units
        self._total -= units


class PubSubListener:
    """Keeps what it hears until it is taken, and counts what it could not keep."""

    def __init__(
        self,
        client: redis.Redis,
        subscriptions: Subscriptions,
        limit: int,
        deadlines: Deadlines = Deadlines(),  # noqa: B008 - immutable
    ) -> None:
        self._client = client
        self._short_timeout = short_timeout(client)
        self._subscriptions = subscriptions
        self._deadlines = deadlines
        self._lock = threading.Lock()
        self._waiting = TenantBuffer(limit)
        self._reconnects: list[Gap] = []
        self._alive_s = self._taken_s = time.monotonic()
        self._refusal: ConfigError | None = None
        self._was_subscribed = threading.Event()
        self._is_closed = threading.Event()
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pubsub", daemon=True)
        self._thread.start()

    def take(self, before_s: float) -> tuple[list[Heard], list[Gap]]:
        """Give what was heard before a moment, in order, and what is missing from it.

        The times of gaps are monotonic ones, too.
        """
        self._require_life()
        with self._lock:
            heard = self._waiting.take(before_s)
            since_ms, self._taken_s = int(self._taken_s * 1000), time.monotonic()
            gaps = [
                Gap(tenant, "flooded", lost, since_ms, int(self._taken_s * 1000))
                for tenant, lost in self._waiting.lost().items()
            ]
            gaps += self._reconnects
            self._reconnects = []
        return heard, gaps

    def wait_subscribed(self, timeout_s: float) -> None:
        """Wait for the first subscription; raise `Unavailable` if it takes too long."""
        if not self._was_subscribed.wait(timeout_s):
            raise Unavailable("redis: no subscription yet")
        self._require_life()

    def close(self) -> None:
        """End the thread and its connection."""
        self._is_closed.set()
        self._thread.join(CLOSE_WITHIN_S)
        self._short_timeout.close()

    def _require_life(self) -> None:
        if self._has_ended.is_set():
            raise self._refusal or RuntimeError("the pub/sub thread has ended")

    def _run(self) -> None:
        try:
            while not self._is_closed.is_set():
                self._try_to_listen()
        except ConfigError as refusal:
            self._refusal = refusal
        finally:
            self._has_ended.set()
            self._was_subscribed.set()

    def _try_to_listen(self) -> None:
        try:
            with mapped_errors():
                if self._was_subscribed.is_set():
                    self._short_timeout.ping()
                self._listen()
        except Unavailable:
            jitter = random()  # noqa: S311 - no secret
            self._is_closed.wait(jitter * self._deadlines.reconnect_within_s)

    def _listen(self) -> None:
        connection: Any = self._client.connection_pool.get_connection()
        try:
            self._subscribe(connection)
            pinged_s = None
            while not self._is_closed.is_set():
                if connection.can_read(timeout=self._deadlines.quiet_s):
                    self._alive_s, pinged_s = time.monotonic(), None
                    self._read(connection)
                    self._is_closed.wait(GATHER_S)
                    continue
                pinged_s = pinged_s or self._ping(connection)
                if time.monotonic() - pinged_s > self._deadlines.pong_within_s:
                    raise Unavailable("redis: pub/sub does not answer")
        finally:
            connection.disconnect()
            self._client.connection_pool.release(connection)

    def _subscribe(self, connection: Any) -> None:  # noqa: ANN401 - redis-py's kinds of connection
        channels, patterns = self._subscriptions
        commands: list[Command] = [("SUBSCRIBE", *channels)]
        if patterns:
            commands.append(("PSUBSCRIBE", *patterns))
        connection.send_packed_command(connection.pack_commands(commands))
        missing = len(channels) + len(patterns)
        while missing:
            reply = connection.read_response()
            missing -= not _is_message(reply)
            self._keep([reply])
        if self._was_subscribed.is_set():
            since_ms, until_ms = int(self._alive_s * 1000), int(time.monotonic() * 1000)
            gap = Gap(EVERY_TENANT, "reconnected", None, since_ms, until_ms)
            with self._lock:
                self._reconnects.append(gap)
        self._was_subscribed.set()

    @staticmethod
    def _ping(connection: Any) -> float:  # noqa: ANN401 - the same
        connection.send_command("PING", check_health=False)
        return time.monotonic()

    def _read(self, connection: Any) -> None:  # noqa: ANN401 - the same
        """Read what has come, a part at a time: who takes it waits for no more than that."""
        replies: list[Sequence[Any]] = []
        while len(replies) < MOST_AT_ONCE and (not replies or connection.can_read()):
            replies.append(connection.read_response(disconnect_on_error=False))
        self._keep(replies)

    def _keep(self, replies: Sequence[Sequence[Any]]) -> None:
        """Keep the messages among the replies."""
        with self._lock:
            clock, add = time.monotonic, self._waiting.add
            for reply in filter(_is_message, replies):
                name, tenant = _channel(reply[-2])
                if tenant is not None:
                    add(tenant, Heard(clock(), name, reply[-1]))


def _is_message(reply: Sequence[Any]) -> bool:
    return reply[0] in (b"message", b"pmessage")


@lru_cache(4096)
def _channel(raw: bytes) -> tuple[str, str | None]:
    """Give a channel's name, and whose events come there, if any do."""
    name = raw.decode("utf-8", "replace")
    return name, event_tenant(name)


def _units(message: Heard) -> int:
    return units(len(message.body))


def _at(heard: Heard) -> float:
    return heard.at_s
