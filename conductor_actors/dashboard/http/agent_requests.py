"""Read the bodies of requests to the conductor."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
from starlette.requests import Request

from conductor_actors.dashboard.access.auth import Denied, is_session_id
from conductor_actors.dashboard.http.request_body import read_body
from conductor_actors.domain.conductor.interventions import ACTIONS, ActionType
from conductor_actors.domain.conductor.templates import check_content, filled_in

T = TypeVar("T")

MAX_CONTENT_BYTES: Final = 1 << 14
MAX_TEMPLATES_BYTES: Final = 1 << 15

_EMPTY: Final = b"{}"


async def read_request(
    request: Request, kind: type[T], shape: str, max_bytes: int = MAX_CONTENT_BYTES
) -> T:
    """Return the body of a request; raise `Denied` if it is invalid. `shape` says what it is.

    No body at all is an empty object.
    """
    body = await read_body(request, max_bytes)
    try:
        return msgspec.json.decode(body or _EMPTY, type=kind)
    except (ValueError, RecursionError) as error:
        reason = f": {error}" if isinstance(error, msgspec.ValidationError) else ""
        raise Denied(400, "invalid_body", f"the body is {shape}{reason}") from None


def checked_content(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of an action in full; raise `Denied` if it can't be sent."""
    try:
        return check_content(action_type(kind), content)
    except ValueError as error:
        raise Denied(400, "invalid_content", str(error)) from None


def final_content(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of an action that is sent as it is: it may have no placeholders."""
    checked = checked_content(kind, content)
    if filled_in(checked, {}) != checked:
        reason = "placeholders such as {people} are for templates: write what is to be sent"
        raise Denied(400, "invalid_content", reason)
    return checked


def action_type(text: str) -> ActionType:
    """Return the type of an action; raise `Denied` if it is none."""
    for action in ACTIONS:
        if text == action:
            return action
    raise Denied(400, "invalid_type", f"the type of an action is one of {', '.join(ACTIONS)}")


def decision_id_of(request: Request) -> str:
    """Return the id of the decision in the path of a request; raise `Denied` if it is none."""
    try:
        return str(UUID(request.path_params["decision"]))
    except ValueError:
        raise Denied(400, "invalid_decision", "a decision's id is a UUID") from None


def check_text(text: str, name: str) -> None:
    """Raise `Denied` if a text is none that can be stored and shown."""
    if not text.strip() or any(char < " " or "\ud800" <= char <= "\udfff" for char in text):
        raise Denied(400, f"invalid_{name}", f"{name} is plain text on one line")


def check_event_id(event_id: str) -> None:
    """Raise `Denied` if a text is no id of an event."""
    if not is_session_id(event_id):
        raise Denied(400, "invalid_event", "an event's id is text of 1 to 255 characters")
