"""The paths at which orchestrators and load balancers probe the dashboard."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from conductor_actors.observability.collector_status import StatusReader
from conductor_actors.observability.health import (
    DashboardStatus,
    ProbeResponse,
    health,
    readiness,
)
from conductor_actors.outages import Outage


class HealthRoutes:
    """/health and /ready. `is_draining` is set by the thread that stops the dashboard."""

    def __init__(
        self,
        count_live: Callable[[], int],
        redis: Outage,
        database: Outage,
        read_collector: StatusReader,
    ) -> None:
        self.is_draining = False
        self._count_live = count_live
        self._redis = redis
        self._database = database
        self._read_collector = read_collector

    def routes(self) -> list[BaseRoute]:
        """Return the routes; their answers contain no data, so they need no token."""
        return [Route("/health", self._get_health), Route("/ready", self._get_readiness)]

    async def _get_health(self, _: Request) -> Response:
        return _response(health(self._read_collector(), self._dashboard()))

    async def _get_readiness(self, _: Request) -> Response:
        return _response(readiness(self._read_collector(), self._dashboard()))

    def _dashboard(self) -> DashboardStatus:
        return DashboardStatus(
            self.is_draining, self._redis.state, self._database.state, self._count_live()
        )


def _response(probe: ProbeResponse) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(probe.body, probe.status_code, headers, media_type="application/json")
