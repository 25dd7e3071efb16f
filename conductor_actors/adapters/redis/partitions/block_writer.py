"""Write blocks to the streams of their partitions."""

import time
from collections.abc import Sequence
from typing import Final

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import Command, transaction
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.key_names import PARTITION_KEY, key_of
from conductor_actors.domain.blocks import encode_block
from conductor_actors.domain.partitions import all_partitions
from conductor_actors.domain.splitting import NumberedBlock
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.outages import Backoff
from conductor_actors.ports import Clock

# Of a partition's stream, about. Its collector trims it at each checkpoint, so that there are so
# many only while it has no owner, who then asks for what was trimmed.
MAX_BLOCKS: Final = 10_000
BLOCK_FIELD: Final = b"b"
PARTITIONS_MAX_BACKOFF_S: Final = 2.0


class BlockWriter:
    """Writes to the Redis servers that store the partitions: of n, partition p is on number p % n.

    The blocks of a server are written in one transaction. Writing a block again does no harm.
    """

    def __init__(self, urls: Sequence[str], partitions: int, clock: Clock = time.monotonic) -> None:
        self._servers = [_Server(url, number, clock) for number, url in enumerate(urls)]
        self._keys = [key_of(each, PARTITION_KEY) for each in all_partitions(partitions)]

    def write(self, blocks: Sequence[NumberedBlock]) -> Sequence[NumberedBlock]:
        """Write blocks; return those that were not, because their server is away.

        A server that did not answer is called again after a pause, so that others need not wait.
        """
        commands: list[list[Command]] = [[] for _ in self._servers]
        for number, block in blocks:
            key, data = self._keys[number], encode_block(block)
            xadd = ("XADD", key, "MAXLEN", "~", MAX_BLOCKS, "*", BLOCK_FIELD, data)
            commands[number % len(commands)].append(xadd)
        written = {
            number
            for number, server in enumerate(self._servers)
            if commands[number] and server.run(commands[number])
        }
        if len(written) == sum(map(bool, commands)):
            return ()
        return [each for each in blocks if each[0] % len(commands) not in written]

    def close(self) -> None:
        """Close every connection."""
        for server in self._servers:
            server.close()


class _Server:
    """A Redis that stores some of the partitions."""

    def __init__(self, url: str, number: int, clock: Clock) -> None:
        self._client = open_client(url)
        self._backoff = Backoff(f"redis partitions {number}", PARTITIONS_MAX_BACKOFF_S, clock)
        self.close = self._client.close

    def run(self, commands: Sequence[Command]) -> bool:
        """Run commands in one transaction; return False if the server is away."""
        if not self._backoff.is_over():
            return False
        try:
            with self._backoff.attempt(), mapped_errors():
                transaction(self._client, commands)
        except (Unavailable, ConfigError):
            return False
        return True
