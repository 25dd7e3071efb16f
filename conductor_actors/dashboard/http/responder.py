"""The successful responses of the API."""

from starlette.responses import Response

from conductor_actors.dashboard.bodies import encode
from conductor_actors.dashboard.client_metrics import DashboardMetrics


class Responder:
    """Makes responses in JSON, which nobody caches, and counts them by status."""

    def __init__(self, metrics: DashboardMetrics) -> None:
        self._metrics = metrics

    def json(self, body: object, status: int = 200) -> Response:
        """Return the response with a body."""
        return self.encoded(encode(body), status)

    def encoded(self, body: bytes, status: int = 200) -> Response:
        """Return the response with a body that is encoded."""
        self._metrics.requests.labels(str(status)).inc()
        headers = {"Cache-Control": "no-store"}
        return Response(body, status, headers, media_type="application/json")
