"""What readers of partitions ask for: that the splitter goes back to a block that they miss."""

import time
from collections.abc import Sequence

from conductor_actors.adapters.redis.events.entry_ids import ENTRY_ID, parse_id
from conductor_actors.adapters.redis.key_names import REWIND_KEY, key_of
from conductor_actors.adapters.redis.partitions.partition_servers import PartitionServers
from conductor_actors.domain.merging import Frontier
from conductor_actors.domain.partitions.partition import all_partitions
from conductor_actors.ports import Clock


class RewindRequests:
    """Requests in the Redis servers that store the partitions, as `BlockWriter` has them."""

    def __init__(self, urls: Sequence[str], partitions: int, clock: Clock = time.monotonic) -> None:
        self._servers = PartitionServers(urls, partitions, "redis rewinds", clock)
        self._keys = [key_of(each, REWIND_KEY) for each in all_partitions(partitions)]

    def pop(self) -> dict[int, Frontier]:
        """Remove and return the requests, by partition: where its missing block begins.

        Those of a server that is away are left for a later call. Readers repeat their requests.
        """
        gets = {number: [("GET", key)] for number, key in enumerate(self._keys)}
        replies = self._servers.run(gets)
        values = {number: value for number, [value] in replies.items() if value is not None}
        self._servers.run({number: [("DEL", self._keys[number])] for number in values})
        moments = {number: _moment(value) for number, value in values.items()}
        return {number: moment for number, moment in moments.items() if moment is not None}

    def close(self) -> None:
        """Close every connection."""
        self._servers.close()


def _moment(value: bytes) -> Frontier | None:
    """Return the moment that a request names; None for anything else."""
    text = value.decode("ascii", "replace")
    return parse_id(value) if ENTRY_ID.fullmatch(text) else None
