"""Hear what the collector announces in Redis, whichever collector it is.

redis-py does not notice a dead pub/sub socket by itself, so this keeps a deadline of its own: a
PING when it is quiet, and a reply to it in time.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import random
from typing import Any, Final

from redis import exceptions as failures
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from conductor_actors.dashboard.reach import Reach
from conductor_actors.domain import identity
from conductor_actors.errors import ConfigError

UPDATES: Final = "engagement:update"
ANOMALIES: Final = "anomaly:detected"
_CHANNELS: Final = (UPDATES, ANOMALIES)
_PATTERNS: Final = tuple(f"*:{channel}" for channel in _CHANNELS)

CONNECTED_WITHIN_S: Final = 5.0
QUIET_S: Final = 1.0
PONG_WITHIN_S: Final = 4.0
RECONNECT_WITHIN_S: Final = 2.0
TURN: Final = 64  # messages in a row before others have their turn


class Feed:
    """Calls `hear(tenant, channel, body)` for each message, `resumed()` after each outage."""

    def __init__(
        self,
        url: str,
        hear: Callable[[str, str, bytes], None],
        resumed: Callable[[], None],
        reach: Reach,
    ) -> None:
        self._hear = hear
        self._resumed = resumed
        self._reach = reach
        self._was_subscribed = False
        try:
            self._client = Redis.from_url(
                url,
                protocol=2,
                retry=Retry(NoBackoff(), 0),
                socket_timeout=CONNECTED_WITHIN_S,
                socket_connect_timeout=CONNECTED_WITHIN_S,
            )
        except ValueError as error:
            raise ConfigError(
                f"REDIS_URL: {error}, e.g. redis://user:password@host:6379/0"
            ) from None

    async def run(self) -> None:
        """Listen until cancelled, reconnecting within two seconds after each outage."""
        while True:
            try:
                async with self._subscribed() as connection:
                    await self._listen(connection)
            except (failures.RedisError, OSError) as error:
                self._reach.is_away(str(error) or type(error).__name__)
            await asyncio.sleep(random() * RECONNECT_WITHIN_S)  # noqa: S311 - jitter

    @asynccontextmanager
    async def _subscribed(self) -> AsyncIterator[Any]:
        pool: Any = self._client.connection_pool
        connection = await pool.get_connection()
        try:
            packed = connection.pack_commands(
                [("SUBSCRIBE", *_CHANNELS), ("PSUBSCRIBE", *_PATTERNS)]
            )
            await connection.send_packed_command(packed)
            for _ in _CHANNELS + _PATTERNS:
                await connection.read_response()
            self._reach.is_there()
            if self._was_subscribed:
                self._resumed()
            self._was_subscribed = True
            yield connection
        finally:
            await connection.disconnect(nowait=True)
            await pool.release(connection)

    async def _listen(self, connection: Any) -> None:  # noqa: ANN401 - redis-py's kinds
        """Read messages; raise when a PING has no reply in time."""
        is_asked = False
        heard = 0
        while True:
            wait_s = PONG_WITHIN_S if is_asked else QUIET_S
            reply = await connection.read_response(timeout=wait_s, disconnect_on_error=False)
            if reply is not None:
                is_asked = False
                self._take(reply)
            elif is_asked:
                raise failures.TimeoutError(f"no reply within {QUIET_S + PONG_WITHIN_S:g} s")
            else:
                is_asked = True
                await connection.send_command("PING", check_health=False)
            heard += 1
            if heard % TURN == 0:
                await asyncio.sleep(0)

    def _take(self, reply: Sequence[Any]) -> None:
        if reply[0] not in (b"message", b"pmessage"):
            return
        name = split(reply[-2].decode("utf-8", "replace"))
        if name is not None:
            self._hear(*name, reply[-1])


def split(channel: str) -> tuple[str, str] | None:
    """Take a channel apart into tenant and name; None if it is none of a tenant's."""
    if channel in _CHANNELS:
        return identity.DEFAULT_TENANT, channel
    name = identity.split(channel)
    return name if name is not None and name[1] in _CHANNELS else None
