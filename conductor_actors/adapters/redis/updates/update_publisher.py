"""Publish the updates of scores with PUBLISH."""

from collections.abc import Sequence
from functools import lru_cache

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.domain.identity import prefixed
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports import UPDATES
from conductor_actors.updates import encode_update, update_of


class RedisUpdatePublisher:
    """An `UpdatePublisher`. A process that lost the ownership publishes nothing."""

    def __init__(self, url: str, fence: Fence) -> None:
        self._client = open_client(url)
        self._fence = fence

    def publish(self, rows: Sequence[ScoreRow]) -> None:
        """Publish the rows in one round trip, each on its tenant's channel.

        Raise `OwnershipLost` if another process is the owner.
        """
        commands = [
            ("PUBLISH", _channel(row.tenant_id), encode_update(update_of(row))) for row in rows
        ]
        with mapped_errors():
            self._fence.transaction(self._client, commands)

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


@lru_cache(1024)
def _channel(tenant_id: str) -> str:
    return prefixed(tenant_id, UPDATES)
