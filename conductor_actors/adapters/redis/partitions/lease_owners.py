"""Read which partitions have an owner, and whether there is a splitter, from their leases."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import pipeline, server_time_ms
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.key_names import OWNER_KEY, PARTITION_COUNT_KEY, key_of
from conductor_actors.adapters.redis.partitions.partition_servers import PartitionServers
from conductor_actors.domain.partitions.partition import all_partitions

OWNERS_TIMEOUT_S: Final = 2.0


class FoundOwners(NamedTuple):
    """Whether each partition has an owner; None if its server does not answer. Redis' time."""

    partitions: Mapping[int, bool | None]
    is_split: bool
    now_ms: int


class LeaseOwners:
    """Reads the leases. Calls raise `Unavailable` and `ConfigError`."""

    def __init__(self, url: str, partition_urls: Sequence[str]) -> None:
        self._client = open_client(url, OWNERS_TIMEOUT_S)
        self._partition_urls = partition_urls
        self._servers: PartitionServers | None = None
        self._count = 0

    def read(self) -> FoundOwners | None:
        """Return the owners; None while one collector has all sessions."""
        with mapped_errors():
            gets = [("GET", PARTITION_COUNT_KEY), ("EXISTS", OWNER_KEY), ("TIME",)]
            count, is_split, time = pipeline(self._client, gets)
        if count is None:
            return None
        partitions = all_partitions(int(count))
        replies = self._servers_of(int(count)).run(
            {each.number: [("EXISTS", key_of(each, OWNER_KEY))] for each in partitions}
        )
        owned = {
            each.number: bool(replies[each.number][0]) if each.number in replies else None
            for each in partitions
        }
        return FoundOwners(owned, bool(is_split), server_time_ms(time))

    def close(self) -> None:
        """Close every connection."""
        self._client.close()
        if self._servers is not None:
            self._servers.close()

    def _servers_of(self, count: int) -> PartitionServers:
        if self._servers is None or count != self._count:
            if self._servers is not None:
                self._servers.close()
            self._servers = PartitionServers(self._partition_urls, count, "redis partitions")
            self._count = count
        return self._servers
