"""A `CommandWriter` in memory."""

import asyncio

from conductor_actors.errors import Unavailable


class MemoryCommands:
    """Keeps what is written, by tenant. Without `is_open` set, writes wait."""

    def __init__(self) -> None:
        self.written: list[tuple[str, bytes]] = []
        self._answers: dict[tuple[str, str], str] = {}
        self._templates: dict[str, bytes] = {}
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

    async def write_answer(
        self, tenant: str, decision_id: str, answer: str, command: bytes
    ) -> str | None:
        """Keep the first answer."""
        earlier = self._answers.get((tenant, decision_id))
        if earlier is None:
            await self.write(tenant, command)
            self._answers[tenant, decision_id] = answer
        return earlier

    async def write_templates(self, tenant: str, templates: bytes, command: bytes) -> str:
        """Keep the command and the templates."""
        entry_id = await self.write(tenant, command)
        self._templates[tenant] = templates
        return entry_id

    async def read_templates(self, tenant: str) -> bytes | None:
        """Return what was kept."""
        if self.is_away:
            raise Unavailable("redis: away")
        return self._templates.get(tenant)

    async def close(self) -> None:
        """Note the call."""
        self.is_closed = True
