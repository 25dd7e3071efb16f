"""Open clients of a Redis. Every call has a timeout, and no client retries."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio.connection import parse_url as parse_async_url
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

from conductor_actors.adapters.redis.redis_errors import mapped_errors
from conductor_actors.adapters.server_urls import has_stray_at, is_name
from conductor_actors.errors import ConfigError

REDIS_TIMEOUT_S: Final = 4.5  # so that an outage is found within 5 s
PROBE_TIMEOUT_S: Final = 1.0
SOCKET_READ_BYTES: Final = 1 << 18  # one read of the socket has room for a thousand events

# The format of replies, and no PING before commands: its error would be that of the command.
_OURS: Final = {"protocol": 2, "decode_responses": False, "health_check_interval": 0}

_INVALID_REDIS_URL: Final = (
    "REDIS_URL is no URL of a Redis, e.g. redis://user:password@host:6379/0 "
    "(in a password write / as %2F, @ as %40, # as %23, ? as %3F)"
)


def open_client(url: str, timeout_s: float = REDIS_TIMEOUT_S) -> redis.Redis:
    """Return a client that raises an error once a call has taken `timeout_s`.

    Raise `ConfigError` for a URL that can't be read.
    """
    with _checked_url(url):
        options = _with_defaults(_parsed(url), timeout_s)
        pool = redis.ConnectionPool(retry=Retry(NoBackoff(), 0), **options)
        pool.connection_class(**pool.connection_kwargs)  # raises what the first call would raise
    return redis.Redis.from_pool(pool)


def open_async_client(url: str, timeout_s: float = REDIS_TIMEOUT_S) -> redis.asyncio.Redis:
    """Return the same kind of client for an event loop."""
    with _checked_url(url):
        options = _with_defaults(_parsed(url) | parse_async_url(url), timeout_s)
        pool = redis.asyncio.ConnectionPool(retry=AsyncRetry(NoBackoff(), 0), **options)
        pool.connection_class(**pool.connection_kwargs)
    return redis.asyncio.Redis.from_pool(pool)


def probe_client(client: redis.Redis) -> redis.Redis:
    """Return a client of the same server whose calls time out after a second.

    Use it for the first call after an outage: while the server still swallows calls, each of them
    delays the recovery by a second only.
    """
    pool = client.connection_pool
    timeouts = {"socket_timeout": PROBE_TIMEOUT_S, "socket_connect_timeout": PROBE_TIMEOUT_S}
    return redis.Redis.from_pool(
        redis.ConnectionPool(pool.connection_class, **(pool.connection_kwargs | timeouts))
    )


def require_reply(client: redis.Redis) -> None:
    """Send a PING; raise `Unavailable` unless there is a reply. An error that is one will do."""
    with mapped_errors(), suppress(redis.ResponseError):
        client.ping()


@contextmanager
def _checked_url(url: str) -> Iterator[None]:
    """Raise `ConfigError` for a URL that redis-py can't read, or would misread."""
    if has_stray_at(url, ends_at="/?#"):
        raise ConfigError(_INVALID_REDIS_URL)
    try:
        yield
    except (ValueError, TypeError):  # their texts can hold a part of the password
        raise ConfigError(_INVALID_REDIS_URL) from None


def _parsed(url: str) -> dict[str, Any]:
    url.encode()  # raises an error for bytes in the environment that are not text
    parsed: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    if not is_name(parsed.get("host", "")) or "," in parsed.get("host", ""):
        raise ValueError
    return parsed


def _with_defaults(url_options: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """Return the options of a URL and our own. A URL may set timeouts, but not what `_OURS` has."""
    defaults = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "socket_read_size": SOCKET_READ_BYTES,
    }
    return {**defaults, **url_options, **_OURS}
