"""A `CommandWriter` in memory."""

import asyncio

from conductor_actors.errors import Unavailable


class MemoryCommands:
    """Keeps what is written, by tenant. Without `is_open` set, writes wait."""

    def __init__(self) -> None:
        self.written: list[tuple[str, bytes]] = []
        self.is_away = False
        self.is_closed = False
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def write(self, tenant: str, command: bytes) -> str:
        """Keep a command."""
        await self.is_open.wait()
        if self.is_away:
            raise Unavailable("redis: away")
        self.written.append((tenant, command))
        return f"{len(self.written)}-0"

    async def close(self) -> None:
        """Note the call."""
        self.is_closed = True
