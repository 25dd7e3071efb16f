"""Write blocks to the streams of their partitions."""

import time
from collections.abc import Sequence
from typing import Final

from conductor_actors.adapters.redis.connections.pipelines import Command
from conductor_actors.adapters.redis.key_names import PARTITION_KEY, key_of
from conductor_actors.adapters.redis.partitions.partition_servers import PartitionServers
from conductor_actors.domain.partitions.blocks import encode_block
from conductor_actors.domain.partitions.partition import all_partitions
from conductor_actors.domain.partitions.splitting import NumberedBlock
from conductor_actors.ports import Clock

# Of a partition's stream, about. Its collector trims it at each checkpoint, so that there are so
# many only while it has no owner, who then asks for what was trimmed.
MAX_BLOCKS: Final = 10_000
BLOCK_FIELD: Final = b"b"


class BlockWriter:
    """Writes to the Redis servers that store the partitions: of n, partition p is on number p % n.

    The blocks of a server are written in one transaction; on a node of a cluster each is written by
    itself. Writing a block again does no harm.
    """

    def __init__(self, urls: Sequence[str], partitions: int, clock: Clock = time.monotonic) -> None:
        self._servers = PartitionServers(urls, partitions, "redis partitions", clock)
        self._keys = [key_of(each, PARTITION_KEY) for each in all_partitions(partitions)]

    def write(self, blocks: Sequence[NumberedBlock]) -> Sequence[NumberedBlock]:
        """Write blocks; return those that were not, because their server is away.

        A server that did not answer is called again after a pause, so that others need not wait.
        """
        commands: dict[int, list[Command]] = {}
        for number, block in blocks:
            key, data = self._keys[number], encode_block(block)
            xadd = ("XADD", key, "MAXLEN", "~", MAX_BLOCKS, "*", BLOCK_FIELD, data)
            commands.setdefault(number, []).append(xadd)
        written = self._servers.run(commands)
        if len(written) == len(commands):
            return ()
        return [each for each in blocks if each[0] not in written]

    def close(self) -> None:
        """Close every connection."""
        self._servers.close()
