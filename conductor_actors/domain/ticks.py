"""The schedule of ticks: whole multiples of the interval, each once and in order, live or late."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from conductor_actors.domain.conductor.directives import NO_DIRECTIVES, DirectivesByTenant
from conductor_actors.domain.gaps import NO_MARKS, Gap, GapMarks, marks_at

LIVE_MS: Final = 15_000  # ticks older than this are stored, no longer published


class Watermark(NamedTuple):
    """Every event before `at_ms` has been dispatched, except those in `gaps`.

    `last_event_ms` is the time of the last of them, if there was one.
    """

    at_ms: int
    last_event_ms: int | None
    gaps: Sequence[Gap] = ()
    directives: DirectivesByTenant = NO_DIRECTIVES


class TickDue(NamedTuple):
    """A tick to broadcast. `marks` names the tenants whose windows miss events.

    `directives` are those that came before it.
    """

    at_ms: int
    marks: GapMarks = NO_MARKS
    directives: DirectivesByTenant = NO_DIRECTIVES


class TickPosition(NamedTuple):
    """How far a schedule is: its last tick (0: none yet) and its next (None: not started)."""

    passed_ms: int = 0
    next_ms: int | None = None


def tick_from(at_ms: int, tick_ms: int) -> int:
    """Return the first tick at `at_ms` or after it."""
    return -(-at_ms // tick_ms) * tick_ms


class TickSchedule:
    """Which ticks are due once the data has come so far. It starts with the first watermark.

    While no session can have a row, ticks are skipped.
    """

    def __init__(
        self,
        tick_s: int,
        timeout_s: int,
        window_s: int,
        position: TickPosition = TickPosition(),  # noqa: B008 - immutable
    ) -> None:
        """Continue from a position, which may be of another interval."""
        self._tick_ms = tick_s * 1000
        self._timeout_ms = timeout_s * 1000
        self._window_ms = window_s * 1000
        self._passed_ms = position.passed_ms
        self._next_ms = position.next_ms
        if position.next_ms is not None:
            self.start_at(position.next_ms)

    @property
    def position(self) -> TickPosition:
        """Return how far the schedule is."""
        return TickPosition(self._passed_ms, self._next_ms)

    def start_at(self, at_ms: int) -> None:
        """Start with the first tick at `at_ms` or after it."""
        self._next_ms = tick_from(at_ms, self._tick_ms)

    def due(self, watermark: Watermark) -> Iterator[TickDue]:
        """Return the ticks up to the watermark. One counts as passed when the next is asked for."""
        until_ms = watermark.at_ms
        if self._next_ms is None:
            self._next_ms = tick_from(until_ms + 1, self._tick_ms)
        while self._next_ms <= until_ms:
            if self._has_no_rows(self._next_ms, watermark.last_event_ms):
                self._next_ms = tick_from(until_ms + 1, self._tick_ms)
                self._passed_ms = self._next_ms - self._tick_ms
            else:
                marks = marks_at(self._next_ms, watermark.gaps, self._window_ms)
                yield TickDue(self._next_ms, marks, watermark.directives)
                self._passed_ms = self._next_ms
                self._next_ms += self._tick_ms

    def _has_no_rows(self, tick_ms: int, last_event_ms: int | None) -> bool:
        return last_event_ms is None or tick_ms - last_event_ms >= self._timeout_ms
