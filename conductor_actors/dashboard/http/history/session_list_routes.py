"""The HTTP API of stored sessions: lists of them, and what people call them."""

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from conductor_actors.dashboard.access.auth import Caller, Denied
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.http import session_query
from conductor_actors.dashboard.http.api import Handler, session_id_of, session_routes
from conductor_actors.dashboard.http.callers import Callers
from conductor_actors.dashboard.http.cursors import Position, format_position
from conductor_actors.dashboard.http.history.history_sources import HistorySources
from conductor_actors.dashboard.http.rate_limit import RateLimit
from conductor_actors.dashboard.http.request_body import read_body
from conductor_actors.dashboard.http.responder import Responder
from conductor_actors.dashboard.scores.named_sessions import NamedSessions
from conductor_actors.dashboard.stored_bodies import SessionSummaryList, SessionTitle, Titles
from conductor_actors.domain.identity import PLACEHOLDER_EVENT_ID, SessionKey
from conductor_actors.domain.session_titles import SessionDetails, TitleChange, decode_details
from conductor_actors.ports.history_port import (
    SessionPosition,
    StoredSession,
    session_summary,
)

MAX_ABOUT_BYTES: Final = 1 << 15
MAX_ABOUTS_PER_MIN: Final = 600  # of a tenant


class SessionListRoutes:
    """One handler for each path; each authenticates its caller first.

    `live_sessions` answers for the list without `state`.
    """

    def __init__(
        self,
        sources: HistorySources,
        callers: Callers,
        metrics: DashboardMetrics,
        live_sessions: Handler,
    ) -> None:
        self._calls = sources.calls
        self._ports = sources.ports
        self._named = NamedSessions(sources.calls, sources.ports.sessions, sources.clocks.monotonic)
        self._callers = callers
        self._responder = Responder(metrics)
        self._wall_clock = sources.clocks.wall
        self._about_limit = RateLimit(MAX_ABOUTS_PER_MIN, sources.clocks.wall)
        self._live_sessions = live_sessions

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/api/v1/sessions", self.sessions),
            Route("/api/v1/titles", self.titles),
            *session_routes("about", self.about),
            *session_routes("about", self.put_about, "PUT"),
        ]

    async def sessions(self, request: Request) -> Response:
        """Return a page of the sessions, live or not; without `state`, the live ones' updates."""
        if "state" not in request.query_params:
            return await self._live_sessions(request)
        caller = await self._callers.caller(request)
        requested = session_query.parse_sessions(request.query_params, caller.tenant)
        selection = requested.selection(caller.tenant, await self._callers.access.visible(caller))
        page = requested.page
        after = None if page.after is None else SessionPosition(*page.after)
        found = await self._calls.call(
            lambda: self._ports.sessions.find(selection, page.limit + 1, after)
        )
        last = found[page.limit - 1] if len(found) > page.limit else None
        body = SessionSummaryList(
            [session_summary(each) for each in found[: page.limit]],
            None if last is None else format_position(page.listed, _position(last)),
        )
        return self._responder.json(body)

    async def titles(self, request: Request) -> Response:
        """Return what people call the live and the planned sessions that the caller can see."""
        caller = await self._callers.caller(request)
        visible = await self._callers.access.visible(caller)
        named = await self._named.of_tenant(caller.tenant)
        if visible is not None:
            ids = set(visible)
            named = [each for each in named if each.key.session_id in ids]
        return self._responder.json(_titles(named))

    async def about(self, request: Request) -> Response:
        """Return what is known of a session."""
        caller = await self._callers.caller(request)
        key = await self._callers.check_access(caller, session_id_of(request))
        found = await self._calls.call(lambda: self._ports.sessions.get(key))
        if found is None:
            raise Denied(404, "unknown_session", "nothing is known of this session")
        return self._responder.json(session_summary(found))

    async def put_about(self, request: Request) -> Response:
        """Store what people call a session, and perhaps its event."""
        caller = await self._callers.administrator(request)
        key = await self._callers.check_access(caller, session_id_of(request))
        details = _details(await read_body(request, MAX_ABOUT_BYTES))
        self._about_limit.count(caller.tenant)
        sessions = self._ports.sessions
        stored = await self._calls.call(lambda: sessions.get(key))
        change = TitleChange(
            *(*key, round(self._wall_clock() * 1000)),
            _with_event(details, caller, key, stored),
        )
        await self._calls.write(lambda: self._ports.titles.write(change))
        self._named.forget(caller.tenant)
        found = await self._calls.call(lambda: sessions.get(key))
        if found is None:
            raise Denied(404, "unknown_session", "the session was deleted meanwhile")
        return self._responder.json(session_summary(found))


def _position(session: StoredSession) -> Position:
    return Position(session.started_ms or 0, session.key.session_id)


def _titles(named: Sequence[StoredSession]) -> Titles:
    return Titles(
        {
            each.key.session_id: SessionTitle(
                summary.title,
                summary.event_title,
                summary.speakers,
                summary.planned_begin,
                summary.planned_end,
            )
            for each in named
            for summary in (session_summary(each),)
        },
        {each.event_id: each.event_title for each in named if each.event_title is not None},
    )


def _details(body: bytes) -> SessionDetails:
    try:
        return decode_details(body)
    except ValueError as error:  # msgspec's errors are, too
        raise Denied(400, "invalid_body", str(error)) from None


def _with_event(
    details: SessionDetails, caller: Caller, key: SessionKey, stored: StoredSession | None
) -> SessionDetails:
    """Return the details with the event that they are about; raise `Denied` if there is none.

    Who can't see all of an event may not name it, nor read its title by naming it.
    """
    event_id = details.event_id
    if event_id in (key.session_id, PLACEHOLDER_EVENT_ID):
        event_id = None
    if details.event_title is not UNSET and event_id is None:
        event_id = None if stored is None else stored.event_id
        is_known = stored is not None and (stored.started_ms or event_id != key.session_id)
        if not is_known:
            raise Denied(400, "event_missing", "nothing is known of the event: add its eventId")
    if event_id is not None and not caller.can_see_event(event_id):
        raise Denied(403, "other_event", "this event is not among those of your token")
    return replace(details, event_id=event_id)
