"""Commands: what people decide for a session or an event, as entries of `conductor:commands`.

A command is an entry like an event, so replay and recovery apply it at the same place. It is read
from the stream alone: whoever may publish in a tenant's name must not command in it. Its body is
`{command, sessionId, …}`, or `{command, …}` without a session for what holds for the whole tenant.
Source of the names: the contract, sections 2 and 7.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, TypeAlias, final

import msgspec

from conductor_actors.domain.conductor.directives import (
    EVERY_SESSION,
    Directive,
    EventModeSet,
    TemplatesSet,
)
from conductor_actors.domain.conductor.interventions import ActionType, Mode
from conductor_actors.domain.conductor.requests import (
    Approved,
    ConductRequest,
    Dismissed,
    ManualRequested,
    ModeSet,
)
from conductor_actors.domain.conductor.templates import check_content
from conductor_actors.domain.identity import Id
from conductor_actors.domain.texts.iso_times import UtcText, milliseconds
from conductor_actors.errors import InvalidEvent

QUIET: Final = "quiet"
APPROVE: Final = "approve"
DISMISS: Final = "dismiss"
MODE: Final = "mode"
MANUAL: Final = "manual"
TEMPLATES: Final = "templates"
MAX_QUIET_MS: Final = 24 * 3_600_000  # after the command: a session can't be silenced by mistake
MAX_REASON_CHARS: Final = 500

# Rows carry what a person starts: one that no database can store would cost the row.
_NewId: TypeAlias = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z", max_length=36
    ),
]
_Reason: TypeAlias = Annotated[str, msgspec.Meta(max_length=MAX_REASON_CHARS)]


@final
class QuietSet(msgspec.Struct, frozen=True, gc=False):
    """Quiet by arrangement until `until_ms`; a time that has passed ends it."""

    at_ms: int
    until_ms: int


class _Command(msgspec.Struct, gc=False):
    command: str


class _Quiet(msgspec.Struct, rename="camel", gc=False):
    session_id: Id
    until: UtcText | None


class _Approve(msgspec.Struct, rename="camel"):
    session_id: Id
    decision_id: Id
    content: dict[str, Any] | None = None


class _Dismiss(msgspec.Struct, rename="camel", gc=False):
    session_id: Id
    decision_id: Id
    reason: _Reason | None = None


class _Mode(msgspec.Struct, rename="camel", gc=False):
    mode: Mode | None
    session_id: Id | None = None
    event_id: Id | None = None


class _Manual(msgspec.Struct, rename="camel"):
    session_id: Id
    intervention_id: _NewId
    intervention_type: ActionType
    reason: _Reason = ""
    content: dict[str, Any] | None = None


class _Templates(msgspec.Struct):
    templates: dict[ActionType, dict[str, Any]]


# The session, or `EVERY_SESSION` of the tenant, and what is commanded.
Command: TypeAlias = tuple[str, QuietSet | ConductRequest | Directive]

_command: Final = msgspec.json.Decoder(_Command).decode
_quiet: Final = msgspec.json.Decoder(_Quiet).decode
_approve: Final = msgspec.json.Decoder(_Approve).decode
_dismiss: Final = msgspec.json.Decoder(_Dismiss).decode
_mode: Final = msgspec.json.Decoder(_Mode).decode
_manual: Final = msgspec.json.Decoder(_Manual).decode
_templates: Final = msgspec.json.Decoder(_Templates).decode
_encode: Final = msgspec.json.Encoder().encode


def encode_quiet(session_id: str, until: str | None) -> bytes:
    """Return the body of a command that makes a session quiet until then, or ends that for None."""
    return _encode({"command": QUIET, "sessionId": session_id, "until": until})


def encode_approval(
    session_id: str, decision_id: str, content: Mapping[str, Any] | None = None
) -> bytes:
    """Return the body of a command that approves a suggestion, with other content if given."""
    body = {"command": APPROVE, "sessionId": session_id, "decisionId": decision_id}
    return _encode(body if content is None else body | {"content": content})


def encode_dismissal(session_id: str, decision_id: str, reason: str | None = None) -> bytes:
    """Return the body of a command that dismisses a suggestion."""
    body = {"command": DISMISS, "sessionId": session_id, "decisionId": decision_id}
    return _encode(body if reason is None else body | {"reason": reason})


def encode_session_mode(session_id: str, mode: Mode | None) -> bytes:
    """Return the body of a command that sets a session's mode; None: that of its event."""
    return _encode({"command": MODE, "sessionId": session_id, "mode": mode})


def encode_event_mode(event_id: str, mode: Mode | None) -> bytes:
    """Return the body of a command that sets the mode of an event's sessions; None: the default."""
    return _encode({"command": MODE, "eventId": event_id, "mode": mode})


def encode_manual(
    session_id: str,
    intervention_id: str,
    kind: ActionType,
    reason: str,
    content: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the body of a command that starts an action; without content it says its template."""
    body = {
        "command": MANUAL,
        "sessionId": session_id,
        "interventionId": intervention_id,
        "interventionType": kind,
        "reason": reason,
    }
    return _encode(body if content is None else body | {"content": content})


def encode_templates(templates: Mapping[ActionType, Mapping[str, Any]]) -> bytes:
    """Return the body of a command that replaces all templates of the tenant."""
    return _encode({"command": TEMPLATES, "templates": templates})


def decode_command(body: bytes, at_ms: int) -> Command:
    """Read `conductor:commands`; raise `InvalidEvent` or msgspec's errors for what is no command.

    `quiet` has `until` as ISO 8601 in UTC, or null to end it.
    """
    decode = _DECODERS.get(_command(body).command)
    if decode is None:
        raise InvalidEvent("unknown_type")
    return decode(body, at_ms)


def _decode_quiet(body: bytes, at_ms: int) -> Command:
    command = _quiet(body)
    until_ms = 0 if command.until is None else max(0, _until_ms(command.until))
    return command.session_id, QuietSet(at_ms, min(until_ms, at_ms + MAX_QUIET_MS))


def _decode_approval(body: bytes, at_ms: int) -> Command:
    command = _approve(body)
    return command.session_id, Approved(at_ms, command.decision_id, command.content)


def _decode_dismissal(body: bytes, at_ms: int) -> Command:
    command = _dismiss(body)
    return command.session_id, Dismissed(at_ms, command.decision_id, command.reason)


def _decode_mode(body: bytes, at_ms: int) -> Command:
    command = _mode(body)
    if command.session_id is not None:
        return command.session_id, ModeSet(at_ms, command.mode)
    if command.event_id is None:
        raise InvalidEvent("missing_id")
    return EVERY_SESSION, EventModeSet(at_ms, command.event_id, command.mode)


def _decode_manual(body: bytes, at_ms: int) -> Command:
    command = _manual(body)
    kind, content = command.intervention_type, _checked(command.intervention_type, command.content)
    request = ManualRequested(at_ms, command.intervention_id, kind, command.reason, content)
    return command.session_id, request


def _decode_templates(body: bytes, at_ms: int) -> Command:
    templates = _templates(body).templates
    checked = {kind: _checked(kind, each) or {} for kind, each in templates.items()}
    return EVERY_SESSION, TemplatesSet(at_ms, checked)


_DECODERS: Final[dict[str, Callable[[bytes, int], Command]]] = {
    QUIET: _decode_quiet,
    APPROVE: _decode_approval,
    DISMISS: _decode_dismissal,
    MODE: _decode_mode,
    MANUAL: _decode_manual,
    TEMPLATES: _decode_templates,
}


def _checked(kind: ActionType, content: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the content of an action; raise `InvalidEvent` if it can't be sent."""
    try:
        return None if content is None else check_content(kind, content)
    except ValueError:
        raise InvalidEvent("wrong_shape") from None


def _until_ms(until: str) -> int:
    try:
        return milliseconds(until)
    except ValueError:
        raise InvalidEvent("wrong_shape") from None
