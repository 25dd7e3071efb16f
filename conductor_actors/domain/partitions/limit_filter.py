"""The limits of tenants where their whole order is read: before it is split by partition.

What a replay of the same entries refuses, the filter refuses, because both are an intake.
"""

from collections.abc import Sequence

from conductor_actors.domain.entries import Entry
from conductor_actors.domain.intake import Intake
from conductor_actors.domain.intake_state import IntakeRules, IntakeState
from conductor_actors.domain.quotas import Limits
from conductor_actors.domain.replayer import with_ticks
from conductor_actors.domain.ticks import TickSchedule


def has_limits(limits: Limits) -> bool:
    """Check whether any limit is set: if none is, nothing is refused."""
    return bool(limits.tenant_events_per_s or limits.tenant_sessions or limits.session_events_per_s)


class LimitFilter:
    """Leaves out the entries that exceed a limit, and counts them."""

    def __init__(self, rules: IntakeRules, state: IntakeState | None = None) -> None:
        position = (state or IntakeState()).position
        self._intake = Intake(rules, state)
        self._intake.collect_refused()
        self._schedule = TickSchedule(rules.tick_s, rules.timeout_s, rules.window_s, position)
        self.pop_refused = self._intake.quotas.pop_refused

    def start_ticks_at(self, at_ms: int) -> None:
        """Start with the first tick at `at_ms` or later."""
        self._intake.start_ticks_at(at_ms)
        self._schedule.start_at(at_ms)

    def admit(self, entries: Sequence[Entry], watermark_ms: int) -> Sequence[Entry]:
        """Return the entries of a read without those that are refused."""
        for _ in with_ticks(self._intake, self._schedule, entries, watermark_ms):
            pass
        self._intake.rejected.clear()  # the collector of the partition reports them
        self._intake.titles.pop()
        refused = set(map(id, self._intake.pop_refused_entries()))
        return [entry for entry in entries if id(entry) not in refused] if refused else entries

    def state(self) -> IntakeState:
        """Return the state after the entries so far."""
        self._intake.flush()
        return self._intake.state()
