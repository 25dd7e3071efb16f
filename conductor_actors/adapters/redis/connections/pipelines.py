"""Send commands to Redis in one round trip.

Commands are packed and replies parsed by hiredis: redis-py's own pipelines and reply callbacks
cost more than reading and parsing together.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import redis
from hiredis import pack_command
from redis.exceptions import RedisError, ResponseError, WatchError

from conductor_actors.adapters.redis.connections.namespaces import add_prefix, prefix_of

Command: TypeAlias = tuple[Any, ...]


class RedisConnection:
    """One connection to Redis: WATCH holds for transactions on the same connection only.

    `prefix` is put before every key and channel of a command.
    """

    def __init__(self, connection: Any, prefix: str = "") -> None:  # noqa: ANN401 - redis-py's kinds
        self._connection = connection
        self._prefix = prefix

    @property
    def opened(self) -> int:
        """A number that is another one after a reconnection."""
        return int(self._connection.opened)

    def require_current(self) -> None:
        """Raise `PrimaryMoved` if Sentinels know another primary than this server."""
        self._connection.require_current()

    def record_role(self, reply: Any) -> None:  # noqa: ANN401
        """Record the role in a reply to HELLO; raise `PrimaryMoved` if it is that of a replica."""
        self._connection.record_role(reply)

    def pipeline(self, commands: Iterable[Command]) -> Sequence[Any]:
        """Send commands in one round trip; return their replies, or raise the first error."""
        packed = [pack_command(add_prefix(command, self._prefix)) for command in commands]
        self._connection.send_packed_command([b"".join(packed)])
        return [self._connection.read_response() for _ in packed]

    def transaction(
        self, commands: Iterable[Command], *, raise_on_error: bool = True
    ) -> Sequence[Any]:
        """Run commands in one transaction; return their replies.

        Raise `WatchError` if a watched key has changed: no command was run. Redis runs the other
        commands of a transaction even if one fails; the first error is raised, or with
        `raise_on_error=False` errors stand among the replies.
        """
        replies: Sequence[Any] | None = self.pipeline([("MULTI",), *commands, ("EXEC",)])[-1]
        if replies is None:
            raise WatchError("a watched key has changed")
        if raise_on_error:
            for reply in replies:
                if isinstance(reply, ResponseError):
                    raise reply
        return replies


@contextmanager
def connection_of(client: redis.Redis) -> Iterator[RedisConnection]:
    """Lend a connection of the client's pool; it is disconnected if the block raises."""
    connection: Any = client.connection_pool.get_connection()
    try:
        with ExitStack() as on_failure:  # unread replies must not answer later commands
            on_failure.callback(connection.disconnect)
            yield RedisConnection(connection, prefix_of(client))
            on_failure.pop_all()
    except RedisError as error:
        connection.raise_if_moved(error)
        raise
    finally:
        client.connection_pool.release(connection)


def pipeline(client: redis.Redis, commands: Iterable[Command]) -> Sequence[Any]:
    """Send commands in one round trip; return their replies, or raise the first error."""
    with connection_of(client) as connection:
        return connection.pipeline(commands)


def transaction(
    client: redis.Redis, commands: Iterable[Command], *, raise_on_error: bool = True
) -> Sequence[Any]:
    """Run commands in one transaction; return their replies, as `RedisConnection` does."""
    with connection_of(client) as connection:
        return connection.transaction(commands, raise_on_error=raise_on_error)


def server_time_ms(reply: Sequence[bytes | int]) -> int:
    """Return the milliseconds since 1970 in a reply to TIME."""
    seconds, micros = reply
    return int(seconds) * 1000 + int(micros) // 1000
