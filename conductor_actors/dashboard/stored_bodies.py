"""The types of the JSON bodies about stored sessions and events, except those that others share."""

from collections.abc import Sequence

import msgspec

from conductor_actors.dashboard.bodies import Body
from conductor_actors.domain.identity import Id
from conductor_actors.exports.dictionary import ColumnType, TableName
from conductor_actors.wire.history_bodies import LargestChanges, SessionSummary
from conductor_actors.wire.updates import Share, Timestamp


class SessionSummaryList(Body):
    """A page of sessions. `next` is the `cursor` of the next page; null at the end."""

    sessions: Sequence[SessionSummary]
    next: str | None


class SessionTitle(Body):
    """What people call a session, and its event."""

    title: str | None
    event_title: str | None
    speakers: Sequence[str]
    planned_begin: Timestamp | None
    planned_end: Timestamp | None


class Titles(Body):
    """What people call the live and the planned sessions and their events, by their ids."""

    sessions: dict[Id, SessionTitle]
    events: dict[Id, str]


class AboutRequest(Body, omit_defaults=True):
    """What people call a session from now on; what is absent is removed.

    The event keeps its title if `eventTitle` is absent; null removes it. The event is that of the
    session's rows, unless `eventId` names another. Texts are one line: a title has 200 characters
    at most, and each of 20 speakers 100. Times are ISO 8601, in UTC or with their offset.
    """

    title: str | None
    speakers: Sequence[str] = ()
    planned_begin: str | None = None
    planned_end: str | None = None
    event_title: str | None = None
    event_id: Id | None = None


class StepContributions(Body):
    """What each signal added to the score on average; they add up to it before clamping."""

    chat: float
    poll: float
    active_users: float
    reactions: float
    leave_rate: float


class TimelinePoint(Body):
    """The ticks of a step that begins at `timestamp`. `score` is their mean; users are the most."""

    timestamp: Timestamp
    score: Share
    min: Share
    max: Share
    active_users: int
    total_users: int
    contributions: StepContributions


class TimelineGap(Body):
    """Ticks that miss events, or have no row. The end is exclusive."""

    from_: Timestamp = msgspec.field(name="from")
    to: Timestamp


class SessionTimeline(Body):
    """The rows of a session in a range, in steps; steps without a row have no point.

    The range is extended to whole steps. `step` is an ISO 8601 duration in seconds, such as `PT5S`.
    """

    session_id: Id
    event_id: Id
    from_: Timestamp = msgspec.field(name="from")
    to: Timestamp
    step: str
    started_at: Timestamp
    ended_at: Timestamp | None
    points: Sequence[TimelinePoint]
    gaps: Sequence[TimelineGap]


class EventSummary(Body):
    """An event and the number of its sessions. `endedAt` is null while one of them is live."""

    event_id: Id
    title: str | None
    sessions: int
    live_sessions: int
    started_at: Timestamp
    ended_at: Timestamp | None


class EventList(Body):
    """A page of events. `next` is the `cursor` of the next page; null at the end."""

    events: Sequence[EventSummary]
    next: str | None


class CurvePoint(Body):
    """The mean score and the most users of a step that begins at `timestamp`."""

    timestamp: Timestamp
    score: Share
    total_users: int


class EventSession(SessionSummary, kw_only=True, rename="camel"):
    """A session of an event. Steps without a row have no point."""

    points: Sequence[CurvePoint]


class EventOverview(Body):
    """The sessions of an event, in the order of their starts, on one axis of time.

    `curve` is the mean of the sessions, weighted by their users: a person in two of them counts
    twice. The range is extended to whole steps. `step` is an ISO 8601 duration in seconds, such as
    `PT60S`.
    """

    event_id: Id
    title: str | None
    started_at: Timestamp
    ended_at: Timestamp | None
    from_: Timestamp = msgspec.field(name="from")
    to: Timestamp
    step: str
    sessions: Sequence[EventSession]
    curve: Sequence[CurvePoint]
    moments: LargestChanges


class ColumnBody(Body):
    """A column of an export. `json` is an object in JSON lines, and its text in other formats."""

    name: str
    type: ColumnType
    nullable: bool
    description: str


class TableBody(Body):
    """A table that can be exported: the order of its rows, and its columns in their order."""

    name: TableName
    description: str
    order: str
    columns: Sequence[ColumnBody]


class ExportColumns(Body):
    """The dictionary of exports."""

    tables: Sequence[TableBody]
