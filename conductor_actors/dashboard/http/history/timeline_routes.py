"""The HTTP API of the timeline of a session: its rows in steps, as a chart shows them."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from conductor_actors.dashboard.access.auth import Denied
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.http.api import session_id_of, session_routes
from conductor_actors.dashboard.http.callers import Callers
from conductor_actors.dashboard.http.history.history_sources import HistorySources
from conductor_actors.dashboard.http.responder import Responder
from conductor_actors.dashboard.http.timeline_query import parse_timeline
from conductor_actors.dashboard.stored_bodies import (
    SessionTimeline,
    StepContributions,
    TimelineGap,
    TimelinePoint,
)
from conductor_actors.domain.charts.chart_steps import iso_step
from conductor_actors.ports.history_port import TimelineStep
from conductor_actors.wire.updates import timestamp

LATENESS_MS: Final = 30_000  # by which the rows of a live session are stored


class TimelineRoutes:
    """Authenticates its caller first."""

    def __init__(
        self, sources: HistorySources, callers: Callers, metrics: DashboardMetrics
    ) -> None:
        self._sources = sources
        self._callers = callers
        self._responder = Responder(metrics)

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return session_routes("timeline", self.timeline)

    async def timeline(self, request: Request) -> Response:
        """Return the timeline of a session: by default all of it, until now if it is live."""
        caller = await self._callers.caller(request)
        key = await self._callers.check_access(caller, session_id_of(request))
        requested = parse_timeline(request.query_params)
        calls, ports, tick_s, clocks = self._sources
        session = await calls.call(lambda: ports.sessions.get(key))
        if session is None or session.started_ms is None:
            raise Denied(404, "unknown_session", "nothing is known of this session")
        now_ms = round(clocks.wall() * 1000)
        rows = session.rows_range(now_ms, tick_s)
        chart = requested.chart(rows, tick_s)
        expected = rows if session.ended_ms else rows._replace(until_ms=now_ms - LATENESS_MS)
        found = await calls.call(
            lambda: ports.timelines.read(key, chart.during, chart.step, expected)
        )
        return self._responder.json(
            SessionTimeline(
                key.session_id,
                session.event_id,
                timestamp(chart.during.first_ms),
                timestamp(chart.during.until_ms),
                iso_step(chart.step_s),
                timestamp(session.started_ms),
                None if session.ended_ms is None else timestamp(session.ended_ms),
                [_point(each) for each in found.steps],
                [
                    TimelineGap(timestamp(each.first_ms), timestamp(each.until_ms))
                    for each in found.gaps
                ],
            )
        )


def _point(step: TimelineStep) -> TimelinePoint:
    added = step.contributions
    return TimelinePoint(
        timestamp(step.at_ms),
        *(step.score, step.min_score, step.max_score, step.active_users, step.total_users),
        StepContributions(
            added.chat, added.poll, added.active_users, added.reactions, added.leave_rate
        ),
    )
