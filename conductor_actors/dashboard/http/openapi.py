"""The OpenAPI 3.1 document of the HTTP API. Schemas are generated from the body types."""

from functools import cache
from importlib.metadata import version
from typing import Any, Final

import msgspec

from conductor_actors.dashboard.bodies import (
    CommandAccepted,
    Explanation,
    History,
    QuietRequest,
    Refusal,
    ScoreHistories,
    SessionList,
    StepHistory,
)
from conductor_actors.dashboard.http.query import MAX_POINTS, MAX_SESSIONS
from conductor_actors.observability.health import Health, Readiness

_BODIES: Final = (
    *(SessionList, History, StepHistory, ScoreHistories, Explanation),
    *(QuietRequest, CommandAccepted, Health, Readiness, Refusal),
)

_ID: Final = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The id of the session, percent-encoded. For clients that resolve `.` and `..` "
    "in paths, `/api/v1/sessions/history` is that of the session `.`, and "
    "`/api/v1/history` that of `..`.",
}
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
_TENANT_PARAMETER: Final = {
    "name": "tenant",
    "in": "query",
    "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$", "default": "default"},
    "description": "The tenant of the sessions. With a token, only its own tenant is allowed. "
    "Without a key, any tenant is allowed on loopback.",
}


def _time(name: str, description: str) -> dict[str, Any]:
    schema = {"type": "string", "format": "date-time"}
    return {"name": name, "in": "query", "schema": schema, "description": description}


_RANGE: Final = (
    _time("from", "Start of the range, inclusive. Default: one hour before `to`."),
    _time("to", "End of the range, exclusive. Default: now."),
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
        "/api/v1/sessions": _get(
            "List the live sessions of a tenant.", SessionList, (_TENANT_PARAMETER,)
        ),
        "/api/v1/sessions/{id}/history": _get(
            "Return the stored scores of a session, as JSON or CSV.",
            {"oneOf": [_ref(History), _ref(StepHistory)]},
            (_ID, *_STEPS, _TENANT_PARAMETER),
            csv=True,
        ),
        "/api/v1/histories": _get(
            "Return the stored scores of several sessions, without signals. The points of all "
            f"sessions may be {MAX_POINTS:,} at most.",
            ScoreHistories,
            (_SESSIONS, *_RANGE, _TENANT_PARAMETER),
        ),
        "/api/v1/sessions/{id}/explanation": _get(
            "Return the contribution of each signal to the latest score.",
            Explanation,
            (_ID, _TENANT_PARAMETER),
        ),
        "/api/v1/sessions/{id}/quiet": _post(
            "Make a session quiet until a time: a break, or its end, is no anomaly then. Needs a "
            "token with the claim `conduct: true`; without a key, it is accepted on loopback only. "
            "The session's updates have `quietUntil` from the next tick on. A session that is not "
            "live ignores it. A later request replaces an earlier one; `until: null`, or a time "
            "that has passed, ends it.",
            QuietRequest,
            (_ID, _TENANT_PARAMETER),
        ),
        "/api/v1/openapi.json": _open("Return this document.", 200, {"type": "object"}),
        "/health": _open(
            "Return the state of the process and of the servers it uses.", 200, Health
        ),
        "/ready": _open(
            "Return whether clients receive updates.", 200, Readiness, or_503=Readiness
        ),
    }


def _get(summary: str, body: Any, parameters: tuple[Any, ...], *, csv: bool = False) -> Any:  # noqa: ANN401
    content = _content(body)
    if csv:
        content["text/csv"] = {"schema": {"type": "string"}}
    refusals = {
        "400": "The request is invalid.",
        "401": "The token is missing or invalid.",
        "403": "The token does not give access to this tenant or session.",
        "404": "The session is not known.",
        "429": "Too many requests at once: repeat it after the seconds in `Retry-After`.",
        "503": "The database is unavailable.",
    }
    responses = {
        code: {"description": meaning, "content": _content(Refusal)}
        for code, meaning in refusals.items()
    }
    return {
        "get": {
            "summary": summary,
            "parameters": list(parameters),
            "security": [{"token": []}, {}],
            "responses": {"200": {"description": "Success.", "content": content}} | responses,
        }
    }


def _post(summary: str, body: type, parameters: tuple[Any, ...]) -> Any:  # noqa: ANN401
    refusals = {
        "400": "The request is invalid.",
        "401": "The token is missing or invalid.",
        "403": "The token does not allow commands, or not to this tenant or session.",
        "413": "The body is too large.",
        "429": "Too many requests at once: repeat it after the seconds in `Retry-After`.",
        "503": "Redis is unavailable: repeat it after the seconds in `Retry-After`.",
    }
    responses = {
        code: {"description": meaning, "content": _content(Refusal)}
        for code, meaning in refusals.items()
    }
    accepted = {"description": "Accepted.", "content": _content(CommandAccepted)}
    return {
        "post": {
            "summary": summary,
            "parameters": list(parameters),
            "requestBody": {"required": True, "content": _content(body)},
            "security": [{"token": []}, {}],
            "responses": {"202": accepted} | responses,
        }
    }


def _open(summary: str, status: int, body: Any, *, or_503: type | None = None) -> Any:  # noqa: ANN401
    responses = {str(status): {"description": "Success.", "content": _content(body)}}
    if or_503 is not None:
        responses["503"] = {"description": "Not ready.", "content": _content(or_503)}
    return {"get": {"summary": summary, "security": [], "responses": responses}}


def _content(body: Any) -> dict[str, Any]:  # noqa: ANN401 - a type or a schema
    return {"application/json": {"schema": body if isinstance(body, dict) else _ref(body)}}


def _ref(body: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{body.__name__}"}
