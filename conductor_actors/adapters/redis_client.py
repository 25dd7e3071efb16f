"""One way to reach Redis, and one way to say what went wrong."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import redis
from hiredis import pack_command
from redis import exceptions as failures
from redis.backoff import NoBackoff
from redis.retry import Retry

from conductor_actors.errors import ConfigError, Unavailable

Command: TypeAlias = tuple[Any, ...]

DEADLINE_S: Final = 5.0
READ_BYTES: Final = 1 << 18  # at a time from the socket: a read of a thousand events at once

GRANTS: Final = (
    "+@connection +time +scan +xread +xrange +xadd +publish +subscribe +psubscribe "
    "+set +get +pttl +evalsha +script|load"
)


def open_client(url: str, deadline_s: float = DEADLINE_S) -> redis.Redis:
    """Make a client whose every call ends within the deadline; retries are up to the caller."""
    try:
        return redis.Redis.from_url(
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=deadline_s,
            socket_connect_timeout=deadline_s,
            socket_read_size=READ_BYTES,
        )
    except ValueError as error:
        raise ConfigError(f"REDIS_URL: {error}, e.g. redis://user:password@host:6379/0") from None


@contextmanager
def translated() -> Iterator[None]:
    """Turn redis-py's errors into ours: try again later, or somebody must grant something."""
    try:
        yield
    except failures.AuthenticationError as error:
        raise ConfigError(f"REDIS_URL: Redis refuses the user or password: {error}") from None
    except failures.NoPermissionError as error:
        raise ConfigError(f"REDIS_URL: {error}; grant the user: {GRANTS}") from None
    except failures.ResponseError as error:
        if str(error).startswith("WRONGTYPE"):
            raise ConfigError(
                "REDIS_URL: an event name is taken by a key that is no stream; rename it or set "
                "CONDUCTOR_TRANSPORT=pubsub"
            ) from None
        raise Unavailable(f"redis: {error}") from None
    except (failures.RedisError, OSError) as error:
        raise Unavailable(f"redis: {str(error) or type(error).__name__}") from None


def exchange(client: redis.Redis, commands: Iterable[Command]) -> Sequence[Any]:
    """Send commands in one round trip and return their replies as parsed by hiredis.

    redis-py's own pipelines and reply callbacks cost more than reading and parsing together.
    """
    packed = [pack_command(command) for command in commands]
    connection: Any = client.connection_pool.get_connection()
    try:
        connection.send_packed_command([b"".join(packed)])
        return [connection.read_response() for _ in packed]
    except BaseException:
        connection.disconnect()  # replies that were not read must not meet another question
        raise
    finally:
        client.connection_pool.release(connection)
