"""One way to reach Redis, and one way to say what went wrong."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, TypeAlias

import redis
import redis.asyncio
from hiredis import pack_command
from redis import exceptions as failures
from redis.asyncio.connection import parse_url as parse_async_url
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

from conductor_actors.adapters.server_urls import has_stray_at, is_name
from conductor_actors.domain.events import DECODERS
from conductor_actors.errors import ConfigError, Unavailable

Command: TypeAlias = tuple[Any, ...]

DEADLINE_S: Final = 4.5  # so that an outage is found within 5 s
SHORT_TIMEOUT_S: Final = 1.0
READ_BYTES: Final = 1 << 18  # at a time from the socket: a read of a thousand events at once

# All a user needs, for every tenant. A pattern to subscribe to must be granted letter by letter.
GRANTS: Final = " ".join(
    (
        "ACL SETUSER conductor on >PASSWORD",
        "%R~sync-events %R~platform.events.* %R~*:sync-events %R~*:platform.events.* ~conductor:*",
        *(f"&{name} &*:{name}" for name in (*DECODERS, "engagement:update", "anomaly:detected")),
        "&conductor:requests",
        "+ping +select +client|setinfo +info +time +scan +type +exists",
        "+multi +exec +discard +watch +unwatch",
        "+xread +xrange +xinfo|stream +xadd +xlen +xdel +xtrim +publish +subscribe +psubscribe",
        "+set +get +incr +del +pexpire +hset +hdel +hget +hscan +rpush",
    )
)

_UNREADABLE: Final = (
    "REDIS_URL is no URL of a Redis, e.g. redis://user:password@host:6379/0 "
    "(in a password write / as %2F, @ as %40, # as %23, ? as %3F)"
)

_ARGUMENTS: Final = ", with args beginning with"  # of AUTH, too, where that is renamed
_OPERATORS: Final = ("unknown command", "DB index is out of range", "invalid DB index")


def open_client(url: str, deadline_s: float = DEADLINE_S) -> redis.Redis:
    """Make a client whose every call ends within the deadline; retries are up to the caller."""
    with _checked(url):
        options = _options(_parsed(url), deadline_s)
        pool = redis.ConnectionPool(retry=Retry(NoBackoff(), 0), **options)
        pool.connection_class(**pool.connection_kwargs)  # raises what else the first call would
    return redis.Redis.from_pool(pool)


def open_async_client(url: str, deadline_s: float = DEADLINE_S) -> redis.asyncio.Redis:
    """Make the same kind of client for an event loop."""
    with _checked(url):
        options = _options(_parsed(url) | parse_async_url(url), deadline_s)
        pool = redis.asyncio.ConnectionPool(retry=AsyncRetry(NoBackoff(), 0), **options)
        pool.connection_class(**pool.connection_kwargs)
    return redis.asyncio.Redis.from_pool(pool)


@contextmanager
def _checked(url: str) -> Iterator[None]:
    """Raise `ConfigError` for a URL that redis-py can't read, or would misread."""
    if has_stray_at(url, ends_at="/?#"):
        raise ConfigError(_UNREADABLE)
    try:
        yield
    except (ValueError, TypeError):  # their texts can hold a part of the password
        raise ConfigError(_UNREADABLE) from None


def _parsed(url: str) -> dict[str, Any]:
    url.encode()  # raises for what the environment holds besides text
    parsed: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    if not is_name(parsed.get("host", "")) or "," in parsed.get("host", ""):
        raise ValueError
    return parsed


def _options(given: dict[str, Any], deadline_s: float) -> dict[str, Any]:
    """Add our options to those of a URL. It may change deadlines, but not how replies look."""
    defaults = {
        "socket_timeout": deadline_s,
        "socket_connect_timeout": deadline_s,
        "socket_read_size": READ_BYTES,
    }
    return {**defaults, **given, "protocol": 2, "decode_responses": False}


def short_timeout(client: redis.Redis) -> redis.Redis:
    """Make a client of the same server for a first question after an outage.

    One that is swallowed must not hold up the return: it is given up after a second.
    """
    pool = client.connection_pool
    overrides = {"socket_timeout": SHORT_TIMEOUT_S, "socket_connect_timeout": SHORT_TIMEOUT_S}
    return redis.Redis.from_pool(
        redis.ConnectionPool(pool.connection_class, **(pool.connection_kwargs | overrides))
    )


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Turn redis-py's errors into ours: try again later, or somebody must change something."""
    try:
        yield
    except (failures.RedisError, OSError) as error:
        raise _ours(error) from None


def _ours(error: Exception) -> ConfigError | Unavailable:
    text = (str(error) or type(error).__name__).partition(_ARGUMENTS)[0]
    match error:
        case failures.AuthenticationError():
            return ConfigError(f"REDIS_URL: Redis refuses the user or password: {text}")
        case failures.ResponseError() if _is_missing_permission(error):
            return ConfigError(f"REDIS_URL: {text}; grant it, as in: {GRANTS}")
        case failures.ClusterCrossSlotError() | failures.AskError():
            return ConfigError(
                "REDIS_URL: this is a Redis Cluster, where no read spans all event names; "
                "name a Redis that is not clustered"
            )
        case failures.ResponseError() if text.startswith("WRONGTYPE"):
            return ConfigError(
                "REDIS_URL: a key is taken by something else; event names, conductor:dead-letters "
                "and conductor:outbox must be streams, conductor:owner and conductor:fence "
                "strings, conductor:checkpoint and conductor:checkpoint:sessions hashes; "
                "rename that key"
            )
        case failures.ResponseError() if text.startswith(_OPERATORS):
            return ConfigError(f"REDIS_URL: {text}")
        case _:
            return Unavailable(f"redis: {text}")


def _is_missing_permission(error: Exception) -> bool:
    """Check for a refused command, and for a transaction aborted because of one."""
    return isinstance(error, failures.NoPermissionError) or "NOPERM" in str(error)


def pipeline(client: redis.Redis, commands: Iterable[Command]) -> Sequence[Any]:
    """Send commands in one round trip and return their replies as parsed by hiredis.

    redis-py's own pipelines and reply callbacks cost more than reading and parsing together.
    """
    with pinned_connection(client) as send:
        return send(commands)


Send: TypeAlias = Callable[[Iterable[Command]], Sequence[Any]]


@contextmanager
def pinned_connection(client: redis.Redis) -> Iterator[Send]:
    """Pin one connection for several round trips, as WATCH requires."""
    connection: Any = client.connection_pool.get_connection()

    def send(commands: Iterable[Command]) -> Sequence[Any]:
        packed = [pack_command(command) for command in commands]
        connection.send_packed_command([b"".join(packed)])
        return [connection.read_response() for _ in packed]

    try:
        with ExitStack() as on_failure:  # replies not read yet must not meet another question
            on_failure.callback(connection.disconnect)
            yield send
            on_failure.pop_all()
    finally:
        client.connection_pool.release(connection)
