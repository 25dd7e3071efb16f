"""The fence token of a partition in a second Redis, so that a former owner is refused there, too.

The lease of a partition is in the partition's Redis, and so is what its owner keeps. Updates, dead
letters and actions go to the Redis of the events. Where the two differ, a new owner stores its
token in both before it publishes anything.
"""

from contextlib import suppress
from typing import Final

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.key_names import FENCE_KEY, key_of
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.errors import OwnershipLost, Unavailable

# Argument: a token. Return the newest. A former owner, which may run this late, lowers nothing.
RAISE_SCRIPT: Final = """
local newest = redis.call('GET', KEYS[1])
if newest and tonumber(newest) >= tonumber(ARGV[1]) then return newest end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
"""


class FenceMirror:
    """The newest token that an owner of a partition has stored in this Redis."""

    def __init__(self, url: str, partition: Partition) -> None:
        self._client = open_client(url)
        self._key = key_of(partition, FENCE_KEY)

    def newest(self) -> int:
        """Return the newest token, 0 if there is none."""
        with mapped_errors():
            [token] = pipeline(self._client, [("GET", self._key)])
        return int(token or 0)

    def store(self, token: bytes) -> None:
        """Store a token; raise `OwnershipLost` if there is a newer one."""
        with mapped_errors():
            [newest] = pipeline(self._client, [("EVAL", RAISE_SCRIPT, 1, self._key, token)])
        if newest != token:
            raise OwnershipLost("another conductor_actors owns these events")

    def restore(self, token: bytes) -> None:
        """Store a token again, in case this Redis has lost it; do nothing while it is away."""
        with suppress(Unavailable):
            self.store(token)

    def close(self) -> None:
        """Close every connection."""
        self._client.close()
