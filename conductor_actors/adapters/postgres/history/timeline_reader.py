"""Read the rows of a session in steps, and find its gaps."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

from psycopg import sql

from conductor_actors.adapters.postgres.history.contribution_columns import (
    MEAN_CONTRIBUTIONS,
    contribution_values,
)
from conductor_actors.adapters.postgres.history.history_queries import HistoryQueries
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Contributions, Scoring
from conductor_actors.instants import to_datetime, to_ms
from conductor_actors.ports.history_port import Timeline, TimelineStep, TimeRange

_OF_RANGE: Final = sql.SQL("""
    FROM engagement_metrics
    WHERE tenant_id = %(tenant_id)s AND session_id = %(session_id)s
      AND time >= %(first)s AND time < %(until)s
""")
_SELECT_STEPS_OF_SESSION: Final = (
    sql.SQL("""
    SELECT date_bin(%(step)s, time, 'epoch'), avg(engagement_score),
           min(engagement_score), max(engagement_score), max(active_users), max(total_users),
           {}, min(time), max(time), count(*), count(*) FILTER (WHERE metadata ? 'gap')
""").format(MEAN_CONTRIBUTIONS)
    + _OF_RANGE
    + sql.SQL(" GROUP BY 1 ORDER BY 1")
)
# The rows before which rows are missing, and those that miss events themselves.
_SELECT_GAPS: Final = sql.SQL("""
    SELECT before, time, is_marked FROM (
        SELECT lag(time) OVER (ORDER BY time) AS before, time, metadata ? 'gap' AS is_marked {}
    ) AS row
    WHERE is_marked OR time - before > %(tick)s
    ORDER BY time
""").format(_OF_RANGE)


class PostgresTimelineReader:
    """A `TimelineReader` on the connections for histories."""

    def __init__(self, queries: HistoryQueries, scoring: Scoring, tick_s: int) -> None:
        self._queries = queries
        self._contribution_values = contribution_values(scoring)
        self._tick_ms = tick_s * 1000

    async def read(
        self, key: SessionKey, during: TimeRange, step: timedelta, expected: TimeRange
    ) -> Timeline:
        """Return the timeline of a range of whole steps, oldest first."""
        values = key._asdict() | {
            "first": to_datetime(during.first_ms),
            "until": to_datetime(during.until_ms),
        }
        records = await self._queries.run(
            key.tenant_id,
            _SELECT_STEPS_OF_SESSION,
            values | self._contribution_values | {"step": step},
        )
        counted = [_Counted.of(each) for each in records]
        gaps = list(self._edges(counted, during, expected))
        if self._has_gaps(counted):
            tick = timedelta(milliseconds=self._tick_ms)
            found = await self._queries.run(key.tenant_id, _SELECT_GAPS, values | {"tick": tick})
            gaps += self._gaps(found)
        return Timeline([_step(each) for each in records], merged(gaps))

    def _has_gaps(self, counted: Sequence["_Counted"]) -> bool:
        """Return whether a tick between the first and the last row has no row, or a marked one."""
        if not counted:
            return False
        ticks = (counted[-1].last_ms - counted[0].first_ms) // self._tick_ms + 1
        return sum(each.rows for each in counted) < ticks or any(each.marked for each in counted)

    def _edges(
        self, counted: Sequence["_Counted"], during: TimeRange, expected: TimeRange
    ) -> Iterator[TimeRange]:
        """Return what is missing before the first and after the last row of the range."""
        first_ms = max(during.first_ms, expected.first_ms)
        until_ms = min(during.until_ms, expected.until_ms)
        if not counted:
            yield TimeRange(first_ms, until_ms)
            return
        yield TimeRange(first_ms, counted[0].first_ms)
        yield TimeRange(counted[-1].last_ms + self._tick_ms, until_ms)

    def _gaps(self, records: Iterable[tuple[Any, ...]]) -> Iterator[TimeRange]:
        for before, at, is_marked in records:
            at_ms = to_ms(at)
            if before is not None:
                yield TimeRange(to_ms(before) + self._tick_ms, at_ms)
            if is_marked:
                yield TimeRange(at_ms, at_ms + self._tick_ms)


class _Counted(NamedTuple):
    """The rows of a step: the times of the first and the last, how many, and how many marked."""

    first_ms: int
    last_ms: int
    rows: int
    marked: int

    @classmethod
    def of(cls, record: tuple[Any, ...]) -> "_Counted":
        first_at, last_at, rows, marked = record[-4:]
        return cls(to_ms(first_at), to_ms(last_at), rows, marked)


def merged(ranges: Iterable[TimeRange]) -> list[TimeRange]:
    """Return ranges in their order, without empty ones, joined where they touch."""
    found: list[TimeRange] = []
    for each in sorted(each for each in ranges if each.first_ms < each.until_ms):
        if found and each.first_ms <= found[-1].until_ms:
            until_ms = max(found[-1].until_ms, each.until_ms)
            found[-1] = TimeRange(found[-1].first_ms, until_ms)
        else:
            found.append(each)
    return found


def _step(record: tuple[Any, ...]) -> TimelineStep:
    at, score, low, high, active_users, total_users, *others = record
    contributions = Contributions(*others[:5])
    return TimelineStep(to_ms(at), score, low, high, active_users, total_users, contributions)
