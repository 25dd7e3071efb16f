"""Names of the service's own keys and channels in Redis.

A partition has keys of its own, under the same names with its hash tag.
"""

from typing import Final

from conductor_actors.domain.partitions.partition import Partition

# Of messages that name keys.
NAMESPACE_NOTE: Final = "with CONDUCTOR_NAMESPACE=x, every name begins with x:"

OWNER_KEY: Final = "conductor:owner"
FENCE_KEY: Final = "conductor:fence"
PARTITION_COUNT_KEY: Final = "conductor:partitions"  # not there while one collector has them all
CHECKPOINT_KEY: Final = "conductor:checkpoint"
CHECKPOINT_SESSIONS_KEY: Final = "conductor:checkpoint:sessions"
PUBLISHED_KEY: Final = "conductor:published"  # the last tick of which updates were published
OUTBOX_KEY: Final = "conductor:outbox"
TITLE_OUTBOX_KEY: Final = "conductor:outbox:titles"
DEAD_LETTERS_KEY: Final = "conductor:dead-letters"
SENT_KEY: Final = "conductor:sent"  # this and the next have the tenant's prefix
POLICY_KEY: Final = "conductor:policy"
PARTITION_KEY: Final = "conductor:part"  # with its tag, the stream of a partition's blocks
REWIND_KEY: Final = "conductor:rewind"
SPLITTER_KEY: Final = "conductor:splitter"
CLUSTER_KEY: Final = "conductor:cluster"
LOG_KEY: Final = "conductor:log"
REQUEST_CHANNEL: Final = "conductor:requests"
ANSWER_PREFIX: Final = "conductor:answer:"


def key_of(partition: Partition | None, key: str) -> str:
    """Return a partition's own key; a collector that has all sessions has the plain one."""
    return key if partition is None else f"{key}:{partition.tag}"
