"""The part of the OpenAPI document that describes the paths of anomalies."""

from typing import Any, Final

from conductor_actors.dashboard.bodies import (
    AnomalyList,
    AnomalyRecord,
    FeedbackRequest,
    QualityReport,
)
from conductor_actors.dashboard.http.anomaly_query import (
    DEFAULT_ANOMALIES_PER_PAGE,
    MAX_ANOMALIES_PER_PAGE,
)
from conductor_actors.dashboard.http.openapi_parts import (
    SESSION_ID,
    TENANT_PARAMETER,
    get,
    post,
    query_parameter,
    time_parameter,
)

_ID_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 255}
_UNTIL: Final = time_parameter("to", "End of the range, exclusive. Default: now.")
_DAY: Final = (
    time_parameter(
        "from", "Begin of the first anomaly, at the earliest. Default: a day before `to`."
    ),
    _UNTIL,
)
_PAGE: Final = (
    *_DAY,
    query_parameter("open", {"type": "boolean"}, "Only anomalies that are open, or that are over."),
    query_parameter(
        "order", {"type": "string", "enum": ["newest", "oldest"], "default": "newest"}, "First."
    ),
    query_parameter(
        "limit",
        {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_ANOMALIES_PER_PAGE,
            "default": DEFAULT_ANOMALIES_PER_PAGE,
        },
        "Anomalies of a page.",
    ),
    query_parameter("cursor", {"type": "string"}, "`next` of the page before."),
)
_ANOMALY_ID: Final = {
    "name": "anomaly",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
    "description": "The id of the anomaly.",
}


def anomaly_paths() -> dict[str, Any]:
    """Return the paths."""
    return {
        "/api/v1/sessions/{id}/anomalies": get(
            "Return the stored anomalies of a session. Those of the session `..` are at "
            "`/api/v1/anomalies?session=..`.",
            AnomalyList,
            (SESSION_ID, *_PAGE, TENANT_PARAMETER),
        ),
        "/api/v1/anomalies": get(
            "Return the stored anomalies of a tenant.",
            AnomalyList,
            (
                query_parameter("session", _ID_TEXT, "Only those of this session."),
                query_parameter("event", _ID_TEXT, "Only those of this event."),
                *(*_PAGE, TENANT_PARAMETER),
            ),
        ),
        "/api/v1/anomalies/quality": get(
            "Return how many anomalies of each type there were, and how many were no problem.",
            QualityReport,
            (time_parameter("from", "Default: a week before `to`."), _UNTIL, TENANT_PARAMETER),
        ),
        "/api/v1/anomalies/{anomaly}/feedback": post(
            "Report whether an anomaly was a problem. The last report counts.",
            (FeedbackRequest, {"200": AnomalyRecord}),
            (_ANOMALY_ID, TENANT_PARAMETER),
            {
                "404": "The anomaly is not known, or not one of a session of the token.",
                "503": "The database is unavailable, or does not have the anomaly yet.",
            },
        ),
    }
