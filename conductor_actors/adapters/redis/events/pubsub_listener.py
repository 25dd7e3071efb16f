"""Receive pub/sub messages on a thread of its own.

Pub/sub can't wait: messages are received at once, however slowly they are processed.
"""

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from random import random
from typing import Final, NamedTuple

import redis

from conductor_actors.adapters.redis.connections.client import probe_client, require_reply
from conductor_actors.adapters.redis.connections.liveness import Deadlines
from conductor_actors.adapters.redis.events.event_names import event_tenant
from conductor_actors.adapters.redis.events.ignored_tenants import IgnoredTenants
from conductor_actors.adapters.redis.events.subscription import Message, Subscription, Subscriptions
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.identity import EVERY_TENANT
from conductor_actors.domain.quotas import units
from conductor_actors.errors import ConfigError, Unavailable

LISTENER_CLOSE_S: Final = 2.0
# Between two reads: each costs three system calls, however many messages it returns.
GATHER_S: Final = 0.005


class ReceivedMessage(NamedTuple):
    """A message with the monotonic time at which it was received."""

    received_s: float
    channel: str
    body: bytes


class TenantBuffer:
    """Received messages, bounded: at most `limit` units, a unit being up to a kilobyte.

    When it is full, it drops the newest message of the tenant with the most units, which is the
    tenant that floods; that can be the message being added.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queues: dict[str, list[ReceivedMessage]] = {}
        self._units: Counter[str] = Counter()
        self._total = 0
        self._dropped: Counter[str] = Counter()

    def add(self, tenant: str, message: ReceivedMessage) -> None:
        """Add a message of a tenant; drop as many as are necessary to make room."""
        units = _units(message)
        while self._total + units > self._limit:
            flooding = max(self._units, key=self._units.__getitem__, default=tenant)
            if flooding == tenant or self._units[flooding] < self._units[tenant] + units:
                self._dropped[tenant] += 1
                return
            self._dropped[flooding] += 1
            self._subtract(flooding, _units(self._queues[flooding].pop()))
        if tenant not in self._queues:
            self._queues[tenant] = []
        self._queues[tenant].append(message)
        self._units[tenant] += units
        self._total += units

    def pop_before(self, before_s: float) -> list[ReceivedMessage]:
        """Remove and return the messages received before a moment, oldest first."""
        popped: list[ReceivedMessage] = []
        for tenant, queue in [*self._queues.items()]:
            due = bisect_left(queue, before_s, key=_received_s)
            popped += queue[:due]
            self._subtract(tenant, sum(map(_units, queue[:due])))
            del queue[:due]
            if not queue:
                del self._queues[tenant], self._units[tenant]
        popped.sort(key=_received_s)
        return popped

    def pop_dropped(self) -> Counter[str]:
        """Return how many messages of each tenant were dropped since the last call."""
        dropped, self._dropped = self._dropped, Counter()
        return dropped

    def _subtract(self, tenant: str, units: int) -> None:
        self._units[tenant] -= units
        self._total -= units


class PubSubListener:
    """Buffer what is published on subscribed channels, and report gaps as they occur."""

    def __init__(
        self,
        client: redis.Redis,
        subscriptions: Subscriptions,
        limit: int,
        deadlines: Deadlines = Deadlines(),  # noqa: B008 - immutable
        ignored_tenants: IgnoredTenants | None = None,
    ) -> None:
        self._client = client
        self._probe = probe_client(client)
        self._subscriptions = subscriptions
        self._deadlines = deadlines
        self._ignored_tenants = ignored_tenants or IgnoredTenants()
        self._lock = threading.Lock()
        self._buffer = TenantBuffer(limit)
        self._reconnects: list[Gap] = []
        self._received_s = self._popped_s = time.monotonic()
        self._refusal: ConfigError | None = None
        self._has_subscribed = threading.Event()
        self._has_answered = threading.Event()  # Redis has accepted or refused the subscription
        self._is_closed = threading.Event()
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pubsub", daemon=True)
        self._thread.start()

    def pop_before(self, before_s: float) -> tuple[list[ReceivedMessage], list[Gap]]:
        """Remove and return the messages received before a moment, and the new gaps.

        Times are monotonic. Raise `ConfigError` while a channel is refused.
        """
        self._require_running()
        with self._lock:
            messages = self._buffer.pop_before(before_s)
            from_ms, self._popped_s = int(self._popped_s * 1000), time.monotonic()
            gaps = [
                Gap(tenant, "flooded", dropped, from_ms, int(self._popped_s * 1000))
                for tenant, dropped in self._buffer.pop_dropped().items()
            ]
            gaps += self._reconnects
            self._reconnects = []
        return messages, gaps

    def wait_subscribed(self, timeout_s: float) -> None:
        """Wait for the first subscription; raise `Unavailable` if it takes too long.

        Raise `ConfigError` while a channel is refused; the thread goes on trying.
        """
        if not self._has_answered.wait(timeout_s):
            raise Unavailable("redis: no subscription yet")
        self._require_running()

    def close(self) -> None:
        """End the thread and close its connections."""
        self._is_closed.set()
        self._thread.join(LISTENER_CLOSE_S)
        self._probe.close()

    def _require_running(self) -> None:
        if self._has_ended.is_set():
            raise RuntimeError("the pub/sub thread has ended")
        if self._refusal is not None:
            raise self._refusal

    def _run(self) -> None:
        try:
            while not self._is_closed.is_set():
                self._try_to_listen()
        finally:
            self._has_ended.set()
            self._has_answered.set()

    def _try_to_listen(self) -> None:
        try:
            if self._has_subscribed.is_set():
                require_reply(self._probe)
            self._listen()
        except (Unavailable, ConfigError) as error:
            if isinstance(error, ConfigError):
                self._refusal = error
                self._has_answered.set()
            jitter = random()  # noqa: S311 - no secret
            self._is_closed.wait(jitter * self._deadlines.reconnect_within_s)

    def _listen(self) -> None:
        subscription = Subscription(self._client, self._subscriptions, self._deadlines)
        try:
            self._record_subscribed()
            while not self._is_closed.is_set():
                messages = subscription.read(self._deadlines.quiet_s)
                if messages:
                    self._add(messages)
                    self._is_closed.wait(GATHER_S)
        finally:
            self._received_s = subscription.heard_s
            subscription.close()

    def _record_subscribed(self) -> None:
        if self._has_subscribed.is_set():
            from_ms, to_ms = int(self._received_s * 1000), int(time.monotonic() * 1000)
            gap = Gap(EVERY_TENANT, "reconnected", None, from_ms, to_ms)
            with self._lock:
                self._reconnects.append(gap)
        self._refusal = None
        self._has_subscribed.set()
        self._has_answered.set()

    def _add(self, messages: Sequence[Message]) -> None:
        """Add the messages of one read: `pop_before` waits for no more than these."""
        with self._lock:
            clock, add = time.monotonic, self._buffer.add
            for message in messages:
                channel, tenant = _channel_and_tenant(message[-2])
                if tenant is not None:
                    add(tenant, ReceivedMessage(clock(), channel, message[-1]))
                else:
                    self._ignored_tenants.report(channel)


@lru_cache(4096)
def _channel_and_tenant(raw: bytes) -> tuple[str, str | None]:
    """Return a channel's name, and the tenant whose events are published there, if any."""
    name = raw.decode("utf-8", "replace")
    return name, event_tenant(name)


def _units(message: ReceivedMessage) -> int:
    return units(len(message.body))


def _received_s(message: ReceivedMessage) -> float:
    return message.received_s
