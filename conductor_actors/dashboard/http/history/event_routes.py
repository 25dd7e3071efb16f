"""The HTTP API of events: a list of them, and one at a glance."""

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from conductor_actors.dashboard.access.auth import Caller, Denied
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.http import event_query
from conductor_actors.dashboard.http.callers import Callers
from conductor_actors.dashboard.http.cursors import Position, format_position
from conductor_actors.dashboard.http.event_query import (
    MAX_EVENT_SESSIONS_SHOWN,
    OverviewQuery,
)
from conductor_actors.dashboard.http.history.history_sources import HistorySources
from conductor_actors.dashboard.http.responder import Responder
from conductor_actors.dashboard.http.timeline_query import Chart
from conductor_actors.dashboard.stored_bodies import (
    CurvePoint,
    EventList,
    EventOverview,
    EventSession,
    EventSummary,
)
from conductor_actors.domain.charts.chart_steps import iso_step
from conductor_actors.ports.history_port import (
    EventPosition,
    ScoreChanges,
    SessionSelection,
    SessionStep,
    StoredEvent,
    StoredSession,
    TimeRange,
    changes_body,
    session_summary,
)
from conductor_actors.wire.updates import timestamp


class EventRoutes:
    """One handler for each path; each authenticates its caller first."""

    def __init__(
        self, sources: HistorySources, callers: Callers, metrics: DashboardMetrics
    ) -> None:
        self._sources = sources
        self._callers = callers
        self._responder = Responder(metrics)

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/api/v1/events", self.events),
            Route("/api/v1/events/overview", self.overview),
        ]

    async def events(self, request: Request) -> Response:
        """Return a page of the events of the sessions that the caller can see."""
        caller = await self._callers.caller(request)
        page = event_query.parse_events(request.query_params, caller.tenant)
        visible = await self._callers.access.visible(caller)
        selection = event_query.event_selection(page, caller.tenant, visible)
        after = None if page.after is None else EventPosition(*page.after)
        events = self._sources.ports.events
        found = await self._sources.calls.call(
            lambda: events.find(selection, page.limit + 1, after)
        )
        last = found[page.limit - 1] if len(found) > page.limit else None
        next_ = None if last is None else Position(last.started_ms, last.event_id)
        body = EventList(
            [_summary(each) for each in found[: page.limit]],
            None if next_ is None else format_position(page.listed, next_),
        )
        return self._responder.json(body)

    async def overview(self, request: Request) -> Response:
        """Return the sessions of an event on one axis of time, and its moments."""
        caller = await self._callers.caller(request)
        requested = event_query.parse_overview(request.query_params)
        sessions = await self._sessions(caller, requested)
        calls, ports, tick_s, clocks = self._sources
        now_ms = round(clocks.wall() * 1000)
        ranges = [each.rows_range(now_ms, tick_s) for each in sessions]
        shown = TimeRange(min(ranges).first_ms, max(each.until_ms for each in ranges))
        chart = requested.timeline(len(sessions)).chart(shown, tick_s)
        ends_ms = {
            each.key.session_id: rows.until_ms for each, rows in zip(sessions, ranges, strict=True)
        }
        scope = caller.tenant, ends_ms, chart.during
        curves, moments = await asyncio.gather(
            calls.call(lambda: ports.events.curves(*scope, chart.step)),
            calls.call(lambda: ports.events.moments(*scope)),
        )
        return self._responder.json(_overview(sessions, chart, curves, moments))

    async def _sessions(self, caller: Caller, requested: OverviewQuery) -> list[StoredSession]:
        """Return the sessions of an event with rows in the range, in the order of their starts."""
        visible = await self._callers.access.visible(caller)
        selection = SessionSelection(
            caller.tenant,
            event_id=requested.event_id,
            until_ms=requested.until_ms,
            session_ids=visible,
        )
        most, sessions = MAX_EVENT_SESSIONS_SHOWN, self._sources.ports.sessions
        found = await self._sources.calls.call(lambda: sessions.find(selection, most + 1))
        first_ms = requested.first_ms
        if first_ms is not None:
            if len(found) > most and (found[most].started_ms or 0) >= first_ms:
                raise Denied(400, "too_many_sessions", f"more than {most}; ask for a shorter range")
            found = [each for each in found if each.ended_ms is None or each.ended_ms >= first_ms]
        if not found:
            raise Denied(404, "unknown_event", "nothing is known of this event in this range")
        return list(reversed(found[:most]))


def _summary(event: StoredEvent) -> EventSummary:
    return EventSummary(
        event.event_id,
        event.title,
        event.sessions,
        event.live_sessions,
        timestamp(event.started_ms),
        None if event.ended_ms is None else timestamp(event.ended_ms),
    )


def _overview(
    sessions: Sequence[StoredSession],
    chart: Chart,
    curves: Mapping[str, Sequence[SessionStep]],
    moments: ScoreChanges,
) -> EventOverview:
    ends_ms = [each.ended_ms for each in sessions]
    known_ms = [each for each in ends_ms if each is not None]
    return EventOverview(
        sessions[0].event_id,
        sessions[0].event_title,
        timestamp(sessions[0].started_ms or 0),
        timestamp(max(known_ms)) if len(known_ms) == len(ends_ms) else None,
        timestamp(chart.during.first_ms),
        timestamp(chart.during.until_ms),
        iso_step(chart.step_s),
        [_session(each, curves.get(each.key.session_id, ())) for each in sessions],
        _curve(curves),
        changes_body(moments),
    )


def _session(session: StoredSession, steps: Sequence[SessionStep]) -> EventSession:
    summary = msgspec.structs.asdict(session_summary(session))
    points = [CurvePoint(timestamp(at_ms), score, users) for at_ms, score, users in steps]
    return EventSession(**summary, points=points)


def _curve(curves: Mapping[str, Sequence[SessionStep]]) -> list[CurvePoint]:
    """Return the mean of the sessions in each step, weighted by their users."""
    at_once: dict[int, list[SessionStep]] = {}
    for steps in curves.values():
        for step in steps:
            at_once.setdefault(step.at_ms, []).append(step)
    return [_weighted(at_ms, at_once[at_ms]) for at_ms in sorted(at_once)]


def _weighted(at_ms: int, steps: Sequence[SessionStep]) -> CurvePoint:
    users = sum(each.total_users for each in steps)
    if not users:
        return CurvePoint(timestamp(at_ms), sum(each.score for each in steps) / len(steps), 0)
    score = sum(each.score * each.total_users for each in steps) / users
    return CurvePoint(timestamp(at_ms), score, users)
