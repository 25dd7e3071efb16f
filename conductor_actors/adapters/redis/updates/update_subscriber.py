"""Receive published updates, anomalies, and what conductors do, on an event loop."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import redis

from conductor_actors.adapters.redis.connections.buffered_replies import pop_buffered_replies
from conductor_actors.adapters.redis.connections.client import open_async_client
from conductor_actors.adapters.redis.connections.liveness import Deadlines, Liveness
from conductor_actors.adapters.redis.connections.namespaces import (
    add_prefix,
    prefix_of,
    remove_prefix,
)
from conductor_actors.adapters.redis.connections.pipelines import Command
from conductor_actors.adapters.redis.connections.primary import ROLE_COMMAND, subscriber_connection
from conductor_actors.adapters.redis.connections.redis_errors import ERROR_REPLIES, mapped_errors
from conductor_actors.adapters.redis.events.subscription import is_message
from conductor_actors.adapters.redis.updates import update_channels
from conductor_actors.adapters.redis.updates.update_channels import UPDATE_DEADLINES
from conductor_actors.domain.identity import DEFAULT_TENANT, prefixed
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import PublishedMessage, SubscriptionHandlers

SUBSCRIBER_TIMEOUT_S: Final = 5.0
MESSAGES_PER_YIELD: Final = 64  # before other tasks of the event loop run

_OTHER_COMMAND: Final = ""  # is no tenant


class RedisUpdateSubscriber:
    """An `UpdateSubscriber` with one connection, which subscribes to each tenant by itself.

    What conductors do is received of all tenants, by two patterns, which ACLs must name literally;
    it is little. That of other tenants is dropped.
    """

    def __init__(self, url: str, deadlines: Deadlines = UPDATE_DEADLINES) -> None:
        self._client = open_async_client(url, SUBSCRIBER_TIMEOUT_S)
        self._prefix = prefix_of(self._client)
        self._deadlines = deadlines
        self._connection: Any = None
        self._sending = asyncio.Lock()
        self._requested = deque[str]()  # the tenants of commands whose replies are to come
        self._tenants: dict[str, asyncio.Event] = {}  # set when an attempt to subscribe has ended

    async def listen(self, handlers: SubscriptionHandlers) -> None:
        """Receive messages until cancelled."""
        with mapped_errors():
            async with self._open_connection() as connection:
                handlers.connected()
                for tenant in list(self._tenants):
                    await self._send_subscription(tenant)
                if DEFAULT_TENANT not in self._tenants:
                    await self._send_unsubscription(DEFAULT_TENANT)
                await self._receive(connection, handlers)

    async def subscribe(self, tenant: str) -> None:
        """Receive a tenant's messages; return when the server has confirmed that, or can't."""
        attempt = self._tenants[tenant] = asyncio.Event()
        if self._connection is None:
            return
        with suppress(redis.RedisError, OSError):  # `listen` raises it
            await self._send_subscription(tenant)
            await attempt.wait()

    async def unsubscribe(self, tenant: str) -> None:
        """Receive a tenant's messages no more."""
        attempt = self._tenants.pop(tenant, None)
        if attempt is not None and self._connection is not None:
            attempt.set()
            with suppress(redis.RedisError, OSError):
                await self._send_unsubscription(tenant)

    @asynccontextmanager
    async def _open_connection(self) -> AsyncIterator[Any]:
        """Open a connection that is subscribed to the default tenant: that shows missing grants."""
        subscriptions = update_channels.subscriptions_with_session_events()
        channels = update_channels.subscriptions_to_tenant(
            DEFAULT_TENANT, *update_channels.CHANNEL_NAMES
        )
        opening = subscriptions._replace(channels=channels.channels)
        connection = subscriber_connection(self._client.connection_pool)
        try:
            await connection.connect()
            commands = opening.commands(self._prefix)
            await connection.send_packed_command(connection.pack_commands(commands))
            for _ in range(opening.replies()):
                await connection.read_response(push_request=True)
            connection.socket_timeout = None  # a timed write of redis-py may lose a cancellation
            self._requested.clear()
            self._connection = connection
            yield connection
        finally:
            self._connection = None
            for attempt in self._tenants.values():
                attempt.set()
            await connection.disconnect(nowait=True)

    async def _receive(self, connection: Any, handlers: SubscriptionHandlers) -> None:  # noqa: ANN401 - redis-py has no type
        clock = time.monotonic
        liveness = Liveness.new(self._deadlines, clock())
        while True:
            replies = await _next_replies(connection, liveness.wait_s(clock()))
            if replies:
                liveness = liveness.after_reply(clock())
                if messages := [*self._messages(replies)]:
                    handlers.receive(messages)
                for reply in replies:
                    if not (isinstance(reply, list) and is_message(reply)):
                        await self._handle_reply(reply, handlers)
            liveness = await self._request_if_due(liveness, clock())
            if len(replies) >= MESSAGES_PER_YIELD // 2:  # more may be buffered: no read waits
                await asyncio.sleep(0)

    def _messages(self, replies: Iterable[Any]) -> Iterable[PublishedMessage]:
        """Return the messages of subscribed tenants among replies."""
        prefix, tenants = self._prefix, self._tenants
        for reply in replies:
            if isinstance(reply, list) and is_message(reply):
                bare = remove_prefix(reply, prefix) if prefix else reply
                message = update_channels.published_message(bare)
                if message is not None and message.tenant in tenants:
                    yield message

    async def _handle_reply(self, reply: object, handlers: SubscriptionHandlers) -> None:
        """Handle the reply to a command. The replies have the order of the commands."""
        if isinstance(reply, dict):
            self._next_requested()
            await asyncio.to_thread(self._connection.check_role, reply)
        elif isinstance(reply, list):
            if self._is_last_of_command(reply):
                self._end_attempt(self._next_requested())
        elif isinstance(reply, Exception) and not isinstance(reply, ERROR_REPLIES):
            raise reply
        elif isinstance(reply, Exception):
            tenant = self._next_requested()
            if tenant in self._tenants:
                handlers.refused(tenant, _advice(reply))
            self._end_attempt(tenant)

    def _is_last_of_command(self, reply: Sequence[Any]) -> bool:
        """Check whether a reply is the last to a command: each of its channels has one."""
        channel = reply[1].removeprefix(self._prefix.encode()) if reply[1] else b""
        return bool(channel.endswith(update_channels.CHANNEL_NAMES[-1].encode()))

    def _next_requested(self) -> str:
        return self._requested.popleft() if self._requested else _OTHER_COMMAND

    def _end_attempt(self, tenant: str) -> None:
        if (attempt := self._tenants.get(tenant)) is not None:
            attempt.set()

    async def _request_if_due(self, liveness: Liveness, now_s: float) -> Liveness:
        """Send HELLO if it is due; raise `Unavailable` if the last one had no reply in time."""
        if liveness.is_dead(now_s):
            raise Unavailable("redis: pub/sub does not answer")
        if not liveness.is_request_due(now_s):
            return liveness
        async with self._sending:
            await self._send(ROLE_COMMAND, _OTHER_COMMAND)
        return liveness.after_request(now_s)

    async def _send_subscription(self, tenant: str) -> None:
        async with self._sending:
            await self._send(self._command("SUBSCRIBE", tenant), tenant)

    async def _send_unsubscription(self, tenant: str) -> None:
        async with self._sending:
            if tenant not in self._tenants:  # else it has been subscribed to meanwhile
                await self._send(self._command("UNSUBSCRIBE", tenant), _OTHER_COMMAND)

    async def _send(self, command: Command, tenant: str) -> None:
        if self._connection is not None:
            self._requested.append(tenant)
            await self._connection.send_command(*command, check_health=False)

    def _command(self, name: str, tenant: str) -> Command:
        channels = [prefixed(tenant, each) for each in update_channels.CHANNEL_NAMES]
        return add_prefix((name, *channels), self._prefix)


async def _next_replies(connection: Any, wait_s: float) -> list[Any]:  # noqa: ANN401
    """Return the next replies, with the errors among them; none if there is none in time."""
    try:
        reply = await connection.read_response(
            timeout=wait_s, disconnect_on_error=False, push_request=True
        )
    except ERROR_REPLIES as error:  # a reply, too
        reply = error
    if reply is None:
        return []
    return [reply, *pop_buffered_replies(connection, MESSAGES_PER_YIELD - 1)]


def _advice(error: Exception) -> ConfigError | Unavailable:
    """Return the error that says what to grant."""
    try:
        with mapped_errors():
            raise error
    except (ConfigError, Unavailable) as mapped:
        return mapped
