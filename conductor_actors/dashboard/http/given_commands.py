"""Commands of people, written to Redis across its outages."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from conductor_actors.dashboard.access.auth import Denied
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import ConfigError, Overloaded, Unavailable
from conductor_actors.log_events import CommandGiven, emit
from conductor_actors.outages import Outage
from conductor_actors.ports import CommandWriter

T = TypeVar("T")

MAX_CONCURRENT_COMMANDS: Final = 16  # each has a connection to Redis


class GivenCommands:
    """Writes commands. More than 16 at once raise `Overloaded`.

    Every call raises `Denied` with 503 while Redis is away. The log has who was commanded, and
    never what is in the command.
    """

    def __init__(self, writer: CommandWriter, outage: Outage) -> None:
        self._writer = writer
        self._outage = outage
        self._concurrent = 0

    async def run(self) -> None:
        """Hold connections until cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            await self._writer.close()

    async def give(self, key: SessionKey, name: str, command: bytes) -> str:
        """Write a command to a session; return its id."""
        command_id = await self._call(lambda: self._writer.write(key.tenant_id, command))
        _log(key.tenant_id, name, command_id, key.session_id)
        return command_id

    async def give_to_tenant(self, tenant: str, name: str, command: bytes) -> str:
        """Write a command that is not about one session; return its id."""
        command_id = await self._call(lambda: self._writer.write(tenant, command))
        _log(tenant, name, command_id)
        return command_id

    async def answer(
        self, key: SessionKey, decision_id: str, answer: str, name: str, command: bytes
    ) -> str | None:
        """Write the command that answers a suggestion; return None, or an earlier answer."""
        earlier = await self._call(
            lambda: self._writer.write_answer(key.tenant_id, decision_id, answer, command)
        )
        if earlier is None:
            _log(key.tenant_id, name, decision_id, key.session_id)
        return earlier

    async def replace_templates(
        self, tenant: str, name: str, templates: bytes, command: bytes
    ) -> None:
        """Store the templates of a tenant, and write the command that replaces them."""
        command_id = await self._call(
            lambda: self._writer.write_templates(tenant, templates, command)
        )
        _log(tenant, name, command_id)

    async def templates(self, tenant: str) -> bytes | None:
        """Return the templates that a tenant stored last, or None."""
        return await self._call(lambda: self._writer.read_templates(tenant))

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        if self._concurrent >= MAX_CONCURRENT_COMMANDS:
            raise Overloaded("too many commands at once")
        self._concurrent += 1
        try:
            result = await call()
        except (Unavailable, ConfigError) as error:  # clients do not see it
            self._outage.record_failure(error)
            raise Denied(503, "redis_unavailable", "Redis can't store commands now") from None
        finally:
            self._concurrent -= 1
        self._outage.record_success()
        return result


def _log(tenant: str, name: str, entry_id: str, session: str = "") -> None:
    emit(CommandGiven(tenant=tenant, session=session, command=name, entry_id=entry_id))
