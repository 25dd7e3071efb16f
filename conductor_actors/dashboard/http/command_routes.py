"""The HTTP API by which people give commands: `POST /api/v1/sessions/{id}/quiet`.

Who gives a command needs a token with the claim `conduct`; without a key, a client on this machine
will do. A command is accepted, not carried out: the collector reads it like an event, and ignores
it if the session is not there.
"""

import asyncio
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from conductor_actors.dashboard.access.auth import Authenticator, Caller, Denied, bearer_token
from conductor_actors.dashboard.access.origins import is_loopback
from conductor_actors.dashboard.bodies import CommandAccepted, QuietRequest
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.http.api import check_access, session_id_of, session_routes
from conductor_actors.dashboard.http.request_body import read_body
from conductor_actors.dashboard.http.responder import Responder
from conductor_actors.domain.commands import MAX_QUIET_MS, QUIET, encode_quiet
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import ConfigError, Overloaded, Unavailable
from conductor_actors.instants import from_iso, to_iso, to_ms
from conductor_actors.log_events import CommandGiven, emit
from conductor_actors.outages import Outage
from conductor_actors.ports import Clock, CommandWriter

MAX_CONCURRENT_COMMANDS: Final = 16  # each has a connection to Redis

_decode_quiet: Final = msgspec.json.Decoder(QuietRequest).decode


class GivenCommands:
    """Writes commands. More than 16 at once raise `Overloaded`."""

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
        """Write a command to a session; return its id, or raise `Denied` with 503.

        The log has who was commanded, and never what is in the command.
        """
        if self._concurrent >= MAX_CONCURRENT_COMMANDS:
            raise Overloaded("too many commands at once")
        self._concurrent += 1
        try:
            command_id = await self._writer.write(key.tenant_id, command)
        except (Unavailable, ConfigError) as error:  # clients do not see it
            self._outage.record_failure(error)
            raise Denied(503, "redis_unavailable", "Redis can't store commands now") from None
        finally:
            self._concurrent -= 1
        self._outage.record_success()
        tenant, session = key
        emit(CommandGiven(tenant=tenant, session=session, command=name, entry_id=command_id))
        return command_id


class CommandRoutes:
    """One handler for each command; each authenticates its caller first."""

    def __init__(
        self,
        commands: GivenCommands,
        authenticator: Authenticator,
        metrics: DashboardMetrics,
        wall_clock: Clock,
    ) -> None:
        self._commands = commands
        self._authenticator = authenticator
        self._responder = Responder(metrics)
        self._wall_clock = wall_clock

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return session_routes("quiet", self.quiet, "POST")

    async def quiet(self, request: Request) -> Response:
        """Make a session quiet until `until`, or end that for null or a time that has passed.

        Respond with 202 and the id of the command.
        """
        caller = self._conductor(request)
        session_id = session_id_of(request)
        check_access(caller, session_id)
        until = _until(await read_body(request), self._wall_clock())
        key, command = SessionKey(caller.tenant, session_id), encode_quiet(session_id, until)
        command_id = await self._commands.give(key, QUIET, command)
        return self._responder.json(CommandAccepted(command_id), 202)

    def _conductor(self, request: Request) -> Caller:
        """Return the caller; raise `Denied` if it may not give commands."""
        token = bearer_token(request.headers.get("authorization"))
        caller = self._authenticator.authenticate(token, request.query_params.get("tenant"))
        is_near = request.client is not None and is_loopback(request.client.host)
        if not caller.can_conduct or not (self._authenticator.needs_token or is_near):
            raise Denied(
                403,
                "conduct_missing",
                "commands need a token with the claim conduct: true; without a key, they are "
                "accepted on loopback only",
            )
        return caller


def _until(body: bytes, now_s: float) -> str | None:
    """Return the requested end of quiet as the command has it; raise `Denied` if it is invalid."""
    try:
        requested = _decode_quiet(body)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        raise Denied(
            400, "invalid_body", 'the body is {"until": an ISO 8601 time or null}'
        ) from None
    if requested.until is None:
        return None
    try:
        until_ms = to_ms(from_iso(requested.until))
    except (ValueError, OverflowError):
        raise Denied(400, "invalid_until", "until is no ISO 8601 time") from None
    if until_ms > now_s * 1000 + MAX_QUIET_MS:
        raise Denied(400, "invalid_until", "until is more than 24 hours from now")
    return to_iso(max(0, until_ms), "milliseconds")
