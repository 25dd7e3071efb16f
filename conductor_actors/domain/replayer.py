"""Score recorded events again, without actors and without a clock: the same domain code.

The service's rows depend on the entries alone, so these are the rows it writes. What it leaves
out because a handler raised is left out here, too; only a quarantine, which is a matter of
real time, can't be replayed.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Final, NamedTuple

from conductor_actors.domain.events import Event
from conductor_actors.domain.failures import salvage
from conductor_actors.domain.intake import (
    Entry,
    EventsBySession,
    Intake,
    IntakeRules,
)
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_state import SessionRules, SessionState, row_at
from conductor_actors.domain.ticks import TickDue, TickSchedule, Watermark

# Entries taken at once, which bounds memory: more than a tick usually has.
_MOST_ENTRIES: Final = 100_000
_MOST_SINCE: Final = 200  # events between two copies of a session


class Summary(NamedTuple):
    """What a replay came to. `invalid` counts by reason, `failed` what a handler raised on.

    `refused` counts what was over a limit, by tenant and reason.
    """

    events: int
    skipped: int
    invalid: Counter[str]
    rows: int
    failed: int
    last_tick_ms: int | None
    refused: Mapping[tuple[str, str], int] = MappingProxyType({})


class Rules(NamedTuple):
    """Everything that a row depends on beside the entries."""

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


class _Session:
    """A session's state, changed in place, and what it takes to make it again.

    To copy it before each batch, as an actor does, would cost a sixth of a replay.
    """

    __slots__ = ("_base", "_is_whole", "_since", "_state")

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._base = state.copy()
        self._since: list[Event] = []
        self._is_whole = True

    def take(self, events: Sequence[Event]) -> "_Session":
        """Apply events; when that raises, the next use finds the state from before."""
        before = self.state
        self._is_whole = False
        self._state = before.turned_by(events)
        self._is_whole = True
        self._since += events
        if len(self._since) > _MOST_SINCE:
            self._base, self._since = self._state.copy(), []
        return self

    @property
    def state(self) -> SessionState:
        """The state after all applied events."""
        if not self._is_whole:
            self._state = self._base.after(self._since)
            self._is_whole = True
        return self._state


class Replayer:
    """Scores entries in the order of their ids; writes each tick's rows, by tenant and session."""

    def __init__(self, rules: Rules, write: Callable[[Sequence[ScoreRow]], None]) -> None:
        self._rules = rules
        self._intake = Intake(rules.intake)
        self._schedule = TickSchedule(
            rules.intake.tick_s, rules.intake.timeout_s, rules.intake.window_s
        )
        self._write = write
        self._sessions: dict[tuple[str, str], _Session] = {}
        self._has_newcomers = False
        self._rows = self._failed = 0
        self._invalid: Counter[str] = Counter()
        self._last_tick_ms: int | None = None

    def run(self, entries: Iterable[Entry]) -> Summary:
        """Score them all; stop with the first tick after the last entry."""
        unread = iter(entries)
        while some := list(islice(unread, _MOST_ENTRIES)):
            self._follow(some, None)
        last_tick_ms = self._schedule.position.next_ms
        if last_tick_ms is not None:
            self._follow((), last_tick_ms)
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

    def _follow(self, entries: Sequence[Entry], watermark_ms: int | None) -> None:
        for step in with_ticks(self._intake, self._schedule, entries, watermark_ms):
            match step:
                case EventsBySession():
                    self._apply(step)
                case TickDue(at_ms):
                    self._score(at_ms)
        self._invalid.update(rejected.reason for rejected in self._intake.rejected)
        self._intake.rejected.clear()

    def _apply(self, batch: EventsBySession) -> None:
        for key, events in batch.items():
            session = self._sessions.get(key)
            if session is None:
                state = SessionState.unbegun(key[1], self._rules.session)
                session = self._sessions[key] = _Session(state)
                self._has_newcomers = True
            _, poison = salvage(_Session.take, session, events)
            self._failed += len(poison)

    def _score(self, at_ms: int) -> None:
        if self._has_newcomers:
            self._sessions = dict(sorted(self._sessions.items()))
            self._has_newcomers = False
        nothing: tuple[list[ScoreRow], list[tuple[str, str]]] = ([], [])
        sessions = list(self._sessions.items())
        (rows, over), failed = salvage(partial(self._judge, at_ms), nothing, sessions)
        for key in over:  # or never begun: nothing of it is worth keeping
            del self._sessions[key]
        self._rows += len(rows)
        self._failed += len(failed)
        self._last_tick_ms = at_ms
        self._write(rows)

    def _judge(
        self,
        at_ms: int,
        done: tuple[list[ScoreRow], list[tuple[str, str]]],
        sessions: Sequence[tuple[tuple[str, str], _Session]],
    ) -> tuple[list[ScoreRow], list[tuple[str, str]]]:
        """Return the rows of live sessions, and the keys of those that are over."""
        rows, over = [*done[0]], [*done[1]]
        for key, session in sessions:
            state = session.state
            if state.has_row_at(at_ms):
                rows.append(row_at(at_ms, key[0], state, self._rules.scoring))
            else:
                over.append(key)
        return rows, over
