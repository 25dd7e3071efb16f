"""The number of partitions, which is fixed at the first start."""

from contextlib import closing

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.key_names import NAMESPACE_NOTE, PARTITION_COUNT_KEY
from conductor_actors.errors import ConfigError


def fix_partition_count(url: str, count: int) -> None:
    """Store the number of partitions; raise `ConfigError` if there is another one already."""
    with closing(open_client(url)) as client, mapped_errors():
        pipeline(client, [("SET", PARTITION_COUNT_KEY, count, "NX")])
    found = partition_count(url)
    if found != count:
        raise ConfigError(
            f"CONDUCTOR_PARTITIONS={count}: the sessions are in {found} partitions since the first "
            f"start; set CONDUCTOR_PARTITIONS={found}, or delete every key conductor:* "
            f"({NAMESPACE_NOTE}) while nothing runs, and begin anew"
        )


def partition_count(url: str) -> int | None:
    """Return the number of partitions; None while one collector has all sessions."""
    with closing(open_client(url)) as client, mapped_errors():
        [count] = pipeline(client, [("GET", PARTITION_COUNT_KEY)])
    return None if count is None else int(count)
