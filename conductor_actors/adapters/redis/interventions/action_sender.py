"""Send actions to the platform: each once, in time, and within the limit of its event.

A script checks all this and sends, so nothing comes between. What it sends is also an entry of
`conductor:sent`, which the collector reads like an event: the session learns from it that, and
when, its action was sent.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.namespaces import prefix_of
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.key_names import SENT_KEY
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.domain.identity import prefixed
from conductor_actors.ports.conductor_port import OutgoingAction, SendResult
from conductor_actors.wire.intervention_messages import ACTIONS_CHANNEL, encode_action

MAX_ACTIONS_PER_HOUR: Final = 100  # of an event
SENT_STREAM_LENGTH: Final = 100_000
REMEMBERED_S: Final = 86_400
EVENT_LIMIT: Final = "event_limit"

# Arguments: the fence token, the stream, the channel, the limit, the length of the stream, and for
# how long an id is remembered; then for each action its id, the keys of the id and of its event,
# the time until which it may be sent, its message, its entry, and its entry if it is refused.
#
# An entry is never deleted again: that would look as if one was lost before it was read. So it is
# added last, after a trim that fails if it can't be added. What fails before the message is sent is
# undone. The id of an entry is the time of sending, which can be ahead of the clock.
SEND_SCRIPT: Final = """
local token = redis.call('GET', KEYS[1])
if token ~= ARGV[1] then return {token} end
local stream, channel, limit, length, remembered = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

redis.call('XTRIM', stream, 'MAXLEN', '~', length)
local info = redis.pcall('XINFO', 'STREAM', stream)
local at = now
for index = 1, #info, 2 do
  if info[index] == 'last-generated-id' then
    at = math.max(now, tonumber(string.match(info[index + 1], '^%d+')))
  end
end
local entry_id = string.format('%.0f-*', at)

local function send(id, sent, hour, send_by, message, body, refused_body)
  if redis.call('EXISTS', sent) == 1 then return 'SENT_BEFORE' end
  if at >= send_by then return 'LATE' end
  redis.call('ZREMRANGEBYSCORE', hour, '-inf', string.format('%.0f', now - 3600000))
  local is_refused = redis.call('ZCARD', hour) >= tonumber(limit)
  local is_done, failure = pcall(function()
    redis.call('SET', sent, entry_id, 'EX', remembered)
    if is_refused then return end
    redis.call('ZADD', hour, string.format('%.0f', now), id)
    redis.call('PEXPIRE', hour, 3600000)
    redis.call('PUBLISH', channel, message)
  end)
  if is_done then
    redis.call('XADD', stream, entry_id, 'data', is_refused and refused_body or body)
    return is_refused and 'REFUSED' or 'SENT'
  end
  redis.pcall('DEL', sent)
  redis.pcall('ZREM', hour, id)
  if type(failure) == 'table' then return failure end
  return redis.error_reply(failure)  -- servers differ in what an error is
end

local results = {token}
for first = 7, #ARGV, 7 do
  local result = send(ARGV[first], ARGV[first + 1], ARGV[first + 2], tonumber(ARGV[first + 3]),
    ARGV[first + 4], ARGV[first + 5], ARGV[first + 6])
  if type(result) == 'table' then return result end
  results[#results + 1] = result
end
return results
"""


class RedisActionSender:
    """An `ActionSender`. A process that lost the ownership sends nothing."""

    def __init__(self, url: str, fence: Fence) -> None:
        self._client = open_client(url)
        self._fence = fence

    def send(self, actions: Sequence[OutgoingAction]) -> Sequence[SendResult]:
        """Send actions of one tenant in one round trip; return what became of each."""
        if not actions:
            return ()
        tenant_id = actions[0].tenant_id
        stream, channel = (self._name(tenant_id, name) for name in (SENT_KEY, ACTIONS_CHANNEL))
        limits = MAX_ACTIONS_PER_HOUR, SENT_STREAM_LENGTH, REMEMBERED_S
        arguments = [stream, channel, *limits]
        for action in actions:
            arguments += self._arguments(stream, action)
        with mapped_errors():
            results = self._fence.run_script(self._client, SEND_SCRIPT, arguments)
        return [SendResult[result.decode()] for result in results]

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _name(self, tenant_id: str, name: str) -> str:
        return prefix_of(self._client) + prefixed(tenant_id, name)

    def _arguments(self, stream: str, action: OutgoingAction) -> Iterator[Any]:
        record = action.record
        yield from (record.id, f"{stream}:{record.id}", f"{stream}:hour:{record.event_id}")
        yield record.send_by_ms
        yield encode_action(action.session_id, record)
        yield from (_entry(action, refused) for refused in (None, EVENT_LIMIT))


def _entry(action: OutgoingAction, refused: str | None) -> bytes:
    record = action.record
    return msgspec.json.encode(
        {
            "interventionId": record.id,
            "sessionId": action.session_id,
            "eventId": record.event_id,
            "type": record.type,
            "refused": refused,
        }
    )
