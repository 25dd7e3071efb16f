"""Names of the service's own keys and channels in Redis.

A shard among several has keys of its own, under the same names with a suffix.
"""

from typing import Final

from conductor_actors.domain.shards import Shard

# Of messages that name keys.
NAMESPACE_NOTE: Final = "with CONDUCTOR_NAMESPACE=x, every name begins with x:"

OWNER_KEY: Final = "conductor:owner"
FENCE_KEY: Final = "conductor:fence"
SHARD_COUNT_KEY: Final = "conductor:shards"  # not there while one collector has all sessions
CHECKPOINT_KEY: Final = "conductor:checkpoint"
CHECKPOINT_SESSIONS_KEY: Final = "conductor:checkpoint:sessions"
OUTBOX_KEY: Final = "conductor:outbox"
TITLE_OUTBOX_KEY: Final = "conductor:outbox:titles"
DEAD_LETTERS_KEY: Final = "conductor:dead-letters"
SENT_KEY: Final = "conductor:sent"  # this and the next have the tenant's prefix
POLICY_KEY: Final = "conductor:policy"
LOG_KEY: Final = "conductor:log"
REQUEST_CHANNEL: Final = "conductor:requests"
ANSWER_PREFIX: Final = "conductor:answer:"


def key_of(shard: Shard, key: str) -> str:
    """Return a shard's own key; a collector without others has the plain one."""
    return key if shard.of == 1 else f"{key}:{shard.number}-of-{shard.of}"
