"""The HTTP API under `/api/v1`."""

import csv
import io
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from starlette.convertors import PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from conductor_actors.dashboard.access.auth import Denied
from conductor_actors.dashboard.bodies import (
    Explanation,
    History,
    HistoryPoint,
    MostUsers,
    Problem,
    Refusal,
    ScoreHistories,
    ScoreHistory,
    ScorePoint,
    SignalPart,
    StepHistory,
    StepPoint,
)
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.http import openapi, query
from conductor_actors.dashboard.http.callers import Callers
from conductor_actors.dashboard.http.responder import Responder
from conductor_actors.dashboard.scores.live_sessions import LiveSessions
from conductor_actors.dashboard.scores.recent_history import score_row
from conductor_actors.dashboard.scores.session_overview import SessionOverview
from conductor_actors.dashboard.scores.upstreams import StoredHistory
from conductor_actors.domain.anomalies.evidence import noticeable_s
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Scoring, Signals, category
from conductor_actors.errors import Overloaded, Unavailable, Unsupported
from conductor_actors.ports import Clock
from conductor_actors.ports.score_port import HistoryStep, StoredScore, TickScore
from conductor_actors.wire.updates import (
    Update,
    decode_update,
    expected_range,
    timestamp,
    update_of,
)

RETRY_AFTER_S: Final = {429: 1, 503: 5}  # by status code

_SIGNALS: Final = (  # name, label, unit
    ("chat_msgs_per_min", "Chat messages", "per minute"),
    ("poll_participation", "Poll participation", "share of users"),
    ("active_users", "Active users", "users"),
    ("reactions_per_min", "Reactions", "per minute"),
    ("user_leave_rate", "Leave rate", "share of users"),
)
_TICK_COLUMNS: Final = (
    *("timestamp", "score", "category"),
    *Signals.__struct_fields__,
)
_STEP_COLUMNS: Final = (
    *("timestamp", "score", "category", "min_score", "max_score"),
    *("active_users", "total_users", "ticks"),
)

Handler = Callable[[Request], Awaitable[Response]]


class ApiSources(NamedTuple):
    """The sources of the answers, and the settings to interpret them."""

    live: LiveSessions
    overview: SessionOverview
    history: StoredHistory
    scoring: Scoring
    tick_s: int
    wall_clock: Clock


class Api:
    """One handler for each path; each authenticates its caller first."""

    def __init__(self, sources: ApiSources, callers: Callers, metrics: DashboardMetrics) -> None:
        self._sources = sources
        self._callers = callers
        self._metrics = metrics
        self._responder = Responder(metrics)

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/api/v1/openapi.json", self.openapi),
            Route("/api/v1/histories", self.histories),
            *session_routes("history", self.history),
            *session_routes("explanation", self.explanation),
        ]

    async def openapi(self, request: Request) -> Response:
        """Return the OpenAPI document."""
        servers = [{"url": request.state.base_path or "/"}]
        return self._responder.json(openapi.document() | {"servers": servers})

    async def sessions(self, request: Request) -> Response:
        """Return the newest update of each live session of the caller's tenant."""
        caller = await self._callers.caller(request)
        listed = self._callers.access.visible_live(caller)
        return self._responder.encoded(self._sources.overview.body(caller.tenant, listed))

    async def histories(self, request: Request) -> Response:
        """Return the stored scores of several sessions of the caller's tenant."""
        caller = await self._callers.caller(request)
        sources = self._sources
        requested = query.parse_histories(
            request.query_params, sources.wall_clock(), sources.tick_s
        )
        for session_id in requested.session_ids:
            await self._callers.check_access(caller, session_id)
        scores = await sources.history.scores(caller.tenant, *requested)
        step = query.format_step(None, sources.tick_s)
        histories = [
            ScoreHistory(session_id, [_score(one) for one in scores.get(session_id, ())])
            for session_id in requested.session_ids
        ]
        return self._responder.json(ScoreHistories(step, histories))

    async def history(self, request: Request) -> Response:
        """Return a session's stored scores."""
        key = await self._key(request)
        sources = self._sources
        requested = query.parse_range(request.query_params, sources.wall_clock(), sources.tick_s)
        body: History | StepHistory
        step = query.format_step(requested.step, sources.tick_s)
        if requested.step is None:
            rows = await sources.history.rows(key, requested.first_ms, requested.until_ms)
            body = History(key.session_id, step, [_tick(row) for row in rows])
        else:
            steps = await sources.history.steps(
                key, requested.first_ms, requested.until_ms, requested.step
            )
            body = StepHistory(key.session_id, step, [_step(each) for each in steps])
        if "text/csv" in request.headers.get("accept", ""):
            return self._csv(body)
        return self._responder.json(body)

    async def explanation(self, request: Request) -> Response:
        """Return the latest score, signal by signal."""
        key = await self._key(request)
        update = await self._latest(key)
        if update is None:
            raise Denied(404, "unknown_session", "nothing is known of this session")
        return self._responder.json(_explained(update, self._sources.scoring))

    async def respond_to_error(self, _: Request, error: Exception) -> Response:
        """Return the response to an error: its status, and its reason as JSON."""
        match error:
            case Denied():
                status, problem = error.status, Problem(error.code, str(error))
            case Unavailable():
                status, problem = 503, Problem("database_unavailable", str(error))
            case Overloaded():
                status, problem = 429, Problem("too_many_requests", str(error))
            case Unsupported():
                status, problem = 501, Problem("several_databases", str(error))
            case HTTPException():
                status = error.status_code
                problem = Problem(error.detail.lower().replace(" ", "_"), error.detail)
            case _:
                status, problem = 500, Problem("internal_error", "a fault of this service")
        response = self._responder.json(Refusal(problem), status)
        if status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        if status in RETRY_AFTER_S:
            response.headers["Retry-After"] = str(RETRY_AFTER_S[status])
        if isinstance(error, HTTPException):
            response.headers.update(error.headers or {})
        return response

    async def _latest(self, key: SessionKey) -> Update | None:
        session = self._sources.live.get(key)
        if session is not None:
            return decode_update(key.tenant_id, session.newest)
        row = await self._sources.history.newest(key)
        return None if row is None else update_of(score_row(key, row, self._sources.scoring))

    async def _key(self, request: Request) -> SessionKey:
        caller = await self._callers.caller(request)
        return await self._callers.check_access(caller, session_id_of(request))

    def _csv(self, history: History | StepHistory) -> Response:
        self._metrics.requests.labels("200").inc()
        columns = _TICK_COLUMNS if isinstance(history, History) else _STEP_COLUMNS
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(columns)
        for point in history.points:
            writer.writerow([_cell(point, column) for column in columns])
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": 'attachment; filename="engagement.csv"',
        }
        return Response(text.getvalue(), headers=headers, media_type="text/csv")


class _AnyText(PathConvertor):
    """A part of a path that may contain slashes and line feeds, as ids do."""

    regex = "(?s:.*)"


register_url_convertor("any", _AnyText())


def session_routes(name: str, handler: Handler, method: str = "GET") -> list[BaseRoute]:
    """Return the routes of a session; the ids `.` and `..` have shorter ones.

    Most clients resolve these two in a path, even percent-encoded: they request
    `/api/v1/sessions/history` for the session `.`, and `/api/v1/history` for `..`.
    """
    paths = (f"sessions/{{id:any}}/{name}", f"sessions/{name}", name)
    return [Route(f"/api/v1/{path}", handler, methods=[method]) for path in paths]


def session_id_of(request: Request) -> str:
    """Return the id of the session in the path of a request."""
    found: str | None = request.path_params.get("id")
    if found is not None:
        return found
    return "." if "/sessions/" in request.scope["path"] else ".."


def _tick(row: StoredScore) -> HistoryPoint:
    return HistoryPoint(
        timestamp(row.at_ms),
        row.score,
        row.category,  # type: ignore[arg-type] # only these are stored
        row.signals,
        expected_range(row.expected),
    )


def _score(one: TickScore) -> ScorePoint:
    return ScorePoint(timestamp(one.at_ms), one.score, one.category)  # type: ignore[arg-type] # the same


def _step(step: HistoryStep) -> StepPoint:
    return StepPoint(
        timestamp(step.at_ms),
        step.score,
        category(step.score),  # type: ignore[arg-type] # it returns no other
        MostUsers(step.max_active_users, step.max_total_users),
        step.min_score,
        step.max_score,
        step.ticks,
    )


def _cell(point: HistoryPoint | StepPoint, column: str) -> object:
    return getattr(point, column) if hasattr(point, column) else getattr(point.signals, column)


def _explained(update: Update, scoring: Scoring) -> Explanation:
    known = {one.signal: one for one in scoring.explain(update.signals)}
    parts = [
        SignalPart(
            *(name, label, known[name].raw, unit),
            *(known[name].normalised, known[name].weight, known[name].contribution),
        )
        for name, label, unit in _SIGNALS
    ]
    return Explanation(
        update.session_id,
        update.event_id,
        update.tenant_id,
        update.timestamp,
        update.score,
        update.category,
        parts,
        noticeable_s(update.signals.chat_msgs_per_min + update.signals.reactions_per_min),
        update.audience,
    )
