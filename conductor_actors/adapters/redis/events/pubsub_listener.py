"""Receive pub/sub messages on a thread of its own.

Pub/sub can't wait: messages are received at once, however slowly they are processed.
"""

import threading
import time
from collections.abc import Sequence
from random import random
from typing import Final

import redis

from conductor_actors.adapters.redis.connections.client import probe_client, require_reply
from conductor_actors.adapters.redis.connections.liveness import Deadlines
from conductor_actors.adapters.redis.events.event_names import event_tenant
from conductor_actors.adapters.redis.events.ignored_tenants import IgnoredTenants
from conductor_actors.adapters.redis.events.subscription import Message, Subscription, Subscriptions
from conductor_actors.adapters.redis.events.tenant_buffer import ReceivedMessages, TenantBuffer
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.identity import EVERY_TENANT
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.threads import InheritingThread

LISTENER_CLOSE_S: Final = 2.0
# Between two reads: each costs three system calls, however many messages it returns.
GATHER_S: Final = 0.005
MAX_CHANNELS: Final = 4096  # whose names are kept


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
        self._channels = _Channels()  # of the thread
        self._reconnects: list[Gap] = []
        self._received_s = self._popped_s = time.monotonic()
        self._refusal: ConfigError | None = None
        self._has_messages = threading.Event()
        self._has_subscribed = threading.Event()
        self._has_answered = threading.Event()  # Redis has accepted or refused the subscription
        self._is_closed = threading.Event()
        self._has_ended = threading.Event()
        self._thread = InheritingThread(self._run, "pubsub")
        self._thread.start()

    def pop_before(self, before_s: float) -> tuple[list[ReceivedMessages], list[Gap]]:
        """Remove and return the messages received before a moment, and the new gaps.

        Times are monotonic. Raise `ConfigError` while a channel is refused.
        """
        self._require_running()
        with self._lock:
            messages = self._buffer.pop_before(before_s)
            if self._buffer.is_empty():
                self._has_messages.clear()
            from_ms, self._popped_s = int(self._popped_s * 1000), time.monotonic()
            gaps = [
                Gap(tenant, "flooded", dropped, from_ms, int(self._popped_s * 1000))
                for tenant, dropped in self._buffer.pop_dropped().items()
            ]
            gaps += self._reconnects
            self._reconnects = []
        return messages, gaps

    def wait_for_messages(self, timeout_s: float) -> None:
        """Wait until there is a message, at most so long."""
        self._has_messages.wait(timeout_s)

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
        """Add the messages of one read, with one time."""
        named, channels, raw_before = [], self._channels, None
        for message in messages:
            raw = message[-2]
            if raw != raw_before:  # many in a row have the same; a lookup takes six times as long
                channel, tenant = channels[raw]
                raw_before = raw
            if tenant is not None:
                named.append((tenant, (channel, message[-1])))
            else:
                self._ignored_tenants.report(channel)
        with self._lock:
            self._buffer.add(time.monotonic(), named)
            if named:
                self._has_messages.set()


class _Channels(dict[bytes, tuple[str, str | None]]):
    """Channels by their raw names: their name, and the tenant whose events these are, if any.

    `lru_cache` takes three times as long.
    """

    def __missing__(self, raw: bytes) -> tuple[str, str | None]:
        if len(self) >= MAX_CHANNELS:
            self.clear()
        name = raw.decode("utf-8", "replace")
        found = self[raw] = name, event_tenant(name)
        return found
