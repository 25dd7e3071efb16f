"""Receive published updates, anomalies, and what conductors do, on an event loop."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from conductor_actors.adapters.redis.connections.client import open_async_client
from conductor_actors.adapters.redis.connections.liveness import Deadlines, Liveness
from conductor_actors.adapters.redis.connections.namespaces import prefix_of, remove_prefix
from conductor_actors.adapters.redis.connections.primary import ROLE_COMMAND, subscriber_connection
from conductor_actors.adapters.redis.connections.redis_errors import ERROR_REPLIES, mapped_errors
from conductor_actors.adapters.redis.updates import update_channels
from conductor_actors.adapters.redis.updates.update_channels import UPDATE_DEADLINES
from conductor_actors.errors import Unavailable
from conductor_actors.ports import PublishedMessage

SUBSCRIBER_TIMEOUT_S: Final = 5.0
MESSAGES_PER_YIELD: Final = 64  # before other tasks of the event loop run


class RedisUpdateSubscriber:
    """An `UpdateSubscriber` with one connection."""

    def __init__(self, url: str, deadlines: Deadlines = UPDATE_DEADLINES) -> None:
        self._client = open_async_client(url, SUBSCRIBER_TIMEOUT_S)
        self._prefix = prefix_of(self._client)
        self._deadlines = deadlines

    async def listen(
        self, subscribed: Callable[[], None], receive: Callable[[PublishedMessage], None]
    ) -> None:
        """Call `subscribed` once, then `receive` for each message, until cancelled."""
        with mapped_errors():
            async with self._open_subscription() as connection:
                subscribed()
                await self._receive(connection, receive)

    @asynccontextmanager
    async def _open_subscription(self) -> AsyncIterator[Any]:
        names = update_channels.CHANNEL_NAMES
        subscriptions = update_channels.subscriptions_with_session_events(*names)
        connection = subscriber_connection(self._client.connection_pool)
        try:
            await connection.connect()
            commands = subscriptions.commands(self._prefix)
            await connection.send_packed_command(connection.pack_commands(commands))
            for _ in range(subscriptions.replies()):
                await connection.read_response(push_request=True)
            yield connection
        finally:
            await connection.disconnect(nowait=True)

    async def _receive(
        self,
        connection: Any,  # noqa: ANN401 - redis-py has no type
        receive: Callable[[PublishedMessage], None],
    ) -> None:
        clock = time.monotonic
        liveness = Liveness.new(self._deadlines, clock())
        received = 0
        while True:
            reply = await _next_reply(connection, liveness.wait_s(clock()))
            if reply is not None:
                liveness = liveness.after_reply(clock())
            if isinstance(reply, dict):
                await asyncio.to_thread(connection.check_role, reply)
            elif reply and (message := self._message(reply)):
                receive(message)
            liveness = await _request_if_due(connection, liveness, clock())
            received += 1
            if received % MESSAGES_PER_YIELD == 0:
                await asyncio.sleep(0)

    def _message(self, reply: Sequence[Any]) -> PublishedMessage | None:
        return update_channels.published_message(remove_prefix(reply, self._prefix))


async def _next_reply(connection: Any, wait_s: float) -> Any:  # noqa: ANN401
    """Return the next reply, an empty one for an error; None if there is none in time."""
    try:
        return await connection.read_response(
            timeout=wait_s, disconnect_on_error=False, push_request=True
        )
    except ERROR_REPLIES:  # a reply, too
        return ()


async def _request_if_due(connection: Any, liveness: Liveness, now_s: float) -> Liveness:  # noqa: ANN401
    """Send HELLO if it is due; raise `Unavailable` if the last one had no reply in time."""
    if liveness.is_dead(now_s):
        raise Unavailable("redis: pub/sub does not answer")
    if not liveness.is_request_due(now_s):
        return liveness
    await connection.send_command(*ROLE_COMMAND, check_health=False)
    return liveness.after_request(now_s)
