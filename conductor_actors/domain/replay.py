"""Score recorded events again, without actors and without a clock: the same domain code.

The service's rows depend on the entries alone, so these are the rows it writes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from conductor_actors.domain.intake import (
    Entry,
    EventsBySession,
    Intake,
    IntakeRules,
    SessionKey,
    TickDue,
)
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session import SessionRules, SessionState, row_at


class Summary(NamedTuple):
    """What a replay came to. `invalid` counts by reason."""

    events: int
    skipped: int
    invalid: Counter[str]
    rows: int


class Rules(NamedTuple):
    """Everything that a row depends on beside the entries."""

    intake: IntakeRules
    session: SessionRules
    scoring: Scoring


class Replay:
    """Take entries in the order of their ids; give each tick's rows, by tenant and session."""

    def __init__(self, rules: Rules, write: Callable[[Sequence[ScoreRow]], None]) -> None:
        self._rules = rules
        self._intake = Intake(rules.intake)
        self._write = write
        self._states: dict[SessionKey, SessionState] = {}
        self._rows = 0
        self._invalid: Counter[str] = Counter()

    def run(self, entries: Iterable[Entry]) -> Summary:
        """Score them all; stop with the first tick after the last entry."""
        self._follow(entries, None)
        last_tick_ms = self._intake.tick_after_last_event()
        if last_tick_ms is not None:
            self._follow((), last_tick_ms)
        return Summary(self._intake.counted, self._intake.skipped, self._invalid, self._rows)

    def _follow(self, entries: Iterable[Entry], watermark_ms: int | None) -> None:
        for step in self._intake.take(entries, watermark_ms):
            match step:
                case EventsBySession():
                    self._apply(step)
                case TickDue(at_ms):
                    self._score(at_ms)
        self._invalid.update(rejected.reason for rejected in self._intake.rejected)
        self._intake.rejected.clear()

    def _apply(self, batch: EventsBySession) -> None:
        for key, events in batch.items():
            state = self._states.get(key) or SessionState.unbegun(key[1], self._rules.session)
            self._states[key] = state.after(events)

    def _score(self, at_ms: int) -> None:
        rows = []
        for key in sorted(self._states):
            state = self._states[key]
            if state.has_row_at(at_ms):
                rows.append(row_at(at_ms, key[0], state, self._rules.scoring))
            else:  # over, or it never began: nothing of it is worth keeping
                del self._states[key]
        self._rows += len(rows)
        self._write(rows)
