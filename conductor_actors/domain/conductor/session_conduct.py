"""The conductor's state in one session: what is open, and what was requested since the last tick.

A value: requests are added to it as they come, and each tick replaces it.
"""

from typing import Final

import msgspec

from conductor_actors.domain.conductor.action_limits import SentAction
from conductor_actors.domain.conductor.interventions import Intervention, Mode
from conductor_actors.domain.conductor.requests import (
    ConductRequest,
    InterventionReported,
    InterventionSent,
    ManualRequested,
    ModeSet,
)

MAX_REQUESTS: Final = 100  # between two ticks; more are a flood


class Measurement(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The scores that follow an intervention: their sum in millionths, of how many ticks."""

    intervention_id: str
    began_ms: int
    total: int = 0
    ticks: int = 0


class SessionConduct(msgspec.Struct, frozen=True, array_like=True):
    """What the conductor knows of a session. `mode` is None unless it was set for the session.

    `open` are the interventions whose status can still change, oldest first.
    """

    mode: Mode | None = None
    requests: tuple[ConductRequest, ...] = ()
    open: tuple[Intervention, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    sent: tuple[SentAction, ...] = ()

    @property
    def unsent(self) -> tuple[Intervention, ...]:
        """The interventions that are to be sent, and not known to be."""
        return tuple(each for each in self.open if each.is_to_send)

    def after(self, request: ConductRequest) -> "SessionConduct":
        """Return the state with a request for the next tick, unless it can change nothing."""
        if len(self.requests) >= MAX_REQUESTS or not self._concerns(request):
            return self
        return msgspec.structs.replace(self, requests=(*self.requests, request))

    def _concerns(self, request: ConductRequest) -> bool:
        match request:
            case ModeSet() | ManualRequested():
                return True
            case InterventionSent() | InterventionReported():
                return any(each.id == request.intervention_id for each in self.open)
            case _:
                return any(each.id == request.decision_id for each in self.open)


NO_CONDUCT: Final = SessionConduct()
