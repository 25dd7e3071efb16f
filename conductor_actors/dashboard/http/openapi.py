"""The OpenAPI 3.1 document of the HTTP API. Schemas are generated from the body types."""

from functools import cache
from importlib.metadata import version
from typing import Any, Final

import msgspec

from conductor_actors.dashboard.bodies import (
    AnomalyList,
    CommandAccepted,
    Explanation,
    FeedbackRequest,
    History,
    QualityReport,
    QuietRequest,
    Refusal,
    ScoreHistories,
    SessionList,
    StepHistory,
)
from conductor_actors.dashboard.http.agent_paths import AGENT_BODIES, agent_paths
from conductor_actors.dashboard.http.anomaly_paths import anomaly_paths
from conductor_actors.dashboard.http.history_paths import HISTORY_BODIES, history_paths
from conductor_actors.dashboard.http.openapi_parts import (
    SESSION_ID,
    TENANT_PARAMETER,
    content,
    get,
    post,
    reference,
    time_parameter,
)
from conductor_actors.dashboard.http.query import MAX_POINTS, MAX_SESSIONS
from conductor_actors.observability.health import Health, Readiness

_BODIES: Final = (
    *(SessionList, History, StepHistory, ScoreHistories, Explanation),
    *(QuietRequest, CommandAccepted, AnomalyList, QualityReport, FeedbackRequest),
    *(Health, Readiness, Refusal),
    *AGENT_BODIES,
    *HISTORY_BODIES,
)

_SESSIONS: Final = {
    "name": "session",
    "in": "query",
    "required": True,
    "schema": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 255},
        "minItems": 1,
        "maxItems": MAX_SESSIONS,
    },
    "style": "form",
    "explode": True,
    "description": "The id of a session; repeat it for each one, such as `session=a&session=b`.",
}
_RANGE: Final = (
    time_parameter("from", "Start of the range, inclusive. Default: one hour before `to`."),
    time_parameter("to", "End of the range, exclusive. Default: now."),
)
_STEPS: Final = (
    *_RANGE,
    {
        "name": "step",
        "in": "query",
        "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,4}[smh]$", "example": "1m"},
        "description": "Time between points, a multiple of the tick. Default: the tick. The range "
        "is extended to whole steps.",
    },
)


@cache
def document() -> dict[str, Any]:
    """Return the document."""
    _, schemas = msgspec.json.schema_components(_BODIES, ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Conductor Actors",
            "version": version("conductor-actors"),
            "description": "Live engagement scores. Socket.IO on the same port sends live updates.",
        },
        "paths": _paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _paths() -> dict[str, Any]:
    return {
        "/api/v1/sessions/{id}/history": get(
            "Return the stored scores of a session, as JSON or CSV.",
            {"oneOf": [reference(History), reference(StepHistory)]},
            (SESSION_ID, *_STEPS, TENANT_PARAMETER),
            has_csv=True,
        ),
        "/api/v1/histories": get(
            "Return the stored scores of several sessions, without signals. The points of all "
            f"sessions may be {MAX_POINTS:,} at most.",
            ScoreHistories,
            (_SESSIONS, *_RANGE, TENANT_PARAMETER),
        ),
        "/api/v1/sessions/{id}/explanation": get(
            "Return the contribution of each signal to the latest score.",
            Explanation,
            (SESSION_ID, TENANT_PARAMETER),
        ),
        "/api/v1/sessions/{id}/quiet": post(
            "Make a session quiet until a time: a break, or its end, is no anomaly then. Needs a "
            "token with the claim `conduct: true`; without a key, it is accepted on loopback only. "
            "The session's updates have `quietUntil` from the next tick on. A session that is not "
            "live ignores it. A later request replaces an earlier one; `until: null`, or a time "
            "that has passed, ends it.",
            (QuietRequest, {"202": CommandAccepted}),
            (SESSION_ID, TENANT_PARAMETER),
            {
                "403": "The token does not allow commands, or not to this tenant or session.",
                "404": None,
                "503": "Redis is unavailable: repeat it after the seconds in `Retry-After`.",
            },
        ),
        **history_paths(),
        **anomaly_paths(),
        **agent_paths(),
        "/api/v1/openapi.json": _open("Return this document.", 200, {"type": "object"}),
        "/health": _open(
            "Return the state of the process and of the servers it uses.", 200, Health
        ),
        "/ready": _open(
            "Return whether clients receive updates.", 200, Readiness, or_503=Readiness
        ),
    }


def _open(summary: str, status: int, body: Any, *, or_503: type | None = None) -> Any:  # noqa: ANN401
    responses = {str(status): {"description": "Success.", "content": content(body)}}
    if or_503 is not None:
        responses["503"] = {"description": "Not ready.", "content": content(or_503)}
    return {"get": {"summary": summary, "security": [], "responses": responses}}
