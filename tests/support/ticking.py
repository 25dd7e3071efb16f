"""An intake and its schedule of ticks on one thread, as a replay has them."""

from collections.abc import Iterator, Sequence

from conductor_actors.domain.intake import (
    Entry,
    EventsBySession,
    Intake,
    IntakeRules,
    IntakeState,
)
from conductor_actors.domain.replayer import with_ticks
from conductor_actors.domain.ticks import TickDue, TickPosition, TickSchedule


class TickingIntake(Intake):
    """Returns the ticks between the batches, too."""

    def __init__(self, rules: IntakeRules, state: IntakeState | None = None) -> None:
        super().__init__(rules, state)
        position = state.position if state else TickPosition()
        self._schedule = TickSchedule(rules.tick_s, rules.timeout_s, rules.window_s, position)

    @property
    def next_tick_ms(self) -> int | None:
        return self._schedule.position.next_ms

    def start_ticks_at(self, at_ms: int) -> None:
        super().start_ticks_at(at_ms)
        if hasattr(self, "_schedule"):
            self._schedule.start_at(at_ms)

    def take_ticking(
        self, entries: Sequence[Entry], watermark_ms: int | None = None
    ) -> Iterator[EventsBySession | TickDue]:
        yield from with_ticks(self, self._schedule, entries, watermark_ms)
