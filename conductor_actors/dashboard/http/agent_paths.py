"""The part of the OpenAPI document that describes the paths of the conductor."""

from typing import Any, Final

from conductor_actors.dashboard.agent_bodies import (
    ApprovalRequest,
    DecisionAnswered,
    DecisionExplanation,
    DecisionList,
    DismissalRequest,
    EffectReport,
    EventMode,
    InterventionStats,
    ManualAccepted,
    ManualRequest,
    ModeRequest,
    RegistrationRequest,
    SessionAgent,
    Templates,
    TemplatesRequest,
)
from conductor_actors.dashboard.http import agent_query
from conductor_actors.dashboard.http.openapi_parts import (
    SESSION_ID,
    TENANT_PARAMETER,
    change,
    get,
    query_parameter,
    reference,
)
from conductor_actors.wire.intervention_bodies import DecisionBody

AGENT_BODIES: Final = (
    *(ModeRequest, SessionAgent, EventMode, ApprovalRequest, DismissalRequest, DecisionAnswered),
    *(DecisionExplanation, DecisionList, RegistrationRequest, ManualRequest, ManualAccepted),
    *(InterventionStats, EffectReport, TemplatesRequest, Templates, DecisionBody),
)

_NEEDS_CONDUCT: Final = (
    " Needs a token with the claim `conduct: true`; without a key, it is accepted on loopback only."
)
_COMMAND_REFUSALS: Final[dict[str, str | None]] = {
    "403": "The token does not allow commands, or not to this tenant or session.",
    "404": None,
    "409": "There is no conductor: `CONDUCTOR_INTERVENTIONS=false`.",
    "503": "Redis is unavailable: repeat it after the seconds in `Retry-After`.",
}
_ANSWER_REFUSALS: Final = _COMMAND_REFUSALS | {
    "404": "Nothing is known of this decision.",
    "409": "It is decided already, has expired, or there is no conductor.",
    "503": "Redis or the database is unavailable: repeat it after the seconds in `Retry-After`.",
}


def _path_parameter(name: str, description: str, **schema: Any) -> dict[str, Any]:  # noqa: ANN401
    usual = {"type": "string", "minLength": 1, "maxLength": 255}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": schema or usual,
        "description": description,
    }


def _number(name: str, least: int, most: int, default: int, description: str) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": least, "maximum": most, "default": default}
    return query_parameter(name, schema, description)


_AGENT_SESSION: Final = SESSION_ID | {"description": "The id of the session, percent-encoded."}
_DECISION: Final = _path_parameter(
    "decision", "The id of the decision.", type="string", format="uuid"
)
_EVENT: Final = _path_parameter("event", "The id of the event, percent-encoded.")
_SESSION: Final = _path_parameter("session", "The id of the session, percent-encoded.")
_LIMIT: Final = _number(
    "limit",
    *(1, agent_query.MAX_INTERVENTIONS, agent_query.DEFAULT_INTERVENTIONS),
    "The largest number of interventions.",
)
_HISTORY: Final = {"type": "array", "items": reference(DecisionBody)}


def agent_paths() -> dict[str, Any]:
    """Return the paths."""
    return _session_paths() | _decision_paths() | _intervention_paths() | _template_paths()


def _session_paths() -> dict[str, Any]:
    session = (_AGENT_SESSION, TENANT_PARAMETER)
    base = "/api/v1/agent/sessions"
    return {
        f"{base}/{{id}}/status": get(
            "Return mode and status of the conductor in a session.", SessionAgent, session
        ),
        f"{base}/{{id}}/mode": change(
            "put",
            "Set the mode of a session, from its next tick on; null: that of its event."
            + _NEEDS_CONDUCT,
            (ModeRequest, {"200": SessionAgent}),
            session,
            _COMMAND_REFUSALS,
        ),
        f"{base}/{{id}}": change(
            "delete",
            "Accepted for existing clients: a session ends by itself." + _NEEDS_CONDUCT,
            (None, {"202": SessionAgent}),
            session,
            _COMMAND_REFUSALS,
        ),
        f"{base}/register": change(
            "post",
            "Accepted for existing clients: a session registers itself." + _NEEDS_CONDUCT,
            (RegistrationRequest, {"202": SessionAgent}),
            (TENANT_PARAMETER,),
            _COMMAND_REFUSALS,
        ),
        "/api/v1/agent/events/{event}/mode": change(
            "put",
            "Set the mode of the sessions of an event that have none of their own; null: the "
            "default." + _NEEDS_CONDUCT + " A token for some sessions is not enough.",
            (ModeRequest, {"200": EventMode}),
            (_EVENT, TENANT_PARAMETER),
            _COMMAND_REFUSALS,
        ),
    }


def _decision_paths() -> dict[str, Any]:
    one = (_AGENT_SESSION, _DECISION, TENANT_PARAMETER)
    base = "/api/v1/agent/sessions/{id}/decisions/{decision}"
    return {
        "/api/v1/agent/decisions": get(
            "Return the decisions that are open, or changed in the last five minutes.",
            DecisionList,
            (TENANT_PARAMETER,),
        ),
        base: get(
            "Return an intervention, and the random choice that led to it.",
            DecisionExplanation,
            one,
        ),
        f"{base}/approve": change(
            "post",
            "Approve a suggestion, with other content if it is not absent or null."
            + _NEEDS_CONDUCT,
            (ApprovalRequest, {"200": DecisionAnswered}),
            one,
            _ANSWER_REFUSALS,
            is_body_required=False,
        ),
        f"{base}/reject": change(
            "post",
            "Dismiss a suggestion." + _NEEDS_CONDUCT,
            (DismissalRequest, {"200": DecisionAnswered}),
            one,
            _ANSWER_REFUSALS,
            is_body_required=False,
        ),
    }


def _intervention_paths() -> dict[str, Any]:
    offset = _number("offset", 0, agent_query.MAX_OFFSET, 0, "Interventions before the first.")
    hours = _number("hours", 1, agent_query.MAX_HOURS, agent_query.DEFAULT_HOURS, "Until now.")
    days = _number(
        "days", 1, agent_query.MAX_EFFECT_DAYS, agent_query.DEFAULT_EFFECT_DAYS, "Until now."
    )
    return {
        "/api/v1/interventions/manual": change(
            "post",
            "Start an action in a session, which has the id of the response. Limits hold: whether "
            "it was sent is in its history." + _NEEDS_CONDUCT,
            (ManualRequest, {"202": ManualAccepted}),
            (TENANT_PARAMETER,),
            _COMMAND_REFUSALS
            | {"404": "The session is not live.", "409": "The mode is OFF, or no conductor."},
        ),
        "/api/v1/interventions/history/{session}": get(
            "Return a session's interventions, newest first.",
            _HISTORY,
            (_SESSION, _LIMIT, offset, TENANT_PARAMETER),
        ),
        "/api/v1/interventions/history/event/{event}": get(
            "Return an event's interventions of the last hours, newest first.",
            _HISTORY,
            (_EVENT, hours, _LIMIT, TENANT_PARAMETER),
        ),
        "/api/v1/interventions/stats/{session}": get(
            "Return the numbers of a session's interventions.",
            InterventionStats,
            (_SESSION, TENANT_PARAMETER),
        ),
        "/api/v1/effects": get(
            "Return what each type of action changed, against doing nothing.",
            EffectReport,
            (days, TENANT_PARAMETER),
        ),
    }


def _template_paths() -> dict[str, Any]:
    replaced = change(
        "put",
        "Replace what the actions say; types that are absent have the defaults." + _NEEDS_CONDUCT,
        (TemplatesRequest, {"200": Templates}),
        (TENANT_PARAMETER,),
        _COMMAND_REFUSALS,
    )
    read = get("Return what the actions say.", Templates, (TENANT_PARAMETER,))
    return {"/api/v1/agent/templates": read | replaced}
