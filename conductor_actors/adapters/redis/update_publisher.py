"""Publish the updates of scores with PUBLISH."""

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from conductor_actors.adapters.redis.client import open_client
from conductor_actors.adapters.redis.fence import Fence
from conductor_actors.adapters.redis.redis_errors import mapped_errors
from conductor_actors.domain.identity import prefixed
from conductor_actors.domain.scoring import Contributions, ScoreRow, Signals
from conductor_actors.instants import to_iso
from conductor_actors.ports import UPDATES


class _Update(msgspec.Struct, rename="camel", gc=False):
    timestamp: str
    tenant_id: str
    session_id: str
    event_id: str
    score: float
    category: str
    signals: Signals
    contributions: Contributions


class RedisUpdatePublisher:
    """An `UpdatePublisher`. A process that is not the owner any more publishes nothing."""

    def __init__(self, url: str, fence: Fence) -> None:
        self._client = open_client(url)
        self._fence = fence
        self._encoder = msgspec.json.Encoder()

    def publish(self, rows: Sequence[ScoreRow]) -> None:
        """Publish the rows in one round trip, each on its tenant's channel.

        Raise `OwnershipLost` if another process is the owner.
        """
        commands = [("PUBLISH", _channel(row.tenant_id), self._body(row)) for row in rows]
        with mapped_errors():
            self._fence.transaction(self._client, commands)

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _body(self, row: ScoreRow) -> bytes:
        return self._encoder.encode(
            _Update(
                _timestamp(row.at_ms),
                row.tenant_id,
                row.session_id,
                row.event_id,
                row.score,
                row.category,
                row.signals,
                row.contributions,
            )
        )


@lru_cache(1024)
def _channel(tenant_id: str) -> str:
    return prefixed(tenant_id, UPDATES)


@lru_cache(64)  # all rows of a tick have the same
def _timestamp(at_ms: int) -> str:
    return to_iso(at_ms, "milliseconds")
