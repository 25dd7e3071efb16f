"""The rules and the state of an intake. Apart from `intake`, which is compiled."""

import msgspec

from conductor_actors.domain.conductor.directives import Directives
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.quotas import NO_LIMITS, Limits, QuotasState
from conductor_actors.domain.ticks import TickPosition


class IntakeRules(msgspec.Struct, frozen=True):
    """How events become batches and ticks."""

    tick_s: int = 5
    timeout_s: int = 1800
    max_event_bytes: int = 65536
    window_s: int = 60
    limits: Limits = NO_LIMITS


class IntakeState(msgspec.Struct, frozen=True, array_like=True):
    """What an intake resumes from: everything that later batches and ticks depend on."""

    next_tick_ms: int | None = None
    passed_ms: int = 0
    last_event_ms: int | None = None
    gaps: tuple[Gap, ...] = ()
    quotas: QuotasState | None = None
    directives: dict[str, Directives] = {}

    @property
    def position(self) -> TickPosition:
        """The position of the schedule of ticks."""
        return TickPosition(self.passed_ms, self.next_tick_ms)
