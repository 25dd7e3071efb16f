"""An intake and its schedule of ticks on one thread, as a replay has them."""

from collections.abc import Iterator, Sequence
from typing import Any

from conductor_actors.domain.entries import Entry
from conductor_actors.domain.intake import EventsBySession, Intake
from conductor_actors.domain.intake_state import IntakeRules, IntakeState
from conductor_actors.domain.replayer import with_ticks
from conductor_actors.domain.ticks import TickDue, TickPosition, TickSchedule


class TickingIntake:
    """An intake that returns the ticks between the batches, too."""

    def __init__(self, rules: IntakeRules, state: IntakeState | None = None) -> None:
        position = state.position if state else TickPosition()
        self._intake = Intake(rules, state)
        self._schedule = TickSchedule(rules.tick_s, rules.timeout_s, rules.window_s, position)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._intake, name)

    @property
    def next_tick_ms(self) -> int | None:
        return self._schedule.position.next_ms

    def start_ticks_at(self, at_ms: int) -> None:
        self._intake.start_ticks_at(at_ms)
        self._schedule.start_at(at_ms)

    def take_ticking(
        self, entries: Sequence[Entry], watermark_ms: int | None = None
    ) -> Iterator[EventsBySession | TickDue]:
        yield from with_ticks(self._intake, self._schedule, entries, watermark_ms)
