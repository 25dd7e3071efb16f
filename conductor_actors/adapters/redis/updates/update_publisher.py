"""Publish updates, anomalies and interventions with one script, which checks the fence."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.namespaces import prefix_of
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.key_names import PUBLISHED_KEY, key_of
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.adapters.redis.updates.published_statuses import PublishedStatuses
from conductor_actors.domain.conductor.interventions import Mode
from conductor_actors.domain.identity import prefixed
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.domain.ticks import LIVE_MS
from conductor_actors.ports import ANOMALIES, ANOMALIES_ENDED, UPDATES
from conductor_actors.wire.anomaly_messages import (
    Anomaly,
    anomaly_messages_of,
    encode_anomaly_message,
)
from conductor_actors.wire.intervention_messages import (
    ChannelMessage,
    messages_of,
    status_message_of,
)
from conductor_actors.wire.updates import encode_updates

# Keys: the fence, and the last tick of which updates were published. Arguments: the fence token and
# that tick; then for each channel its name, the number of bodies, and the bodies. Live updates
# matter more than the tick, which a Redis without free memory refuses to store.
PUBLISH_SCRIPT: Final = """
local token = redis.call('GET', KEYS[1])
if token == ARGV[1] then
  redis.pcall('SET', KEYS[2], ARGV[2])
  local next = 3
  while next <= #ARGV do
    local channel, first = ARGV[next], next + 2
    next = first + ARGV[next + 1]
    for index = first, next - 1 do redis.call('PUBLISH', channel, ARGV[index]) end
  end
end
return {token}
"""


NOTHING_PUBLISHED: Final = -1


class RedisUpdatePublisher:
    """An `UpdatePublisher`. A process that lost the ownership publishes nothing.

    A successor computes the ticks since the last checkpoint again. Its updates of those of which
    its predecessor has published some are not published again.
    """

    def __init__(self, url: str, fence: Fence, default_mode: Mode = "SEMI_AUTO") -> None:
        self._client = open_client(url)
        self._fence = fence
        self._statuses = PublishedStatuses(default_mode)
        self._tick_key = key_of(fence.partition, PUBLISHED_KEY)
        self._published_ms: int | None = None  # by a predecessor; None: not known yet
        self._newest_ms = 0

    def publish(self, rows: Sequence[ScoreRow]) -> None:
        """Publish the rows and what changed at them in one round trip, on their tenants' channels.

        Raise `OwnershipLost` if another process is the owner.
        """
        with mapped_errors():
            published_ms = self._read_published_ms()
        self._newest_ms = max(self._newest_ms, published_ms, *(row.at_ms for row in rows))
        by_tenant: defaultdict[str, list[ScoreRow]] = defaultdict(list)
        for row in rows:
            if not 0 <= published_ms - row.at_ms <= LIVE_MS:  # more only after the clock went back
                by_tenant[row.tenant_id].append(row)
        arguments = [self._newest_ms, *self._arguments(by_tenant)]
        for row in rows:
            if row.anomalies:  # after all updates: the user may lack their channels
                arguments += self._anomaly_arguments(row)
        statuses = [*self._statuses.changes(rows)]
        for row in rows:
            if row.anomalies or row.interventions:
                arguments += self._message_arguments(row, messages_of(row))
        for row, state in statuses:
            arguments += self._message_arguments(row, [status_message_of(row, state)])
        with mapped_errors():
            self._fence.run_script(self._client, PUBLISH_SCRIPT, arguments, self._tick_key)
        self._statuses.record(statuses)

    def require_access(self) -> None:
        """Raise `ConfigError` if the user may not run the script. Publish nothing."""
        with mapped_errors():
            keys = self._fence.key, self._tick_key
            pipeline(self._client, [("EVAL", PUBLISH_SCRIPT, len(keys), *keys, "")])

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _read_published_ms(self) -> int:
        if self._published_ms is None:
            [found] = pipeline(self._client, [("GET", self._tick_key)])
            self._published_ms = int(found or NOTHING_PUBLISHED)
        return self._published_ms

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

    def _message_arguments(
        self, row: ScoreRow, messages: Iterable[ChannelMessage]
    ) -> Iterator[Any]:
        for message in messages:
            channel = prefix_of(self._client) + prefixed(row.tenant_id, message.channel)
            yield from (channel, 1, message.body)
