"""Score recorded events again with the same domain code, without actors and without a clock.

The service's rows depend on the entries alone, so these are the same rows. Events whose handler
raises are left out, as the service leaves them out. Only a quarantine can't be replayed, because
it depends on real time.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Final, NamedTuple

from conductor_actors.domain.conducting.conducted_rows import with_interventions
from conductor_actors.domain.conductor.directives import DirectivesByTenant
from conductor_actors.domain.detection import with_anomalies
from conductor_actors.domain.draft import apply_events
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.failures import attempt, salvage
from conductor_actors.domain.intake import EventsBySession, Intake
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState, row_at
from conductor_actors.domain.ticks import TickDue, TickSchedule, Watermark

# Bounds memory: more than a tick usually has.
MAX_ENTRIES_AT_ONCE: Final = 100_000


class Summary(NamedTuple):
    """The counts of a replay: `invalid` entries by reason, `failed` events and rows that raised.

    `refused` counts the events over a limit, by tenant and reason.
    """

    events: int
    skipped: int
    invalid: Counter[str]
    rows: int
    failed: int
    last_tick_ms: int | None
    refused: Mapping[tuple[str, str], int] = MappingProxyType({})


class Rules(NamedTuple):
    """Everything that a row depends on besides the entries."""

    intake: IntakeRules
    session: SessionRules
    scoring: Scoring


def with_ticks(
    intake: Intake, schedule: TickSchedule, entries: Sequence[Entry], watermark_ms: int | None
) -> Iterator[EventsBySession | TickDue]:
    """Return the batches of events and the ticks between them, in order."""
    for step in intake.batches(entries, watermark_ms):
        if isinstance(step, Watermark):
            yield from schedule.due(step)
            intake.pass_ticks(schedule.position)
        else:
            yield step


class Replayer:
    """Scores entries in the order of their ids; writes each tick's rows, by tenant and session."""

    def __init__(self, rules: Rules, write: Callable[[Sequence[ScoreRow]], None]) -> None:
        self._rules = rules
        self._intake = Intake(rules.intake)
        self._schedule = TickSchedule(
            rules.intake.tick_s, rules.intake.timeout_s, rules.intake.window_s
        )
        self._write = write
        self._sessions: dict[tuple[str, str], SessionState] = {}
        self._has_new_sessions = False
        self._rows = self._failed = 0
        self._invalid: Counter[str] = Counter()
        self._last_tick_ms: int | None = None

    def run(self, entries: Iterable[Entry]) -> Summary:
        """Score all entries, up to the first tick after the last one."""
        unread = iter(entries)
        while some := list(islice(unread, MAX_ENTRIES_AT_ONCE)):
            self._process(some, None)
        last_tick_ms = self._schedule.position.next_ms
        if last_tick_ms is not None:
            self._process((), last_tick_ms)
        counted, skipped = self._intake.accepted, self._intake.skipped
        return Summary(
            counted,
            skipped,
            self._invalid,
            self._rows,
            self._failed,
            self._last_tick_ms,
            self._intake.quotas.pop_refused(),
        )

    def _process(self, entries: Sequence[Entry], watermark_ms: int | None) -> None:
        for step in with_ticks(self._intake, self._schedule, entries, watermark_ms):
            match step:
                case EventsBySession():
                    self._apply(step)
                case TickDue():
                    self._score(step)
        self._invalid.update(rejected.reason for rejected in self._intake.rejected)
        self._intake.rejected.clear()
        self._intake.titles.pop()  # nothing of a replay depends on them

    def _apply(self, batch: EventsBySession) -> None:
        for key, events in batch.items():
            state = self._sessions.get(key)
            if state is None:
                state = SessionState(key[1], self._rules.session)
                self._has_new_sessions = True
            self._sessions[key], poison = salvage(apply_events, state, events)
            self._failed += len(poison)

    def _score(self, due: TickDue) -> None:
        at_ms = due.at_ms
        if self._has_new_sessions:
            self._sessions = dict(sorted(self._sessions.items()))
            self._has_new_sessions = False
        nothing: tuple[list[ScoreRow], list[tuple[str, str]]] = ([], [])
        sessions = list(self._sessions.items())
        (rows, forgotten), failed = salvage(partial(self._score_sessions, at_ms), nothing, sessions)
        for key in forgotten:
            del self._sessions[key]
        self._rows += len(rows)
        self._failed += len(failed)
        self._last_tick_ms = at_ms
        self._write([self._completed(row, due.directives) for row in rows])

    def _completed(self, row: ScoreRow, directives: DirectivesByTenant) -> ScoreRow:
        """Return the row with its anomalies and interventions, as far as nothing raises."""
        state = self._sessions[row.tenant_id, row.session_id]
        watched, error = attempt(lambda: with_anomalies(row, state))
        self._failed += error is not None
        if watched is None:
            return row
        conducted, error = attempt(lambda: with_interventions(watched, state, directives))
        self._failed += error is not None
        return watched if conducted is None else conducted

    def _score_sessions(
        self,
        at_ms: int,
        done: tuple[list[ScoreRow], list[tuple[str, str]]],
        sessions: Sequence[tuple[tuple[str, str], SessionState]],
    ) -> tuple[list[ScoreRow], list[tuple[str, str]]]:
        """Return the rows of the live sessions, and the keys of those to forget."""
        rows, forgotten = [*done[0]], [*done[1]]
        for key, state in sessions:
            if state.has_row_at(at_ms):
                rows.append(row_at(at_ms, key[0], state, self._rules.scoring))
            elif state.is_forgotten_at(at_ms):
                forgotten.append(key)
        return rows, forgotten
