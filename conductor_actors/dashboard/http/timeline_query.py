"""Parse the parameters of requests for timelines, and choose the range and the steps of a chart."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from conductor_actors.dashboard.access.auth import Denied
from conductor_actors.dashboard.http.query import (
    MAX_RANGE,
    check_names,
    parse_instant,
    parse_number,
)
from conductor_actors.domain.charts.chart_steps import chart_step_s
from conductor_actors.ports.history_port import TimeRange

MAX_TIMELINE_POINTS: Final = 2000
DEFAULT_TIMELINE_POINTS: Final = 480

_MAX_RANGE_MS: Final = MAX_RANGE // timedelta(milliseconds=1)


class TimelineQuery(NamedTuple):
    """A range, None where it is that of all rows, and the most points."""

    first_ms: int | None
    until_ms: int | None
    points: int

    def chart(self, rows: TimeRange, tick_s: int) -> "Chart":
        """Return the chart of rows in `[first_ms, until_ms)`; raise `Denied` for an empty range.

        By default it is the end of all rows, as much as a range may have.
        """
        until_ms = rows.until_ms if self.until_ms is None else self.until_ms
        first_ms = self.first_ms
        if first_ms is None:
            first_ms = max(rows.first_ms, until_ms - _MAX_RANGE_MS)
        if first_ms >= until_ms:
            raise Denied(400, "invalid_range", "the range must begin before its end")
        if until_ms - first_ms > _MAX_RANGE_MS:
            raise Denied(400, "range_too_long", f"a range may have {MAX_RANGE.days} days at most")
        step_s = chart_step_s(first_ms, until_ms - 1, self.points, tick_s)
        step_ms = step_s * 1000
        whole = TimeRange(first_ms // step_ms * step_ms, -(-until_ms // step_ms) * step_ms)
        return Chart(whole, step_s)


class Chart(NamedTuple):
    """A range of whole steps."""

    during: TimeRange
    step_s: int

    @property
    def step(self) -> timedelta:
        """The length of a step."""
        return timedelta(seconds=self.step_s)


def parse_timeline(query: Mapping[str, str]) -> TimelineQuery:
    """Parse `from`, `to` and `points`; raise `Denied` for what is invalid."""
    check_names(query, "from", "to", "points")
    first_ms, until_ms = parse_instant(query, "from", None), parse_instant(query, "to", None)
    if first_ms is not None and until_ms is not None and first_ms >= until_ms:
        raise Denied(400, "invalid_range", "from must be before to")
    points = parse_number(query, "points", DEFAULT_TIMELINE_POINTS, 1, MAX_TIMELINE_POINTS)
    return TimelineQuery(first_ms, until_ms, points)
