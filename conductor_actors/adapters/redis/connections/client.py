"""Open clients of a Redis. Every call has a timeout, and no client retries."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from inspect import signature
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio.connection import parse_url as parse_async_url
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection, parse_url
from redis.retry import Retry

from conductor_actors.adapters.redis.connections.cluster_nodes import (
    ClusterNodes,
    NodeAddress,
    SlotOwner,
)
from conductor_actors.adapters.redis.connections.namespaces import set_prefix, split_namespace
from conductor_actors.adapters.redis.connections.primary import primary_kind
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.connections.sentinels import (
    Address,
    SentinelGroup,
    SentinelUrl,
    parse_sentinel_url,
    sentinel_group,
)
from conductor_actors.adapters.server_urls import has_stray_at, is_name
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.errors import ConfigError

REDIS_TIMEOUT_S: Final = 4.5  # so that an outage is found within 5 s
PROBE_TIMEOUT_S: Final = 1.0
SOCKET_READ_BYTES: Final = 1 << 18  # one read of the socket has room for a thousand events

# CLIENT SETINFO needs a grant, which a Redis before 7.2 refuses to read.
_NO_CLIENT_INFO: Final[dict[str, None]] = (
    {"driver_info": None}
    if "driver_info" in signature(AbstractConnection.__init__).parameters
    else {"lib_name": None, "lib_version": None}  # redis-py 6 and 7
)
# The format of replies, and no PING before commands: its error would be that of the command.
_OURS: Final = {
    "protocol": 2,
    "decode_responses": False,
    "health_check_interval": 0,
    **_NO_CLIENT_INFO,
}

SENTINEL_CREDENTIALS: Final = ("sentinel_username", "sentinel_password")

_INVALID_REDIS_URL: Final = (
    "REDIS_URL is no URL of a Redis, e.g. redis://user:password@host:6379/0, or with Sentinels "
    "redis+sentinel://user:password@host:26379,host2:26379/mymaster/0 "
    "(in a password write / as %2F, @ as %40, # as %23, ? as %3F)"
)


def open_client(
    url: str,
    timeout_s: float = REDIS_TIMEOUT_S,
    *,
    partition: Partition | None = None,
    is_replica_allowed: bool = False,
) -> redis.Redis:
    """Return a client that raises an error once a call has taken `timeout_s`.

    Raise `ConfigError` for a URL that can't be read. Unless `is_replica_allowed`, the calls raise
    it if the server is a replica.

    In a Redis Cluster, the client is one of the node that owns the keys of `partition`. Use it by
    `pipeline` and the like: once another node owns them, they raise an error, and connect to that
    node the next time.
    """
    options: dict[str, Any] = {"is_replica_allowed": is_replica_allowed}
    nodes = None if partition is None else cluster_nodes(url)
    if nodes is not None and partition is not None:
        options["node"] = SlotOwner.of(nodes, partition.tag)
    return _open(url, timeout_s, options)


def open_node_client(url: str, address: Address, timeout_s: float = REDIS_TIMEOUT_S) -> redis.Redis:
    """Return the same kind of client for one node of a cluster, which the URL need not name."""
    nodes = cluster_nodes(url)
    options = {} if nodes is None else {"node": NodeAddress(nodes, address)}
    return _open(url, timeout_s, options)


def cluster_nodes(url: str) -> ClusterNodes | None:
    """Return the nodes of the cluster that a URL names one of, or that one server.

    Return None for what is never in a cluster: a server with Sentinels, or with a Unix socket.
    """
    return _nodes_of(split_namespace(url)[0])


@lru_cache(64)
def _nodes_of(url: str) -> ClusterNodes | None:
    """Return the nodes that all clients of one URL share."""
    with _checked_url(url):
        options = _with_defaults(_parsed(url), PROBE_TIMEOUT_S)
    if options.get("sentinels") or "path" in options:
        return None
    retry = Retry(NoBackoff(), 0)
    return ClusterNodes({**options, "retry": retry, "is_replica_allowed": True})


def _open(url: str, timeout_s: float, own_options: dict[str, Any]) -> redis.Redis:
    url, prefix = split_namespace(url)
    with _checked_url(url):
        options = _with_defaults(_parsed(url), timeout_s) | own_options
        pool = redis.ConnectionPool(retry=Retry(NoBackoff(), 0), **options)
        pool.connection_class(**pool.connection_kwargs)  # raises what the first call would raise
    client = redis.Redis.from_pool(pool)
    set_prefix(client, prefix)
    return client


def open_async_client(url: str, timeout_s: float = REDIS_TIMEOUT_S) -> redis.asyncio.Redis:
    """Return the same kind of client for an event loop."""
    url, prefix = split_namespace(url)
    with _checked_url(url):
        options = _with_defaults(_parsed(url, parse_async_url, redis.asyncio.Connection), timeout_s)
        pool = redis.asyncio.ConnectionPool(retry=AsyncRetry(NoBackoff(), 0), **options)
        pool.connection_class(**pool.connection_kwargs)
    client = redis.asyncio.Redis.from_pool(pool)
    set_prefix(client, prefix)
    return client


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


def _parsed(
    url: str, parse: Callable[[str], Any] = parse_url, kind: type = redis.Connection
) -> dict[str, Any]:
    """Return the options of a URL, and the class of its connections."""
    url.encode()  # raises an error for bytes in the environment that are not text
    sentinel_url = parse_sentinel_url(url)
    plain_url = sentinel_url.plain_url if sentinel_url else url
    parsed: dict[str, Any] = parse_url(plain_url) | parse(plain_url)  # type: ignore[no-untyped-call]
    if not is_name(parsed.get("host", "")) or "," in parsed.get("host", ""):
        raise ValueError
    parsed["connection_class"] = primary_kind(parsed.get("connection_class", kind))
    if sentinel_url is not None:
        parsed["sentinels"] = _sentinels(sentinel_url, parsed)
    return parsed


def _sentinels(url: SentinelUrl, parsed: dict[str, Any]) -> SentinelGroup:
    """Return the Sentinels of a URL; their options are removed from `parsed`."""
    if not all(is_name(host) for host, _ in url.hosts):
        raise ValueError
    options = {name: parsed[name] for name in parsed if name.startswith("ssl")}
    if issubclass(parsed["connection_class"], (redis.SSLConnection, redis.asyncio.SSLConnection)):
        options["ssl"] = True
    for name in SENTINEL_CREDENTIALS:
        if name in parsed:
            options[name.removeprefix("sentinel_")] = parsed.pop(name)
    return sentinel_group(tuple(url.hosts), url.name, tuple(options.items()))


def _with_defaults(url_options: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """Return the options of a URL and our own. A URL may set timeouts, but not what `_OURS` has."""
    defaults = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "socket_read_size": SOCKET_READ_BYTES,
    }
    return {**defaults, **url_options, **_OURS}


def database_number(client: redis.Redis) -> int:
    """Return the number of the database that a client uses."""
    return int(client.connection_pool.connection_kwargs.get("db") or 0)
