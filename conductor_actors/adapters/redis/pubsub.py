"""Listen to pub/sub on a thread of its own: it can't wait, so it is read whatever else is slow."""

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from random import random
from typing import Final, NamedTuple

import redis

from conductor_actors.adapters.redis.client import mapped_errors, short_timeout
from conductor_actors.adapters.redis.event_names import event_tenant
from conductor_actors.adapters.redis.liveness import Deadlines
from conductor_actors.adapters.redis.subscription import Message, Subscription, Subscriptions
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.identity import EVERY_TENANT
from conductor_actors.domain.quotas import units
from conductor_actors.errors import ConfigError, Unavailable

CLOSE_WITHIN_S: Final = 2.0
# Between two looks: each costs three calls of the system, however much has come.
GATHER_S: Final = 0.005


class Heard(NamedTuple):
    """A message: when it was read (monotonic seconds), its channel, its body."""

    at_s: float
    name: str
    body: bytes


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
        """Remove and return what was received before a moment, in order."""
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
        """Return how many messages of each tenant were dropped, and reset the counts."""
        lost, self._lost = self._lost, Counter()
        return lost

    def _forget(self, tenant: str, units: int) -> None:
        self._units[tenant] -= units
        self._total -= units


class PubSubListener:
    """Buffers the messages that it receives, and counts those that it had to drop."""

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
        self._heard_s = self._taken_s = time.monotonic()
        self._refusal: ConfigError | None = None
        self._was_subscribed = threading.Event()
        self._is_closed = threading.Event()
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pubsub", daemon=True)
        self._thread.start()

    def take(self, before_s: float) -> tuple[list[Heard], list[Gap]]:
        """Return what was received before a moment, in order, and the gaps in it.

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
            if self._was_subscribed.is_set():
                with mapped_errors():
                    self._short_timeout.ping()
            self._listen()
        except Unavailable:
            jitter = random()  # noqa: S311 - no secret
            self._is_closed.wait(jitter * self._deadlines.reconnect_within_s)

    def _listen(self) -> None:
        subscription = Subscription(self._client, self._subscriptions, self._deadlines)
        try:
            self._report_subscribed()
            while not self._is_closed.is_set():
                messages = subscription.read(self._deadlines.quiet_s)
                if messages:
                    self._keep(messages)
                    self._is_closed.wait(GATHER_S)
        finally:
            self._heard_s = subscription.heard_s
            subscription.close()

    def _report_subscribed(self) -> None:
        if self._was_subscribed.is_set():
            since_ms, until_ms = int(self._heard_s * 1000), int(time.monotonic() * 1000)
            gap = Gap(EVERY_TENANT, "reconnected", None, since_ms, until_ms)
            with self._lock:
                self._reconnects.append(gap)
        self._was_subscribed.set()

    def _keep(self, messages: Sequence[Message]) -> None:
        """Buffer messages in parts, so that `take` waits for one part at most."""
        with self._lock:
            clock, add = time.monotonic, self._waiting.add
            for message in messages:
                name, tenant = _channel(message[-2])
                if tenant is not None:
                    add(tenant, Heard(clock(), name, message[-1]))


@lru_cache(4096)
def _channel(raw: bytes) -> tuple[str, str | None]:
    """Return a channel's name, and the tenant of its events if it has any."""
    name = raw.decode("utf-8", "replace")
    return name, event_tenant(name)


def _units(message: Heard) -> int:
    return units(len(message.body))


def _at(heard: Heard) -> float:
    return heard.at_s
