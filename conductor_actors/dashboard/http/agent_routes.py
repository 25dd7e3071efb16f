"""The HTTP API of the conductor under `/api/v1/agent`: modes, status, and answers to suggestions.

Who changes something needs a token with the claim `conduct`; without a key, a client on this
machine will do. A change is accepted, not carried out: the collector reads it like an event.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from conductor_actors.dashboard.access.auth import Denied
from conductor_actors.dashboard.agent_bodies import (
    ApprovalRequest,
    DecisionAnswered,
    DecisionExplanation,
    DismissalRequest,
    DrawnShare,
    EventMode,
    ModeRequest,
    RegistrationRequest,
)
from conductor_actors.dashboard.bodies import encode, join_bodies
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.http.agent_requests import (
    check_event_id,
    check_text,
    decision_id_of,
    final_content,
    read_request,
)
from conductor_actors.dashboard.http.agent_sources import AgentSources
from conductor_actors.dashboard.http.api import Handler
from conductor_actors.dashboard.http.callers import Callers
from conductor_actors.dashboard.http.responder import Responder
from conductor_actors.dashboard.scores.decision_records import expires_ms
from conductor_actors.domain.commands import (
    APPROVE,
    DISMISS,
    MODE,
    encode_approval,
    encode_dismissal,
    encode_event_mode,
    encode_session_mode,
)
from conductor_actors.domain.conductor.interventions import INTERVENTION_TYPES, MICRO
from conductor_actors.domain.identity import SessionKey
from conductor_actors.wire.intervention_bodies import DecisionBody

APPROVED: Final = "APPROVED"
DISMISSED: Final = "DISMISSED"

_MODE_SHAPE: Final = '{"mode": "OFF", "MANUAL", "SEMI_AUTO", "AUTO" or null}'


class AgentRoutes:
    """One handler for each path; each authenticates its caller first."""

    def __init__(self, sources: AgentSources, callers: Callers, metrics: DashboardMetrics) -> None:
        self._sources = sources
        self._callers = callers
        self._responder = Responder(metrics)

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        decision = "decisions/{decision}"
        return [
            Route("/api/v1/agent/decisions", self.decisions),
            Route("/api/v1/agent/sessions/register", self.register, methods=["POST"]),
            Route("/api/v1/agent/events/{event:any}/mode", self.event_mode, methods=["PUT"]),
            *_session_routes("/mode", self.session_mode, "PUT"),
            *_session_routes("/status", self.status, "GET"),
            *_session_routes(f"/{decision}", self.decision, "GET"),
            *_session_routes(f"/{decision}/approve", self.approve, "POST"),
            *_session_routes(f"/{decision}/reject", self.reject, "POST"),
            *_session_routes("", self.unregister, "DELETE"),
        ]

    async def status(self, request: Request) -> Response:
        """Return what the conductor does in a session."""
        key = await self._key(request)
        return self._responder.json(await self._sources.session_agent(key))

    async def session_mode(self, request: Request) -> Response:
        """Set the mode of a session, from its next tick on."""
        key = await self._conducted(request)
        mode = (await read_request(request, ModeRequest, _MODE_SHAPE)).mode
        self._sources.require_conductor()
        command = encode_session_mode(key.session_id, mode)
        await self._sources.commands.give(key, MODE, command)
        return self._responder.json(await self._sources.session_agent(key, mode))

    async def event_mode(self, request: Request) -> Response:
        """Set the mode of the sessions of an event that have none of their own."""
        caller = await self._callers.conductor(request)
        event_id: str = request.path_params["event"]
        check_event_id(event_id)
        if not caller.can_see_event(event_id):
            raise Denied(403, "other_session", "your token is not for all sessions of this event")
        mode = (await read_request(request, ModeRequest, _MODE_SHAPE)).mode
        self._sources.require_conductor()
        command = encode_event_mode(event_id, mode)
        await self._sources.commands.give_to_tenant(caller.tenant, MODE, command)
        return self._responder.json(EventMode(event_id, mode))

    async def decisions(self, request: Request) -> Response:
        """Return the decisions that are open or changed in the last five minutes."""
        caller = await self._callers.caller(request)
        decisions, is_enabled = self._sources.live.decisions, self._sources.is_enabled
        listed = self._callers.access.visible_live(caller)
        found = decisions.recent_of_tenant(caller.tenant, listed)
        head = encode({"enabled": is_enabled, "default_mode": decisions.default_mode})[:-1]
        return self._responder.encoded(head + b',"decisions":' + join_bodies(found) + b"}")

    async def decision(self, request: Request) -> Response:
        """Return an intervention, and the random choice that led to it."""
        key = await self._key(request)
        record = await self._sources.decision(key, decision_id_of(request))
        values = {name: getattr(record, name) for name in DecisionBody.__struct_fields__}
        return self._responder.json(DecisionExplanation(**values, shares=_shares(record)))

    async def approve(self, request: Request) -> Response:
        """Approve a suggestion, with other content if the body has some."""
        key = await self._conducted(request)
        decision_id = decision_id_of(request)
        shape = '{"content": …} or empty'
        content = (await read_request(request, ApprovalRequest, shape)).content
        record = await self._open_decision(key, decision_id)
        if content is not None:
            content = final_content(record.type, content)
        command = encode_approval(key.session_id, decision_id, content)
        return await self._answer(key, decision_id, (APPROVED, APPROVE, command))

    async def reject(self, request: Request) -> Response:
        """Dismiss a suggestion."""
        key = await self._conducted(request)
        decision_id = decision_id_of(request)
        shape = '{"reason": text of 500 characters at most} or empty'
        reason = (await read_request(request, DismissalRequest, shape)).reason
        if reason is not None:
            check_text(reason, "reason")
        await self._open_decision(key, decision_id)
        command = encode_dismissal(key.session_id, decision_id, reason)
        return await self._answer(key, decision_id, (DISMISSED, DISMISS, command))

    async def register(self, request: Request) -> Response:
        """Accept the registration of a session, which registers itself by its first event."""
        caller = await self._callers.conductor(request)
        shape = '{"session_id": text}'
        session_id = (await read_request(request, RegistrationRequest, shape)).session_id
        return await self._unchanged(await self._callers.check_access(caller, session_id))

    async def unregister(self, request: Request) -> Response:
        """Accept the end of a session, which ends by itself."""
        key = await self._conducted(request)
        return await self._unchanged(key)

    async def _unchanged(self, key: SessionKey) -> Response:
        self._sources.require_conductor()
        return self._responder.json(await self._sources.session_agent(key), 202)

    async def _open_decision(self, key: SessionKey, decision_id: str) -> DecisionBody:
        """Return a suggestion that is open; raise `Denied` if it is not."""
        self._sources.require_conductor()
        record = await self._sources.decision(key, decision_id)
        if record.status != "SUGGESTED":
            raise Denied(409, "already_decided", f"the decision is {record.status}")
        expires = expires_ms(record)
        if expires is not None and expires <= self._sources.wall_clock() * 1000:
            raise Denied(409, "expired", "the suggestion has expired")
        return record

    async def _answer(
        self, key: SessionKey, decision_id: str, answer: tuple[str, str, bytes]
    ) -> Response:
        earlier = await self._sources.commands.answer(key, decision_id, *answer)
        if earlier is not None:
            raise Denied(409, "already_decided", f"the decision is {earlier}")
        return self._responder.json(DecisionAnswered(decision_id, key.session_id, answer[0]))

    async def _conducted(self, request: Request) -> SessionKey:
        caller = await self._callers.conductor(request)
        return await self._callers.check_access(caller, _session_id_of(request))

    async def _key(self, request: Request) -> SessionKey:
        caller = await self._callers.caller(request)
        return await self._callers.check_access(caller, _session_id_of(request))


def _session_routes(leaf: str, handler: Handler, method: str) -> list[BaseRoute]:
    """Return the routes of a session; see `session_routes` for those without an id."""
    paths = [f"sessions/{{id:any}}{leaf}", f"sessions{leaf or '/'}", leaf.removeprefix("/")]
    return [Route(f"/api/v1/agent/{path}", handler, methods=[method]) for path in paths]


def _session_id_of(request: Request) -> str:
    session_id: str | None = request.path_params.get("id")
    if session_id is None:
        return "." if "/agent/sessions" in request.scope["path"] else ".."
    return session_id


def _shares(record: DecisionBody) -> list[DrawnShare]:
    """Return the chances of the types that could be drawn, in the order of their shares."""
    probabilities, draw = record.metadata.probabilities, record.metadata.draw
    if not isinstance(probabilities, dict) or not isinstance(draw, int | float):
        return []
    shares, low = [], 0
    for kind in INTERVENTION_TYPES:
        if (probability := probabilities.get(kind, 0)) > 0:
            high = low + probability
            is_drawn = low <= draw < high
            limits = (probability / MICRO, low / MICRO, high / MICRO)
            shares.append(DrawnShare(kind, *limits, is_drawn))
            low = high
    return shares
