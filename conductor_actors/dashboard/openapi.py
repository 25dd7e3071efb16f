"""The HTTP API as an OpenAPI 3.1 document: paths by hand, bodies from their types."""

from functools import cache
from importlib.metadata import version
from typing import Any, Final

import msgspec

from conductor_actors.dashboard.bodies import (
    Explanation,
    Health,
    History,
    Readiness,
    Refusal,
    SessionList,
    StepHistory,
)

_BODIES: Final = (SessionList, History, StepHistory, Explanation, Health, Readiness, Refusal)

_ID: Final = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The session's id; a slash in it is written %2F or as it is.",
}
_TENANT: Final = {
    "name": "tenant",
    "in": "query",
    "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$", "default": "default"},
    "description": "Whose sessions; only without a key and on loopback. A token has its own.",
}


def _time(name: str, description: str) -> dict[str, Any]:
    schema = {"type": "string", "format": "date-time"}
    return {"name": name, "in": "query", "schema": schema, "description": description}


_RANGE: Final = (
    _time("from", "The first instant; an hour before `to` if not given."),
    _time("to", "The first instant no more asked for; now if not given."),
    {
        "name": "step",
        "in": "query",
        "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,4}[smh]$", "example": "1m"},
        "description": "Distance of the points, a multiple of the tick; every tick if not given. "
        "Ranges are widened to whole steps.",
    },
)


@cache
def document() -> dict[str, Any]:
    """Make the document."""
    _, schemas = msgspec.json.schema_components(_BODIES, ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Engagement",
            "version": version("conductor-actors"),
            "description": "Live engagement scores. Updates come by Socket.IO on the same port.",
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
            "List the live sessions of the caller's tenant.", SessionList, (_TENANT,)
        ),
        "/api/v1/sessions/{id}/history": _get(
            "Give a session's stored scores.",
            {"oneOf": [_ref(History), _ref(StepHistory)]},
            (_ID, *_RANGE, _TENANT),
            csv=True,
        ),
        "/api/v1/sessions/{id}/explanation": _get(
            "Show how the latest score came about, signal by signal.", Explanation, (_ID, _TENANT)
        ),
        "/api/v1/openapi.json": _open("Describe this API.", 200, {"type": "object"}),
        "/health": _open("Tell that the process works, and how its surroundings do.", 200, Health),
        "/ready": _open("Tell whether updates reach clients.", 200, Readiness, or_503=Readiness),
    }


def _get(summary: str, body: Any, parameters: tuple[Any, ...], *, csv: bool = False) -> Any:  # noqa: ANN401
    content = _content(body)
    if csv:
        content["text/csv"] = {"schema": {"type": "string"}}
    refusals = {
        "400": "The request is wrong.",
        "401": "A token is needed, or this one is not accepted.",
        "403": "The token is for something else.",
        "404": "Nothing is known of it.",
        "503": "The database can't be asked now.",
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
            "responses": {"200": {"description": "As asked.", "content": content}} | responses,
        }
    }


def _open(summary: str, status: int, body: Any, *, or_503: type | None = None) -> Any:  # noqa: ANN401
    responses = {str(status): {"description": "As asked.", "content": _content(body)}}
    if or_503 is not None:
        responses["503"] = {"description": "Not now.", "content": _content(or_503)}
    return {"get": {"summary": summary, "security": [], "responses": responses}}


def _content(body: Any) -> dict[str, Any]:  # noqa: ANN401 - a type or a schema
    return {"application/json": {"schema": body if isinstance(body, dict) else _ref(body)}}


def _ref(body: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{body.__name__}"}
