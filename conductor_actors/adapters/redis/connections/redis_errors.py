"""Raise the service's own errors for those of redis-py, by who must act."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from redis import exceptions as failures

from conductor_actors.adapters.redis.connections.primary import ReplicaRefused
from conductor_actors.adapters.redis.connections.server_version import TOO_OLD
from conductor_actors.adapters.redis.key_names import NAMESPACE_NOTE
from conductor_actors.domain.events import EVENT_CHANNELS
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import ANOMALIES, ANOMALIES_ENDED, UPDATES
from conductor_actors.wire.intervention_messages import CONDUCTOR_CHANNELS

# All that the service needs, for every tenant. Redis compares a pattern to subscribe to with the
# granted pattern letter by letter.
SERVICE_GRANTS: Final = " ".join(
    (
        "ACL SETUSER conductor on >PASSWORD",
        "%R~sync-events %R~platform.events.* %R~platform.sessions.* %R~platform.agent.*",
        "%R~*:sync-events %R~*:platform.events.* %R~*:platform.sessions.* %R~*:platform.agent.*",
        "~conductor:* ~*:conductor:commands ~*:conductor:sent* ~*:conductor:policy*",
        *(f"&{name} &*:{name}" for name in EVENT_CHANNELS),
        *(f"&{name} &*:{name}" for name in (UPDATES, ANOMALIES, ANOMALIES_ENDED)),
        *(f"&{name} &*:{name}" for name in CONDUCTOR_CHANNELS),
        "&conductor:requests",
        "+ping +select +info +time +scan +type +exists +cluster|slots",
        "+multi +exec +discard +watch +unwatch +eval",
        "+xread +xrange +xrevrange +xinfo|stream +xadd +xlen +xdel +xtrim",
        "+publish +subscribe +psubscribe +unsubscribe",
        "+set +get +incr +del +pexpire +hset +hdel +hget +hscan +rpush",
        "+hincrby +hgetall +zadd +zcard +zrem +zremrangebyscore",
    )
)

# What follows repeats the arguments of a command, also those of an AUTH that was renamed.
_ECHOED_ARGUMENTS: Final = ", with args beginning with"

# Errors with which a server replies: the connection is as good as before. Others end it.
ERROR_REPLIES: Final = (failures.ResponseError, failures.BusyLoadingError)

# Beginnings of the errors of a Redis 5 and 6.0.
_HELLO_ERRORS: Final = (
    "unknown command `HELLO`",
    "unknown command 'HELLO'",
    "wrong number of arguments for 'hello' command",
)

# Of a transaction; of a script by Redis 7.2 and Valkey; of a script by older ones.
_REFUSALS: Final = ("NOPERM", "ACL failure in script", "The user executing the script can't")

# Beginnings of errors that last until an operator acts.
_OPERATOR_ERRORS: Final = (
    "unknown command",
    "DB index is out of range",
    "invalid DB index",
    "value is not an integer",
    "SELECT is not allowed in cluster mode",
)


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Raise `ConfigError` if an operator must act, `Unavailable` for any other Redis error."""
    try:
        yield
    except (failures.RedisError, OSError) as error:
        raise _mapped(error) from None


def _mapped(error: Exception) -> ConfigError | Unavailable:
    text = (str(error) or type(error).__name__).partition(_ECHOED_ARGUMENTS)[0]
    match error:
        case failures.AuthenticationError():
            advice = f"REDIS_URL: Redis refuses the user or password: {text}"
        case failures.ResponseError() if _is_missing_permission(error):
            advice = f"REDIS_URL: {text}; grant it, as in: {SERVICE_GRANTS} ({NAMESPACE_NOTE})"
        case ReplicaRefused():
            advice = (
                "REDIS_URL: this Redis is a replica, which gets events late and stores nothing; "
                "name the primary, or Sentinels: redis+sentinel://host:26379,host2/mymaster/0"
            )
        case failures.ClusterCrossSlotError() | failures.AskError():
            advice = (
                "REDIS_URL: this is a Redis Cluster, where no read spans all event names; "
                "name a Redis that is not clustered"
            )
        case failures.ResponseError() if text.startswith("WRONGTYPE"):
            advice = (
                "REDIS_URL: a key is taken by something else; event names, conductor:commands, "
                "conductor:dead-letters, conductor:outbox, conductor:sent and conductor:policy "
                "must be streams, conductor:owner and conductor:fence strings, "
                "conductor:checkpoint, conductor:checkpoint:sessions and conductor:policy:sums "
                "hashes, and conductor:policy:trials a sorted set; rename that key "
                f"({NAMESPACE_NOTE})"
            )
        case failures.ResponseError() if text.startswith(_HELLO_ERRORS):
            advice = f"REDIS_URL: {text}; {TOO_OLD}"
        case failures.ResponseError() if text.startswith(_OPERATOR_ERRORS):
            advice = f"REDIS_URL: {text}"
        case _:
            return Unavailable(f"redis: {text}")
    for address in getattr(error, "__notes__", ())[:1]:
        settings = f"REDIS_URL or CONDUCTOR_PARTITION_REDIS_URLS ({address})"
        advice = advice.replace("REDIS_URL", settings, 1)
    return ConfigError(advice)


def _is_missing_permission(error: Exception) -> bool:
    """Return whether a command was refused, or a transaction or script because of one."""
    text = str(error)
    return isinstance(error, failures.NoPermissionError) or any(
        refusal in text for refusal in _REFUSALS
    )
