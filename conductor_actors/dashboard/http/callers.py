"""Who sends a request, and whether it may give commands."""

from starlette.requests import Request

from conductor_actors.dashboard.access.auth import (
    Authenticator,
    Caller,
    Denied,
    bearer_token,
    is_session_id,
)
from conductor_actors.dashboard.access.origins import is_loopback


class Callers:
    """Authenticates the callers of requests. Raises `Denied` for those that are refused."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def caller(self, request: Request) -> Caller:
        """Return the caller of a request for data."""
        token = bearer_token(request.headers.get("authorization"))
        return self._authenticator.authenticate(token, request.query_params.get("tenant"))

    def conductor(self, request: Request) -> Caller:
        """Return the caller of a command: by a token that allows it, or without a key from here."""
        caller = self.caller(request)
        is_near = request.client is not None and is_loopback(request.client.host)
        if not caller.can_conduct or not (self._authenticator.needs_token or is_near):
            raise Denied(
                403,
                "conduct_missing",
                "commands need a token with the claim conduct: true; without a key, they are "
                "accepted on loopback only",
            )
        return caller


def visible_sessions(caller: Caller) -> list[str] | None:
    """Return the sessions that the caller can see; None for all of its tenant."""
    return None if caller.sessions is None else sorted(filter(is_session_id, caller.sessions))
