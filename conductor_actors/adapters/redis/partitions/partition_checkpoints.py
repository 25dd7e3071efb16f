"""Store the checkpoint of a partition, and drop the blocks that it makes superfluous."""

from collections.abc import Sequence

from conductor_actors.adapters.redis.connections.pipelines import Command
from conductor_actors.adapters.redis.key_names import PARTITION_KEY, key_of
from conductor_actors.adapters.redis.ownership.checkpoint_store import RedisCheckpointStore
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.adapters.redis.partitions.partition_position import decode_position
from conductor_actors.domain.checkpoints.encoding import read_header
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.ports import Checkpoint


class PartitionCheckpoints(RedisCheckpointStore):
    """A `CheckpointStore`. A commit trims the partition's stream in the same transaction."""

    def __init__(self, url: str, fence: Fence, partition: Partition) -> None:
        super().__init__(url, fence, partition)
        self._stream_key = key_of(partition, PARTITION_KEY)

    def _commands(self, checkpoint: Checkpoint) -> Sequence[Command]:
        position = decode_position(read_header(checkpoint.header).position)
        trim: Command = ("XTRIM", self._stream_key, "MINID", position.after)
        return [*super()._commands(checkpoint), trim]
