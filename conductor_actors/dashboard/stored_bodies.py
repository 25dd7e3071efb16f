"""The types of the JSON bodies about stored sessions and events, except those that others share."""

from collections.abc import Sequence

from conductor_actors.dashboard.bodies import Body
from conductor_actors.domain.identity import Id
from conductor_actors.history_bodies import SessionSummary
from conductor_actors.updates import Timestamp


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
