"""Store the policies of tenants: the sums of their trials, and each version of them as an entry.

Sums are integers, which Redis adds exactly in any order. Several collectors may add to the policy
of one tenant.
"""

from collections.abc import Sequence
from typing import Final

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.namespaces import prefix_of
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.key_names import POLICY_KEY
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.domain.identity import prefixed
from conductor_actors.ports.conductor_port import PolicyChange, PolicyTrial

POLICY_VERSIONS: Final = 10_000  # so that a replay decides by those of its time
TRIALS_REMEMBERED_MS: Final = 30 * 86_400_000

# Arguments: the fence token, the stream, the length of the stream, and for how long trials are
# remembered; then for each trial its id, its cell, when it was measured, and what it adds to the
# sums `before` to `after_squared`.
#
# Lua has no integers: sums stay text, as Redis keeps them. A version that was not added to the
# stream, because Redis refused that, is added by the next call.
LEARN_SCRIPT: Final = """
local token = redis.call('GET', KEYS[1])
if token ~= ARGV[1] then return {token} end
local stream = ARGV[2]
local sums, trials = stream .. ':sums', stream .. ':trials'
local names = {'trials', 'before', 'after', 'before_squared', 'before_after', 'after_squared'}
local horizon = redis.call('TIME')[1] * 1000 - ARGV[4]

local added = 0
for first = 5, #ARGV, 8 do
  local id, cell, measured = ARGV[first], ARGV[first + 1], ARGV[first + 2]
  if tonumber(measured) > horizon and redis.call('ZADD', trials, 'NX', measured, id) == 1 then
    added = added + 1
    redis.call('HINCRBY', sums, cell .. ':trials', 1)
    for number = 2, #names do
      redis.call('HINCRBY', sums, cell .. ':' .. names[number], ARGV[first + 1 + number])
    end
  end
end
if added > 0 then redis.call('HINCRBY', sums, 'version', 1) end
redis.call('ZREMRANGEBYSCORE', trials, '-inf', string.format('%.0f', horizon))

local fields, by_cell, cells = redis.call('HGETALL', sums), {}, {}
local value_of = {}
for index = 1, #fields, 2 do
  local field = fields[index]
  value_of[field] = fields[index + 1]
  local cell = string.match(field, '^([A-Z_]+:[A-Z_]+):trials$')
  if cell then cells[#cells + 1] = cell end
end
local version = value_of['version'] or '0'
if version ~= (value_of['published'] or '0') then
  table.sort(cells)
  for index, cell in ipairs(cells) do
    local values = {}
    for number, name in ipairs(names) do values[number] = value_of[cell .. ':' .. name] or '0' end
    by_cell[index] = '"' .. cell .. '":[' .. table.concat(values, ',') .. ']'
  end
  local policy = '{"version":' .. version .. ',"cells":{' .. table.concat(by_cell, ',') .. '}}'
  redis.call('XADD', stream, 'MAXLEN', '~', ARGV[3], '*', 'data', policy)
  redis.call('HSET', sums, 'published', version)
end
return {token, added, version}
"""


class RedisPolicyStore:
    """A `PolicyStore`. A process that lost the ownership adds nothing."""

    def __init__(self, url: str, fence: Fence) -> None:
        self._client = open_client(url)
        self._fence = fence

    def add_trials(self, tenant_id: str, trials: Sequence[PolicyTrial]) -> PolicyChange:
        """Add trials to a tenant's policy; those that it has already are not added again."""
        stream = prefix_of(self._client) + prefixed(tenant_id, POLICY_KEY)
        arguments: list[object] = [stream, POLICY_VERSIONS, TRIALS_REMEMBERED_MS]
        for trial in trials:
            before, after = trial.before, trial.after
            arguments += (trial.id, trial.cell, trial.measured_ms)
            arguments += (before, after, before * before, before * after, after * after)
        with mapped_errors():
            added, version = self._fence.run_script(self._client, LEARN_SCRIPT, arguments)
        return PolicyChange(added, int(version))

    def close(self) -> None:
        """Close every connection."""
        self._client.close()
