"""Publish updates and anomalies with one script, which checks the fence."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.namespaces import prefix_of
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.anomaly_messages import (
    Anomaly,
    anomaly_messages_of,
    encode_anomaly_message,
)
from conductor_actors.domain.identity import prefixed
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports import ANOMALIES, ANOMALIES_ENDED, UPDATES
from conductor_actors.updates import encode_updates

# Arguments: the fence token; then for each channel its name, the number of bodies, and the bodies.
PUBLISH_SCRIPT: Final = """
local token = redis.call('GET', KEYS[1])
if token == ARGV[1] then
  local next = 2
  while next <= #ARGV do
    local channel, first = ARGV[next], next + 2
    next = first + ARGV[next + 1]
    for index = first, next - 1 do redis.call('PUBLISH', channel, ARGV[index]) end
  end
end
return {token}
"""


class RedisUpdatePublisher:
    """An `UpdatePublisher`. A process that lost the ownership publishes nothing."""

    def __init__(self, url: str, fence: Fence) -> None:
        self._client = open_client(url)
        self._fence = fence

    def publish(self, rows: Sequence[ScoreRow]) -> None:
        """Publish the rows and their anomalies in one round trip, on their tenants' channels.

        Raise `OwnershipLost` if another process is the owner.
        """
        by_tenant: defaultdict[str, list[ScoreRow]] = defaultdict(list)
        for row in rows:
            by_tenant[row.tenant_id].append(row)
        arguments = self._arguments(by_tenant)
        for row in rows:
            if row.anomalies:  # after all updates: the user may lack their channels
                arguments += self._anomaly_arguments(row)
        with mapped_errors():
            self._fence.run_script(self._client, PUBLISH_SCRIPT, arguments)

    def require_access(self) -> None:
        """Raise `ConfigError` if the user may not run the script. Publish nothing."""
        with mapped_errors():
            pipeline(self._client, [("EVAL", PUBLISH_SCRIPT, 1, self._fence.key, "")])

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _arguments(self, by_tenant: Mapping[str, Sequence[ScoreRow]]) -> list[Any]:
        prefix, arguments = prefix_of(self._client), list[Any]()
        for tenant_id, rows in by_tenant.items():
            arguments += (prefix + prefixed(tenant_id, UPDATES), len(rows))
            arguments += encode_updates(rows)
        return arguments

    def _anomaly_arguments(self, row: ScoreRow) -> Iterator[Any]:
        for message in anomaly_messages_of(row):
            name = ANOMALIES if isinstance(message, Anomaly) else ANOMALIES_ENDED
            channel = prefix_of(self._client) + prefixed(row.tenant_id, name)
            yield from (channel, 1, encode_anomaly_message(message))
