"""Who sends a request, what it may see, and whether it may change something."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request

from conductor_actors.dashboard.access.auth import Authenticator, Caller, Denied, bearer_token
from conductor_actors.dashboard.options import is_loopback
from conductor_actors.dashboard.session_access import SessionAccess
from conductor_actors.domain.identity import SessionKey


class Callers:
    """Authenticates the callers of requests. Raises `Denied` for those that are refused."""

    def __init__(
        self,
        authenticator: Authenticator,
        access: SessionAccess,
        watch: Callable[[str], Awaitable[None]],
    ) -> None:
        self._authenticator = authenticator
        self._watch = watch
        self.access = access

    async def caller(self, request: Request) -> Caller:
        """Return the caller of a request for data, when the live scores of its tenant are known."""
        token = bearer_token(request.headers.get("authorization"))
        tenant = request.query_params.get("tenant")
        caller = self._authenticator.authenticate(token, tenant)
        await self._watch(caller.tenant)
        return caller

    async def conductor(self, request: Request) -> Caller:
        """Return the caller of a command: by a token that allows it, or without a key from here."""
        caller = await self.caller(request)
        if not caller.can_conduct or not self._has_token_or_is_near(request):
            raise Denied(
                403,
                "conduct_missing",
                "commands need a token with the claim conduct: true; without a key, they are "
                "accepted on loopback only",
            )
        return caller

    async def administrator(self, request: Request) -> Caller:
        """Return the caller that names sessions: by a token that allows it, or the same."""
        caller = await self.caller(request)
        if not caller.can_administer or not self._has_token_or_is_near(request):
            raise Denied(
                403,
                "admin_missing",
                "this needs a token with the claim admin: true; without a key, it is accepted on "
                "loopback only",
            )
        return caller

    async def check_access(self, caller: Caller, session_id: str) -> SessionKey:
        """Return the key of a session; raise `Denied` if the caller can't see it."""
        await self.access.check(caller, session_id)
        return SessionKey(caller.tenant, session_id)

    def _has_token_or_is_near(self, request: Request) -> bool:
        is_near = request.client is not None and is_loopback(request.client.host)
        return self._authenticator.needs_token or is_near
