"""Listen to pub/sub on a thread of its own: it can't wait, so it is read whatever else is slow.

redis-py does not notice a dead pub/sub socket by itself, so this keeps a deadline of its own:
a PING when it is quiet, and a reply to it in time.
"""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from random import random
from typing import Any, Final, NamedTuple

import redis
from redis import exceptions as failures

from conductor_actors.adapters.redis_client import translated
from conductor_actors.adapters.tenants import event_tenant
from conductor_actors.domain.names import EVERY_TENANT
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import Gap

QUIET_S: Final = 1.0
PONG_WITHIN_S: Final = 4.0
RECONNECT_WITHIN_S: Final = 2.0


class Heard(NamedTuple):
    """A message: when it was read (monotonic seconds), its channel, its body."""

    at_s: float
    name: str
    body: bytes


class PubSubListener:
    """Keeps what it hears until it is taken; past `limit` messages it drops, and counts.

    What is dropped is the newest of the tenant that has most waiting: the one that floods.
    """

    def __init__(
        self, client: redis.Redis, channels: Sequence[str], patterns: Sequence[str], limit: int
    ) -> None:
        self._client = client
        self._channels = channels
        self._patterns = patterns
        self._limit = limit
        self._lock = threading.Lock()
        self._heard: defaultdict[str, deque[Heard]] = defaultdict(deque)
        self._waiting = 0
        self._lost: defaultdict[str, int] = defaultdict(int)
        self._reconnects = 0
        self._refusal: ConfigError | None = None
        self._was_subscribed = threading.Event()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pubsub", daemon=True)
        self._thread.start()

    def take(self) -> tuple[list[Heard], list[Gap]]:
        """Give what was heard since the last call, in order, and what is missing from it."""
        with self._lock:
            if self._refusal is not None:
                raise self._refusal
            heard = [each for queue in self._heard.values() for each in queue]
            gaps = [Gap(tenant, "flooded", lost) for tenant, lost in self._lost.items()]
            gaps += [Gap(EVERY_TENANT, "reconnected", None)] * self._reconnects
            self._heard.clear()
            self._lost.clear()
            self._waiting = self._reconnects = 0
        heard.sort(key=_heard_at)
        return heard, gaps

    def wait_subscribed(self, timeout_s: float) -> None:
        """Wait for the first subscription; raise `Unavailable` if it takes too long."""
        if not self._was_subscribed.wait(timeout_s):
            raise Unavailable("redis: no subscription yet")

    def close(self) -> None:
        """End the thread and its connection."""
        self._is_closed.set()
        self._thread.join(QUIET_S + 1)

    def _run(self) -> None:
        while not self._is_closed.is_set():
            try:
                with translated():
                    self._listen()
            except Unavailable:
                self._is_closed.wait(random() * RECONNECT_WITHIN_S)  # noqa: S311 - jitter
            except ConfigError as refusal:
                with self._lock:
                    self._refusal = refusal
                self._was_subscribed.set()
                return

    def _listen(self) -> None:
        connection: Any = self._client.connection_pool.get_connection()
        try:
            self._subscribe(connection)
            pinged_s = None
            while not self._is_closed.is_set():
                try:
                    reply = connection.read_response(timeout=QUIET_S, disconnect_on_error=False)
                except failures.TimeoutError:
                    pinged_s = pinged_s or self._ping(connection)
                    if time.monotonic() - pinged_s > PONG_WITHIN_S:
                        raise
                else:
                    pinged_s = None
                    self._handle(reply)
        finally:
            connection.disconnect()
            self._client.connection_pool.release(connection)

    def _subscribe(self, connection: Any) -> None:  # noqa: ANN401 - redis-py's kinds of connection
        commands: list[tuple[Any, ...]] = [("SUBSCRIBE", *self._channels)]
        if self._patterns:
            commands.append(("PSUBSCRIBE", *self._patterns))
        connection.send_packed_command(connection.pack_commands(commands))
        for _ in range(len(self._channels) + len(self._patterns)):
            connection.read_response()
        if self._was_subscribed.is_set():
            with self._lock:
                self._reconnects += 1
        self._was_subscribed.set()

    @staticmethod
    def _ping(connection: Any) -> float:  # noqa: ANN401 - the same
        connection.send_command("PING", check_health=False)
        return time.monotonic()

    def _handle(self, reply: Sequence[Any]) -> None:
        if reply[0] not in (b"message", b"pmessage"):
            return
        name = reply[-2].decode("utf-8", "replace")
        tenant = event_tenant(name)
        if tenant is None:
            return
        with self._lock:
            if self._waiting >= self._limit and not self._make_room(tenant):
                return
            self._heard[tenant].append(Heard(time.monotonic(), name, reply[-1]))
            self._waiting += 1

    def _make_room(self, tenant: str) -> bool:
        """Drop the newest message of whoever floods; False when that is this tenant's own."""
        flooding = max(self._heard, key=lambda each: len(self._heard[each]))
        self._lost[flooding] += 1
        if flooding == tenant:
            return False
        self._heard[flooding].pop()
        self._waiting -= 1
        return True


def _heard_at(heard: Heard) -> float:
    return heard.at_s
