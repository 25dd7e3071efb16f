"""The HTTP API of what is read of sessions and events afterwards."""

from starlette.routing import BaseRoute

from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.http.api import Handler
from conductor_actors.dashboard.http.callers import Callers
from conductor_actors.dashboard.http.history.event_routes import EventRoutes
from conductor_actors.dashboard.http.history.export_routes import ExportRoutes
from conductor_actors.dashboard.http.history.history_sources import HistorySources
from conductor_actors.dashboard.http.history.report_routes import ReportRoutes
from conductor_actors.dashboard.http.history.session_list_routes import SessionListRoutes
from conductor_actors.dashboard.http.history.timeline_routes import TimelineRoutes


def history_routes(
    sources: HistorySources, callers: Callers, metrics: DashboardMetrics, live_sessions: Handler
) -> list[BaseRoute]:
    """Return the routes; `live_sessions` answers for the list of sessions without `state`."""
    return [
        *SessionListRoutes(sources, callers, metrics, live_sessions).routes(),
        *TimelineRoutes(sources, callers, metrics).routes(),
        *EventRoutes(sources, callers, metrics).routes(),
        *ReportRoutes(sources, callers, metrics).routes(),
        *ExportRoutes(sources, callers, metrics).routes(),
    ]
