"""The parts of which the descriptions of paths are made."""

from collections.abc import Mapping
from typing import Any, Final

from conductor_actors.dashboard.bodies import Refusal

SESSION_ID: Final = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The id of the session, percent-encoded. For clients that resolve `.` and `..` "
    "in paths, `/api/v1/sessions/history` is that of the session `.`, and "
    "`/api/v1/history` that of `..`.",
}
TENANT_PARAMETER: Final = {
    "name": "tenant",
    "in": "query",
    "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$", "default": "default"},
    "description": "The tenant of the sessions. With a token, only its own tenant is allowed. "
    "Without a key, any tenant is allowed on loopback.",
}
_USUAL_REFUSALS: Final[dict[str, str | None]] = {
    "400": "The request is invalid.",
    "401": "The token is missing or invalid.",
    "403": "The token does not give access to this tenant or session.",
    "404": "The session is not known.",
    "429": "Too many requests at once: repeat it after the seconds in `Retry-After`.",
    "501": "The rows are in several databases, of which this can't be put together.",
    "503": "The database is unavailable.",
}


def query_parameter(name: str, schema: Mapping[str, Any], description: str) -> dict[str, Any]:
    """Return the description of a parameter."""
    return {"name": name, "in": "query", "schema": dict(schema), "description": description}


def time_parameter(name: str, description: str) -> dict[str, Any]:
    """Return the description of a parameter that is an instant."""
    return query_parameter(name, {"type": "string", "format": "date-time"}, description)


def get(
    summary: str,
    body: type | Mapping[str, Any],
    parameters: tuple[Any, ...],
    *,
    has_csv: bool = False,
) -> dict[str, Any]:
    """Return the description of a path that returns data."""
    returned = content(body)
    if has_csv:
        returned["text/csv"] = {"schema": {"type": "string"}}
    return {
        "get": {
            "summary": summary,
            "parameters": list(parameters),
            "security": [{"token": []}, {}],
            "responses": {"200": {"description": "Success.", "content": returned}}
            | refusal_responses({}),
        }
    }


def post(
    summary: str,
    bodies: tuple[type, Mapping[str, type]],
    parameters: tuple[Any, ...],
    refusals: Mapping[str, str | None],
) -> dict[str, Any]:
    """Return the description of a path that accepts data.

    `bodies` are that of the request, and that of the response with its status.
    """
    return change("post", summary, bodies, parameters, refusals)


def change(  # noqa: PLR0913 - it describes a request
    method: str,
    summary: str,
    bodies: tuple[type | None, Mapping[str, type]],
    parameters: tuple[Any, ...],
    refusals: Mapping[str, str | None],
    *,
    is_body_required: bool = True,
) -> dict[str, Any]:
    """Return the same description of another method; a request may have no body."""
    request, responses = bodies
    body = {} if request is None else {"content": content(request), "required": is_body_required}
    returned = {
        status: {"description": "Accepted.", "content": content(body)}
        for status, body in responses.items()
    }
    return {
        method: {
            "summary": summary,
            "parameters": list(parameters),
            **({"requestBody": body} if body else {}),
            "security": [{"token": []}, {}],
            "responses": returned
            | refusal_responses({"413": "The body is too large.", **refusals}),
        }
    }


def refusal_responses(others: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the descriptions of refusals; `others` replace the usual ones, or remove them."""
    return {
        status: {"description": meaning, "content": content(Refusal)}
        for status, meaning in sorted((_USUAL_REFUSALS | dict(others)).items())
        if meaning is not None
    }


def content(body: type | Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of a body: a type, or a schema."""
    return {"application/json": {"schema": reference(body) if isinstance(body, type) else body}}


def reference(body: type) -> dict[str, str]:
    """Return a reference to the schema of a type."""
    return {"$ref": f"#/components/schemas/{body.__name__}"}
