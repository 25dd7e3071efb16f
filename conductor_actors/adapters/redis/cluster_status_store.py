"""Where the status of a cluster is stored: a key that expires once nobody stores it any more."""

from typing import Final

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.key_names import CLUSTER_KEY
from conductor_actors.wire.cluster_status import (
    CLUSTER_STATUS_EXPIRES_S,
    ClusterStatus,
    decode_cluster_status,
    encode_cluster_status,
)

STATUS_TIMEOUT_S: Final = 1.0  # the coordinator has other things to do


class RedisClusterStatus:
    """Stores and reads the status. Calls raise `Unavailable` and `ConfigError`."""

    def __init__(self, url: str, timeout_s: float = STATUS_TIMEOUT_S) -> None:
        self._client = open_client(url, timeout_s)

    def store(self, status: ClusterStatus) -> None:
        """Store the status, for ten seconds."""
        body = encode_cluster_status(status)
        with mapped_errors():
            pipeline(self._client, [("SET", CLUSTER_KEY, body, "EX", CLUSTER_STATUS_EXPIRES_S)])

    def read(self) -> ClusterStatus | None:
        """Return the status; None if there is none, or none that can be read."""
        with mapped_errors():
            [body] = pipeline(self._client, [("GET", CLUSTER_KEY)])
        return None if body is None else decode_cluster_status(body)

    def close(self) -> None:
        """Close every connection."""
        self._client.close()
