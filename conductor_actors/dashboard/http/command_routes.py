"""The HTTP API by which people give commands: `POST /api/v1/sessions/{id}/quiet`.

Who gives a command needs a token with the claim `conduct`; without a key, a client on this machine
will do. A command is accepted, not carried out: the collector reads it like an event, and ignores
it if the session is not there.
"""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from conductor_actors.dashboard.access.auth import Denied
from conductor_actors.dashboard.bodies import CommandAccepted, QuietRequest
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.http.api import session_id_of, session_routes
from conductor_actors.dashboard.http.callers import Callers
from conductor_actors.dashboard.http.given_commands import GivenCommands
from conductor_actors.dashboard.http.request_body import read_body
from conductor_actors.dashboard.http.responder import Responder
from conductor_actors.domain.commands import MAX_QUIET_MS, QUIET, encode_quiet
from conductor_actors.instants import from_iso, to_iso, to_ms
from conductor_actors.ports import Clock

_decode_quiet: Final = msgspec.json.Decoder(QuietRequest).decode


class CommandRoutes:
    """One handler for each command; each authenticates its caller first."""

    def __init__(
        self,
        commands: GivenCommands,
        callers: Callers,
        metrics: DashboardMetrics,
        wall_clock: Clock,
    ) -> None:
        self._commands = commands
        self._callers = callers
        self._responder = Responder(metrics)
        self._wall_clock = wall_clock

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return session_routes("quiet", self.quiet, "POST")

    async def quiet(self, request: Request) -> Response:
        """Make a session quiet until `until`, or end that for null or a time that has passed.

        Respond with 202 and the id of the command.
        """
        caller = await self._callers.conductor(request)
        session_id = session_id_of(request)
        key = await self._callers.check_access(caller, session_id)
        until = _until(await read_body(request), self._wall_clock())
        command_id = await self._commands.give(key, QUIET, encode_quiet(session_id, until))
        return self._responder.json(CommandAccepted(command_id), 202)


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
