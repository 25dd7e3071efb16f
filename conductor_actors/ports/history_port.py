"""What is read of sessions and events afterwards, and the ports through which the dashboard does.

All of these ports share the connections of `HistoryConnections`. Every call between its `open` and
`close` may raise `Unavailable`, `ConfigError` for what the operator must change, and `Overloaded`
if too many run at once, or if what is requested takes too long to read.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal, NamedTuple, Protocol

from conductor_actors.domain.charts.largest_changes import ScoreChange
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Contributions
from conductor_actors.domain.session_titles import TitleChange
from conductor_actors.exports.selections import ExportReader
from conductor_actors.ports.report_port import ReportReader
from conductor_actors.wire.history_bodies import (
    LargestChanges,
    Moment,
    SessionState,
    SessionSummary,
)
from conductor_actors.wire.updates import timestamp


class HistoryConnections(Protocol):
    """The connections of these ports, on one event loop."""

    async def open(self) -> None:
        """Open the pool of connections; the first call connects."""

    async def close(self) -> None:
        """Close every connection."""

    async def check(self) -> None:
        """Return normally if the database can be queried."""


class StoredSession(NamedTuple):
    """A session and what people call it. Its figures are None until it has ended, and a bit longer.

    `started_ms` and `ended_ms` are the times of its first and last row; without rows it is planned.
    """

    key: SessionKey
    event_id: str
    started_ms: int | None = None
    ended_ms: int | None = None
    mean_score: float | None = None
    peak_score: float | None = None
    peak_ms: int | None = None
    peak_users: int | None = None
    title: str | None = None
    speakers: Sequence[str] = ()
    planned_begin_ms: int | None = None
    planned_end_ms: int | None = None
    event_title: str | None = None

    @property
    def state(self) -> SessionState:
        """Whether it has ended; this is the only definition of it."""
        if self.started_ms is None:
            return "planned"
        return "live" if self.ended_ms is None else "ended"

    def rows_range(self, now_ms: int, tick_s: int) -> "TimeRange":
        """Return the range of its rows: from its start to after the last row, or until now."""
        started_ms = now_ms if self.started_ms is None else self.started_ms
        if self.ended_ms is None:
            return TimeRange(started_ms, max(now_ms, started_ms) + 1)
        return TimeRange(started_ms, self.ended_ms + tick_s * 1000)


def session_summary(stored: StoredSession) -> SessionSummary:
    """Return the JSON body about a session."""
    started_ms, ended_ms = stored.started_ms, stored.ended_ms
    duration_s = None if started_ms is None or ended_ms is None else (ended_ms - started_ms) / 1000
    return SessionSummary(
        session_id=stored.key.session_id,
        event_id=stored.event_id,
        tenant_id=stored.key.tenant_id,
        title=stored.title,
        event_title=stored.event_title,
        speakers=stored.speakers,
        planned_begin=_timestamp(stored.planned_begin_ms),
        planned_end=_timestamp(stored.planned_end_ms),
        state=stored.state,
        started_at=_timestamp(started_ms),
        ended_at=_timestamp(ended_ms),
        duration_s=duration_s,
        mean_score=stored.mean_score,
        peak_score=stored.peak_score,
        peak_at=_timestamp(stored.peak_ms),
        peak_users=stored.peak_users,
    )


def _timestamp(ms: int | None) -> str | None:
    return None if ms is None else timestamp(ms)


class SessionSelection(NamedTuple):
    """The sessions of a tenant that started in `[first_ms, until_ms)`; None is no limit.

    Only of this event and only of these sessions, unless they are None. `search` is text in an id,
    in a title or in the name of a speaker, whatever its case.
    """

    tenant_id: str
    state: Literal["live", "ended", "all"] = "all"
    event_id: str | None = None
    search: str | None = None
    first_ms: int | None = None
    until_ms: int | None = None
    session_ids: Sequence[str] | None = None


class SessionPosition(NamedTuple):
    """The place of a session in the order of all: newest start first, then by its id."""

    started_ms: int
    session_id: str


class SessionReader(Protocol):
    """Read which sessions there are, and what people call them."""

    async def find(
        self, selection: SessionSelection, limit: int, after: SessionPosition | None = None
    ) -> Sequence[StoredSession]:
        """Return at most `limit` sessions after a position, in their order."""

    async def get(self, key: SessionKey) -> StoredSession | None:
        """Return a session that has rows or a title."""

    async def titled(self, tenant_id: str) -> Sequence[StoredSession]:
        """Return the live and the planned sessions that have a title, or whose event has one."""


class TitleStore(Protocol):
    """Store what people call sessions and events."""

    async def write(self, change: TitleChange) -> None:
        """Store a change; it needs `event_id` if it has an event's title.

        It replaces what is stored, and later changes with an earlier time have no effect.
        """


class TimeRange(NamedTuple):
    """`[first_ms, until_ms)`."""

    first_ms: int
    until_ms: int


class TimelineStep(NamedTuple):
    """The rows of a session within a step: means, except for the users, which are the most."""

    at_ms: int
    score: float
    min_score: float
    max_score: float
    active_users: int
    total_users: int
    contributions: Contributions


class Timeline(NamedTuple):
    """The steps of a session that have rows, and the ranges that miss events or have no rows."""

    steps: Sequence[TimelineStep]
    gaps: Sequence[TimeRange]


class TimelineReader(Protocol):
    """Read the rows of a session in steps."""

    async def read(
        self, key: SessionKey, during: TimeRange, step: timedelta, expected: TimeRange
    ) -> Timeline:
        """Return the timeline of a range of whole steps, oldest first.

        The session should have a row at each tick of the range `expected`.
        """


class SessionStep(NamedTuple):
    """The mean score and the most users of a session within a step."""

    at_ms: int
    score: float
    total_users: int


class ScoreChanges(NamedTuple):
    """The largest rises and falls over a minute, largest first."""

    rises: Sequence[ScoreChange]
    falls: Sequence[ScoreChange]


def changes_body(found: ScoreChanges) -> LargestChanges:
    """Return the JSON body about changes."""
    return LargestChanges(*([_moment(each) for each in changes] for changes in found))


def _moment(one: ScoreChange) -> Moment:
    return Moment(one.session_id, timestamp(one.at_ms), one.before, one.after, one.change)


class StoredEvent(NamedTuple):
    """An event and its sessions. `ended_ms` is None while one of them is live."""

    event_id: str
    title: str | None
    sessions: int
    live_sessions: int
    started_ms: int
    ended_ms: int | None


class EventSelection(NamedTuple):
    """The events of a tenant that started in `[first_ms, until_ms)`; None is no limit.

    `search` is text in the id or the title, whatever its case. Only these sessions count, unless
    they are None.
    """

    tenant_id: str
    search: str | None = None
    first_ms: int | None = None
    until_ms: int | None = None
    session_ids: Sequence[str] | None = None


class EventPosition(NamedTuple):
    """The place of an event in the order of all: newest start first, then by its id."""

    started_ms: int
    event_id: str


class EventReader(Protocol):
    """Read events, which are sessions with the same event."""

    async def find(
        self, selection: EventSelection, limit: int, after: EventPosition | None = None
    ) -> Sequence[StoredEvent]:
        """Return at most `limit` events after a position, in their order."""

    async def curves(
        self, tenant_id: str, ends_ms: Mapping[str, int], during: TimeRange, step: timedelta
    ) -> Mapping[str, Sequence[SessionStep]]:
        """Return the steps of several sessions in a range of whole steps, oldest first.

        Only rows before the end of their session count. It is one query. Sessions without rows are
        absent.
        """

    async def moments(
        self, tenant_id: str, ends_ms: Mapping[str, int], during: TimeRange
    ) -> ScoreChanges:
        """Return the largest changes of these sessions before their ends, in one query.

        There are at most five of each kind, none within a minute of another of its session.
        """


class HistoryPorts(NamedTuple):
    """The ports of the dashboard for what is read afterwards."""

    connections: HistoryConnections
    sessions: SessionReader
    titles: TitleStore
    timelines: TimelineReader
    events: EventReader
    reports: ReportReader
    exports: ExportReader
