"""Namespaces: a prefix of every key and channel, by which several services share one Redis.

Pub/sub knows no database number, so a database of its own does not separate a service from others.
The namespace is the last parameter of a URL: whatever connects by the URL uses it. Names get and
lose the prefix where commands are sent and replies are read; no other code knows of it.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import redis
import redis.asyncio

_PARAMETER: Final = re.compile(r"[?&]conductor_namespace=([^?&#]+)\Z")
_PREFIX: Final = "conductor_key_prefix"

# Where the keys and channels of a command are: everywhere, in the first place, or nowhere.
_ALL_KEYS: Final = frozenset(("DEL", "EXISTS", "WATCH", "SUBSCRIBE", "PSUBSCRIBE", "UNSUBSCRIBE"))
_ONE_KEY: Final = frozenset(
    (
        *("GET", "SET", "INCR", "PEXPIRE", "TYPE", "RPUSH", "PUBLISH"),
        *("HGET", "HSET", "HDEL", "HSCAN", "HINCRBY", "HGETALL"),
        *("ZADD", "ZCARD", "ZREM", "ZREMRANGEBYSCORE"),
        *("XADD", "XDEL", "XTRIM", "XLEN", "XRANGE", "XREVRANGE"),
    )
)
_NO_KEYS: Final = frozenset(
    ("MULTI", "EXEC", "DISCARD", "UNWATCH", "TIME", "PING", "HELLO", "INFO", "SCAN", "CLUSTER")
)


def with_namespace(url: str, namespace: str) -> str:
    """Return the URL of a Redis with a namespace, in place of the one that it may have."""
    bare, _ = split_namespace(url)
    if not namespace:
        return bare
    return f"{bare}{'&' if '?' in bare else '?'}conductor_namespace={namespace}"


def split_namespace(url: str) -> tuple[str, str]:
    """Return a URL without its namespace, and the prefix of names, which can be empty."""
    found = _PARAMETER.search(url)
    return (url, "") if found is None else (url[: found.start()], f"{found[1]}:")


def set_prefix(client: redis.Redis | redis.asyncio.Redis, prefix: str) -> None:
    """Set the prefix of a client's keys and channels."""
    vars(client)[_PREFIX] = prefix


def prefix_of(client: redis.Redis | redis.asyncio.Redis) -> str:
    """Return the prefix of a client's keys and channels; empty without a namespace."""
    return str(vars(client).get(_PREFIX, ""))


def add_prefix(command: tuple[Any, ...], prefix: str) -> tuple[Any, ...]:
    """Return a command with the prefix before each of its keys, channels and patterns.

    Raise `LookupError` for a command of which it is not known where these are.
    """
    if not prefix:
        return command
    name = command[0]
    if name in _ONE_KEY:
        return name, prefix + command[1], *command[2:]
    if name in _ALL_KEYS:
        return name, *(prefix + key for key in command[1:])
    if name in _NO_KEYS:
        return command
    begin, end = _key_range(command)
    keys = (prefix + key for key in command[begin:end])
    return *command[:begin], *keys, *command[end:]


def remove_prefix(reply: Sequence[Any], prefix: str) -> Sequence[Any]:
    """Return a published message without the prefix of its channel."""
    if not prefix:
        return reply
    *kind, channel, body = reply
    return *kind, channel.removeprefix(prefix.encode()), body


def _key_range(command: tuple[Any, ...]) -> tuple[int, int]:
    match command[0]:
        case "XREAD":
            begin = command.index("STREAMS") + 1
            return begin, begin + (len(command) - begin) // 2
        case "EVAL":  # what its script does with other arguments is for its caller to prefix
            return 3, 3 + command[2]
        case "XINFO":
            return 2, 3
        case "BLPOP":
            return 1, len(command) - 1
        case _:
            raise LookupError(f"the keys of {command[0]} are not known")
