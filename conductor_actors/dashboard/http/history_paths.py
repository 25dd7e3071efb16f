"""The part of the OpenAPI document that describes the paths of stored sessions and events."""

from typing import Any, Final

from conductor_actors.dashboard.bodies import SessionList
from conductor_actors.dashboard.http.event_query import MAX_EVENT_SESSIONS_SHOWN
from conductor_actors.dashboard.http.export_paths import export_paths
from conductor_actors.dashboard.http.openapi_parts import (
    SESSION_ID,
    TENANT_PARAMETER,
    change,
    get,
    query_parameter,
    reference,
    time_parameter,
)
from conductor_actors.dashboard.http.session_query import (
    DEFAULT_LISTED,
    MAX_LISTED,
    MAX_SEARCH_CHARS,
)
from conductor_actors.dashboard.http.timeline_query import (
    DEFAULT_TIMELINE_POINTS,
    MAX_TIMELINE_POINTS,
)
from conductor_actors.dashboard.stored_bodies import (
    AboutRequest,
    EventList,
    EventOverview,
    ExportColumns,
    SessionSummaryList,
    SessionTimeline,
    Titles,
)
from conductor_actors.wire.history_bodies import SessionSummary
from conductor_actors.wire.report_bodies import Report

HISTORY_BODIES: Final = (
    *(SessionSummaryList, SessionSummary, Titles, AboutRequest),
    *(SessionTimeline, EventList, EventOverview, Report, ExportColumns),
)

_EVENT_ID_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 255}
_LIST_PARAMETERS: Final = (
    query_parameter(
        "search",
        {"type": "string", "maxLength": MAX_SEARCH_CHARS},
        "Text in an id, a title or the name of a speaker, whatever its case.",
    ),
    time_parameter("from", "The earliest start. Default: any."),
    time_parameter("to", "The latest start, exclusive. Default: any."),
    query_parameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MAX_LISTED, "default": DEFAULT_LISTED},
        "The size of a page.",
    ),
    query_parameter(
        "cursor", {"type": "string"}, "`next` of the page before, with the same filter."
    ),
    TENANT_PARAMETER,
)


_CHART_RANGE: Final = (
    time_parameter("from", "Start of the range, inclusive. Default: the start of all rows."),
    time_parameter("to", "End of the range, exclusive. Default: the end of all rows, or now."),
)


def history_paths() -> dict[str, Any]:
    """Return the paths."""
    return {
        "/api/v1/sessions": get(
            "List the sessions of a tenant: without `state` the newest update of each live one, "
            "without other parameters; with it a page of summaries, newest start first.",
            {"oneOf": [reference(SessionList), reference(SessionSummaryList)]},
            (
                query_parameter(
                    "state", {"type": "string", "enum": ["live", "ended", "all"]}, "Which ones."
                ),
                query_parameter("event", _EVENT_ID_TEXT, "Only those of this event."),
                *_LIST_PARAMETERS,
            ),
        ),
        "/api/v1/titles": get(
            "Return what people call the live and the planned sessions, and their events.",
            Titles,
            (TENANT_PARAMETER,),
        ),
        "/api/v1/sessions/{id}/about": get(
            "Return what is known of a session that has rows or a title.",
            SessionSummary,
            (SESSION_ID, TENANT_PARAMETER),
        )
        | change(
            "put",
            "Change what people call a session, and its event. Needs a token with the claim "
            "`admin: true`; without a key, it is accepted on loopback only. To change the event's "
            "title, or to name the event, the token must give access to all of the event.",
            (AboutRequest, {"200": SessionSummary}),
            (SESSION_ID, TENANT_PARAMETER),
            {"403": "The token does not allow this, or not for this tenant, session or event."},
        ),
        **export_paths(),
        "/api/v1/sessions/{id}/timeline": get(
            "Return the rows of a session in as small steps as the number of points allows.",
            SessionTimeline,
            (
                SESSION_ID,
                *_CHART_RANGE,
                query_parameter(
                    "points",
                    {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": MAX_TIMELINE_POINTS,
                        "default": DEFAULT_TIMELINE_POINTS,
                    },
                    "The most points.",
                ),
                TENANT_PARAMETER,
            ),
        ),
        "/api/v1/events": get(
            "List the events of a tenant's sessions, newest start first.",
            EventList,
            _LIST_PARAMETERS,
        ),
        "/api/v1/events/overview": get(
            "Return the sessions of an event on one axis of time, its curve, and its moments: the "
            f"largest changes within a minute. Without `from` these are the "
            f"{MAX_EVENT_SESSIONS_SHOWN} newest sessions.",
            EventOverview,
            (
                query_parameter("event", _EVENT_ID_TEXT, "The event.") | {"required": True},
                *_CHART_RANGE,
                TENANT_PARAMETER,
            ),
        ),
        "/api/v1/sessions/{id}/report": get(
            "Return what happened in a session until now, compared with the sessions of its event "
            "that have ended and that the caller can see.",
            Report,
            (SESSION_ID, TENANT_PARAMETER),
        ),
        "/api/v1/events/report": get(
            "Return what happened in the sessions of an event that the caller can see.",
            Report,
            (
                query_parameter("event", _EVENT_ID_TEXT, "The event.") | {"required": True},
                TENANT_PARAMETER,
            ),
        ),
    }
