"""Add commands to the stream that the collector reads, on an event loop."""

from typing import Any, Final

from conductor_actors.adapters.redis.connections.client import open_async_client
from conductor_actors.adapters.redis.connections.namespaces import prefix_of
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.domain.identity import COMMANDS, prefixed

COMMAND_TIMEOUT_S: Final = 3.0  # a person waits
MAX_COMMANDS: Final = 10_000  # of each tenant


class RedisCommandWriter:
    """A `CommandWriter` that keeps the newest ten thousand commands of each tenant."""

    def __init__(self, url: str) -> None:
        self._client = open_async_client(url, COMMAND_TIMEOUT_S)
        self._prefix = prefix_of(self._client)

    async def write(self, tenant: str, command: bytes) -> str:
        """Add a command of a tenant; return the id of its entry."""
        key = self._prefix + prefixed(tenant, COMMANDS)
        with mapped_errors():
            entry_id: Any = await self._client.xadd(
                key, {"data": command}, maxlen=MAX_COMMANDS, approximate=True
            )
        return str(entry_id, "ascii")

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose(close_connection_pool=True)
