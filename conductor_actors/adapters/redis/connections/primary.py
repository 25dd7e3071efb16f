"""Connections to the primary, which are given up when their server is not the primary any more.

After a failover a connection that only reads or listens would stay with the former primary, where
no event arrives. So each connection asks for the role of its server when it is opened, and every
2 s before it sends a command. HELLO has the role, and needs no permission. Where Sentinels are
known, they are asked as well: a server that was paused does not know yet that it was replaced.

In a cluster, the primary is the node that owns the slot of the keys. Commands that reach another
node fail, and the next connection is one to the new owner.
"""

import asyncio
import time
from itertools import count
from math import inf
from typing import Any, Final, Protocol

import redis
import redis.asyncio
from redis.exceptions import AskError, ClusterDownError, MovedError

from conductor_actors.adapters.redis.connections.cluster_nodes import ClusterNodes
from conductor_actors.adapters.redis.connections.sentinels import Address, SentinelGroup
from conductor_actors.adapters.redis.connections.server_version import report_outdated
from conductor_actors.log_events import PrimaryLost, emit

ROLE_CHECK_INTERVAL_S: Final = 2.0
ROLE_COMMAND: Final = ("HELLO",)
# After these, the node that owns a slot may be another one.
NODE_ERRORS: Final = (AskError, ClusterDownError, redis.ConnectionError, redis.TimeoutError)
# After each kilobyte of messages, hiredis moves all that is left of what was read.
SUBSCRIBER_READ_BYTES: Final = 1 << 15


class ReplicaRefused(redis.ConnectionError):
    """The server that a URL names is a replica."""


class PrimaryMoved(redis.ConnectionError):
    """The server of a connection is not the primary any more."""


def require_primary(reply: Any) -> None:  # noqa: ANN401 - as parsed by hiredis, or an error
    """Raise `PrimaryMoved` if a reply to HELLO comes from a replica."""
    if isinstance(reply, list):
        reply = dict(zip(reply[::2], reply[1::2], strict=True))
    if isinstance(reply, dict) and reply.get(b"role") in (b"replica", b"slave"):
        raise PrimaryMoved("this server is a replica, not the primary")


class NodeLocator(Protocol):
    """Where the node of a connection is. It stays the same for the one server of a plain Redis."""

    @property
    def nodes(self) -> ClusterNodes:
        """The nodes that it is one of."""

    @property
    def slot(self) -> int | None:
        """The slot that it owns, if there is one for which it is used."""

    def address(self) -> Address:
        """Return its address now."""


class _Primary:
    """What the kinds of connections have in common: mix it in before one of redis-py's."""

    sentinels: SentinelGroup | None
    node: NodeLocator | None
    is_replica_allowed: bool
    role_due_s = 0.0
    opened = 0
    host: str
    port: int

    def __init__(
        self,
        *,
        sentinels: SentinelGroup | None = None,
        node: NodeLocator | None = None,
        is_replica_allowed: bool = False,
        **options: Any,  # noqa: ANN401
    ) -> None:
        self.sentinels = sentinels
        self.node = node
        self.is_replica_allowed = is_replica_allowed
        super().__init__(**options)

    def check_role(self, reply: Any) -> None:  # noqa: ANN401
        """Raise `PrimaryMoved` if, by a reply to HELLO or by Sentinels, this is not the primary."""
        self.record_role(reply)
        self.require_current()

    def begin(self) -> None:
        """Record that a new connection is being opened."""
        self.opened = next(_opened)
        self.role_due_s = inf  # not before it is authenticated

    def is_role_due(self) -> bool:
        """Check whether to ask for the role."""
        return not self.is_replica_allowed and time.monotonic() >= self.role_due_s

    def record_role(self, reply: Any) -> None:  # noqa: ANN401
        """Record the role in a reply; raise `PrimaryMoved` if it is that of a replica."""
        is_new = self.role_due_s == inf
        self.role_due_s = time.monotonic() + ROLE_CHECK_INTERVAL_S
        if is_new:
            report_outdated(reply)
        try:
            require_primary(reply)
        except PrimaryMoved:
            if not is_new:
                emit(PrimaryLost(reason="role"))
            raise

    def require_current(self) -> None:
        """Raise `PrimaryMoved` if Sentinels know another primary."""
        if self.sentinels is not None and self.sentinels.has_moved((self.host, self.port)):
            emit(PrimaryLost(reason="sentinels"))
            raise PrimaryMoved("this server is not the primary any more, by what Sentinels know")

    def raise_if_moved(self, error: redis.RedisError) -> None:
        """Find the node anew after an error; raise `PrimaryMoved` if keys are on another one.

        Other errors get a note with the address: there can be many servers of partitions.
        """
        if self.node is None:
            return
        error.add_note(f"{self.host}:{self.port}")
        if not isinstance(error, NODE_ERRORS):
            return
        slot = error.slot_id if isinstance(error, AskError) else self.node.slot
        self.node.nodes.forget((self.host, self.port), slot)
        if isinstance(error, MovedError):
            emit(PrimaryLost(reason="moved"))
        if isinstance(error, AskError):  # or MovedError, which is one
            raise PrimaryMoved(f"slot {error.slot_id} moves to {error.host}:{error.port}")


class _SyncPrimary(_Primary):
    def __init__(self, **options: Any) -> None:  # noqa: ANN401
        super().__init__(redis_connect_func=_greet, **options)

    def check_health(self) -> None:
        """Ask for the role if that is due; redis-py calls this before it sends a command."""
        if self.is_role_due():
            _ask_role(self)
            self.require_current()

    def connect(self) -> None:
        """Connect unless it is connected."""
        try:
            super().connect()  # type: ignore[misc]
        except redis.RedisError as error:
            self.raise_if_moved(error)
            raise

    def _connect(self) -> Any:  # noqa: ANN401
        if self.sentinels is not None:
            self.host, self.port = self.sentinels.address()
        if self.node is not None:
            self.host, self.port = self.node.address()
        return super()._connect()  # type: ignore[misc]


class _PrimaryConnection(_SyncPrimary, redis.Connection):
    pass


class _PrimarySSLConnection(_SyncPrimary, redis.SSLConnection):
    pass


class _PrimaryUnixConnection(_SyncPrimary, redis.UnixDomainSocketConnection):
    pass


class _AsyncPrimary(_Primary):
    def __init__(self, **options: Any) -> None:  # noqa: ANN401
        super().__init__(redis_connect_func=_greet_async, **options)

    async def check_health(self) -> None:
        """Ask for the role if that is due; redis-py calls this before it sends a command."""
        if self.is_role_due():
            await _ask_role_async(self)
            await asyncio.to_thread(self.require_current)

    async def _connect(self) -> None:
        if self.sentinels is not None:
            self.host, self.port = await asyncio.to_thread(self.sentinels.address)
        await super()._connect()  # type: ignore[misc]


class _AsyncPrimaryConnection(_AsyncPrimary, redis.asyncio.Connection):
    pass


class _AsyncPrimarySSLConnection(_AsyncPrimary, redis.asyncio.SSLConnection):
    pass


class _AsyncPrimaryUnixConnection(_AsyncPrimary, redis.asyncio.UnixDomainSocketConnection):
    pass


_KINDS: Final = {
    redis.Connection: _PrimaryConnection,
    redis.SSLConnection: _PrimarySSLConnection,
    redis.UnixDomainSocketConnection: _PrimaryUnixConnection,
    redis.asyncio.Connection: _AsyncPrimaryConnection,
    redis.asyncio.SSLConnection: _AsyncPrimarySSLConnection,
    redis.asyncio.UnixDomainSocketConnection: _AsyncPrimaryUnixConnection,
}


def primary_kind(kind: Any) -> Any:  # noqa: ANN401 - classes that have no common base
    """Return the class of connections to the primary that is a subclass of one of redis-py's."""
    return _KINDS[kind]


_opened: Final = count(1)


def subscriber_connection(pool: Any) -> Any:  # noqa: ANN401
    """Return a new connection on which commands are allowed after a subscription, as by RESP3."""
    options = {"protocol": 3, "socket_read_size": SUBSCRIBER_READ_BYTES}
    connection = pool.connection_class(**(pool.connection_kwargs | options))
    parser = connection._parser  # noqa: SLF001
    is_async = isinstance(connection, _AsyncPrimary)
    # redis-py's own handler looks for other kinds, and makes a log text of every message.
    parser.handle_push_response = _pass_message_async if is_async else _pass_message
    return connection


def _pass_message(message: Any) -> Any:  # noqa: ANN401
    return message


async def _pass_message_async(message: Any) -> Any:  # noqa: ANN401
    return message


def _greet(connection: Any) -> None:  # noqa: ANN401
    connection.begin()
    connection.on_connect()
    if not connection.is_replica_allowed:
        try:
            _ask_role(connection)
        except PrimaryMoved as moved:
            raise _refusal(connection, moved) from None


async def _greet_async(connection: Any) -> None:  # noqa: ANN401
    connection.begin()
    await connection.on_connect()
    if not connection.is_replica_allowed:
        try:
            await _ask_role_async(connection)
        except PrimaryMoved as moved:
            raise _refusal(connection, moved) from None


def _refusal(connection: _Primary, moved: PrimaryMoved) -> redis.ConnectionError:
    """Return why a new connection is refused.

    Sentinels, or nodes of a cluster, may name a server before it is promoted.
    """
    is_in_cluster = connection.node is not None and connection.node.nodes.is_cluster
    return moved if connection.sentinels or is_in_cluster else ReplicaRefused(str(moved))


def _ask_role(connection: Any) -> None:  # noqa: ANN401
    connection.send_command(*ROLE_COMMAND, check_health=False)
    try:
        reply = connection.read_response()
    except redis.ResponseError as error:  # a proxy that does not know the command
        reply = error
    connection.record_role(reply)


async def _ask_role_async(connection: Any) -> None:  # noqa: ANN401
    await connection.send_command(*ROLE_COMMAND, check_health=False)
    try:
        reply = await connection.read_response()
    except redis.ResponseError as error:
        reply = error
    connection.record_role(reply)
