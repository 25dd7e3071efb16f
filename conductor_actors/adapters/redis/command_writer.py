"""Add commands to the stream that the collector reads, on an event loop."""

from typing import Any, Final
from uuid import uuid4

from conductor_actors.adapters.redis.connections.client import open_async_client
from conductor_actors.adapters.redis.connections.namespaces import prefix_of
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.domain.identity import COMMANDS, prefixed

COMMAND_TIMEOUT_S: Final = 3.0  # a person waits
MAX_COMMANDS: Final = 10_000  # of each tenant
ANSWER_EXPIRY_S: Final = 3600  # longer than a suggestion is open

# These have the tenant's prefix.
DECIDED_PREFIX: Final = "conductor:decided:"  # the id of the decision follows
TEMPLATES_KEY: Final = "conductor:templates"

# Keys: the answer, the commands. Arguments: the number of commands, this one, the answer, seconds.
_ANSWER_SCRIPT: Final = """
local earlier = redis.call('GET', KEYS[1])
if earlier then return earlier end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', 'data', ARGV[2])
redis.call('SET', KEYS[1], ARGV[3], 'EX', ARGV[4])
return ARGV[3]
"""
# Keys: the templates, the commands. Arguments: the number of commands, this one, the templates.
_TEMPLATES_SCRIPT: Final = """
local id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', 'data', ARGV[2])
redis.call('SET', KEYS[1], ARGV[3])
return id
"""


class RedisCommandWriter:
    """A `CommandWriter` that keeps the newest ten thousand commands of each tenant."""

    def __init__(self, url: str) -> None:
        self._client = open_async_client(url, COMMAND_TIMEOUT_S)
        self._prefix = prefix_of(self._client)

    async def write(self, tenant: str, command: bytes) -> str:
        """Add a command of a tenant; return the id of its entry."""
        with mapped_errors():
            entry_id: Any = await self._client.xadd(
                self._key(tenant, COMMANDS),
                {"data": command},
                maxlen=MAX_COMMANDS,
                approximate=True,
            )
        return str(entry_id, "ascii")

    async def write_answer(
        self, tenant: str, decision_id: str, answer: str, command: bytes
    ) -> str | None:
        """Add the command that answers a suggestion, unless another answer was added before.

        Return None, or the earlier answer. Answers are kept for an hour.
        """
        own = f"{answer} {uuid4().hex}"  # tells a repeated answer from this one
        kept = await self._run(
            _ANSWER_SCRIPT, tenant, f"{DECIDED_PREFIX}{decision_id}", command, own, ANSWER_EXPIRY_S
        )
        return None if kept == own.encode() else str(kept, "utf-8", "replace").partition(" ")[0]

    async def write_templates(self, tenant: str, templates: bytes, command: bytes) -> str:
        """Add the command that replaces a tenant's templates, and store them; return its id."""
        entry_id = await self._run(_TEMPLATES_SCRIPT, tenant, TEMPLATES_KEY, command, templates)
        return str(entry_id, "ascii")

    async def read_templates(self, tenant: str) -> bytes | None:
        """Return a tenant's templates as they were stored last; None if they never were."""
        with mapped_errors():
            stored: Any = await self._client.get(self._key(tenant, TEMPLATES_KEY))
        return None if stored is None else bytes(stored)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose(close_connection_pool=True)

    async def _run(
        self, script: str, tenant: str, name: str, command: bytes, *arguments: bytes | str | int
    ) -> bytes:
        keys = (self._key(tenant, name), self._key(tenant, COMMANDS))
        with mapped_errors():
            reply: Any = await self._client.eval(
                script, 2, *keys, MAX_COMMANDS, command, *arguments
            )
        return bytes(reply)

    def _key(self, tenant: str, name: str) -> str:
        return self._prefix + prefixed(tenant, name)
