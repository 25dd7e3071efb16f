"""The HTTP API of anomalies: those of a session or a tenant, feedback on them, and their quality.

A caller sees the anomalies of the sessions that its token gives access to, and may report whether
they were a problem: no further claim is needed, because a report changes nothing but statistics.
"""

from typing import Final, get_args
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from conductor_actors.dashboard.access.auth import Caller, Denied
from conductor_actors.dashboard.bodies import (
    AnomalyList,
    AnomalyQuality,
    FeedbackRequest,
    QualityReport,
)
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.http import anomaly_query
from conductor_actors.dashboard.http.anomaly_query import AnomaliesQuery
from conductor_actors.dashboard.http.api import session_id_of, session_routes
from conductor_actors.dashboard.http.callers import Callers
from conductor_actors.dashboard.http.rate_limit import RateLimit
from conductor_actors.dashboard.http.request_body import read_body
from conductor_actors.dashboard.http.responder import Responder
from conductor_actors.dashboard.scores.anomaly_records import stored_record
from conductor_actors.dashboard.scores.stored_anomalies import StoredAnomalies
from conductor_actors.domain.anomalies.changes import AnomalyType
from conductor_actors.ports import Clock
from conductor_actors.ports.anomaly_port import (
    AnomalyFeedback,
    AnomalySelection,
    StoredAnomaly,
    TypeQuality,
)

MAX_FEEDBACK_PER_MIN: Final = 120  # of a tenant

_decode_feedback: Final = msgspec.json.Decoder(FeedbackRequest).decode


class AnomalyRoutes:
    """One handler for each path; each authenticates its caller first."""

    def __init__(
        self,
        anomalies: StoredAnomalies,
        callers: Callers,
        metrics: DashboardMetrics,
        wall_clock: Clock,
    ) -> None:
        self._anomalies = anomalies
        self._callers = callers
        self._metrics = metrics
        self._responder = Responder(metrics)
        self._wall_clock = wall_clock
        self._feedback_limit = RateLimit(MAX_FEEDBACK_PER_MIN, wall_clock)

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        # Those of the session `..` are at `/api/v1/anomalies?session=..`.
        of_session = session_routes("anomalies", self.session_anomalies)[:-1]
        return [
            *of_session,
            Route("/api/v1/anomalies", self.anomalies),
            Route("/api/v1/anomalies/quality", self.quality),
            Route("/api/v1/anomalies/{anomaly}/feedback", self.feedback, methods=["POST"]),
        ]

    async def session_anomalies(self, request: Request) -> Response:
        """Return a page of a session's anomalies."""
        caller = await self._callers.caller(request)
        session_id = session_id_of(request)
        requested = anomaly_query.parse_session_anomalies(request.query_params, self._wall_clock())
        return await self._page(caller, requested._replace(session_id=session_id))

    async def anomalies(self, request: Request) -> Response:
        """Return a page of the anomalies of the caller's tenant."""
        caller = await self._callers.caller(request)
        requested = anomaly_query.parse_anomalies(request.query_params, self._wall_clock())
        return await self._page(caller, requested)

    async def quality(self, request: Request) -> Response:
        """Return the quality of the anomalies of each type."""
        caller = await self._callers.caller(request)
        first_ms, until_ms = anomaly_query.parse_quality(request.query_params, self._wall_clock())
        session_ids = await self._callers.access.visible(caller)
        selection = AnomalySelection(caller.tenant, first_ms, until_ms, session_ids)
        found = await self._anomalies.quality(selection)
        return self._responder.json(QualityReport([_quality(one) for one in found]))

    async def feedback(self, request: Request) -> Response:
        """Store whether an anomaly was a problem; the last report counts."""
        caller = await self._callers.caller(request)
        anomaly_id = _anomaly_id(request)
        verdict = _decoded(await read_body(request)).verdict
        self._feedback_limit.count(caller.tenant)
        feedback = AnomalyFeedback(verdict, round(self._wall_clock() * 1000), caller.subject)
        session_ids = await self._callers.access.visible(caller)
        former = await self._anomalies.store_feedback(
            caller.tenant, anomaly_id, session_ids, feedback
        )
        if former is None:
            raise await self._unknown(caller, anomaly_id)
        self._count(former, feedback)
        return self._responder.json(stored_record(former._replace(feedback=feedback)))

    async def _page(self, caller: Caller, requested: AnomaliesQuery) -> Response:
        if requested.session_id is None:
            session_ids = await self._callers.access.visible(caller)
        else:
            await self._callers.check_access(caller, requested.session_id)
            session_ids = [requested.session_id]
        selection = AnomalySelection(
            *(caller.tenant, requested.first_ms, requested.until_ms),
            *(session_ids, requested.event_id),
        )
        limit = requested.page.limit
        more = requested.page._replace(limit=limit + 1)
        found = await self._anomalies.find(selection, more)
        last = found[limit - 1] if len(found) > limit else None
        body = AnomalyList(
            [stored_record(one) for one in found[:limit]],
            None if last is None else anomaly_query.format_cursor(last),
        )
        return self._responder.json(body)

    async def _unknown(self, caller: Caller, anomaly_id: str) -> Denied:
        session_id = self._anomalies.live_session(caller.tenant, anomaly_id)
        if session_id is not None and await self._callers.access.can_see(caller, session_id):
            return Denied(503, "anomaly_not_stored", "the anomaly is not stored yet")
        return Denied(404, "unknown_anomaly", "nothing is known of this anomaly")

    def _count(self, former: StoredAnomaly, feedback: AnomalyFeedback) -> None:
        if former.feedback is not None and former.feedback.verdict == feedback.verdict:
            return
        kind = former.type if former.type in get_args(AnomalyType) else "other"
        self._metrics.feedback.labels(kind, feedback.verdict).inc()


def _anomaly_id(request: Request) -> str:
    text: str = request.path_params["anomaly"]
    try:
        return str(UUID(text))
    except ValueError:
        raise Denied(400, "invalid_anomaly", "an anomaly's id is a UUID") from None


def _decoded(body: bytes) -> FeedbackRequest:
    try:
        return _decode_feedback(body)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        raise Denied(
            400, "invalid_body", 'the body is {"verdict": "not_a_problem" or "problem"}'
        ) from None


def _quality(one: TypeQuality) -> AnomalyQuality:
    return AnomalyQuality(
        one.type,
        one.total,
        one.judged,
        one.not_a_problem,
        (one.judged - one.not_a_problem) / one.judged if one.judged else None,
        one.median_duration_s,
    )
