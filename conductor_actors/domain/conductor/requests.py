"""What reaches the conductor of a session: requests of people, and reports of what was done.

Each is an entry like an event, so replay and recovery see the same in the same order. None of them
is activity of the session. Source of the names: the contract, section 7.
"""

from typing import Any, TypeAlias, final

import msgspec

from conductor_actors.domain.conductor.interventions import ActionType, Mode


@final
class ModeSet(msgspec.Struct, frozen=True, gc=False, tag="mode"):
    """The mode of a session; None: that of its event."""

    at_ms: int
    mode: Mode | None


@final
class Approved(msgspec.Struct, frozen=True, tag="approve"):
    """A suggestion is approved, with other content if that is not None."""

    at_ms: int
    decision_id: str
    content: dict[str, Any] | None = None


@final
class Dismissed(msgspec.Struct, frozen=True, gc=False, tag="dismiss"):
    """A suggestion is dismissed."""

    at_ms: int
    decision_id: str
    reason: str | None = None


@final
class ManualRequested(msgspec.Struct, frozen=True, tag="manual"):
    """A person starts an action."""

    at_ms: int
    intervention_id: str
    action: ActionType
    reason: str
    content: dict[str, Any] | None = None


@final
class InterventionSent(msgspec.Struct, frozen=True, gc=False, tag="sent"):
    """The courier sent an action, or refused to for a limit of the event."""

    at_ms: int
    intervention_id: str
    refused: str | None = None


@final
class InterventionReported(msgspec.Struct, frozen=True, gc=False, tag="reported"):
    """The platform carried an action out, or failed to."""

    at_ms: int
    intervention_id: str
    is_success: bool
    error: str | None = None


ConductRequest: TypeAlias = (
    ModeSet | Approved | Dismissed | ManualRequested | InterventionSent | InterventionReported
)
