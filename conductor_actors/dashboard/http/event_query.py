"""Parse the parameters of requests for events."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from conductor_actors.dashboard.access.auth import Denied
from conductor_actors.dashboard.http.query import check_names, parse_instant
from conductor_actors.dashboard.http.session_query import ListQuery, check_event, parse_page
from conductor_actors.dashboard.http.timeline_query import TimelineQuery
from conductor_actors.ports.history_port import EventSelection

MAX_EVENT_SESSIONS_SHOWN: Final = 200
MAX_EVENT_POINTS: Final = 24_000  # of all sessions of an overview
MAX_SESSION_POINTS: Final = 480


class OverviewQuery(NamedTuple):
    """An event, and a range, None where it is that of its rows."""

    event_id: str
    first_ms: int | None
    until_ms: int | None

    def timeline(self, sessions: int) -> TimelineQuery:
        """Return the same range for so many sessions, each with its share of the points."""
        points = min(MAX_SESSION_POINTS, MAX_EVENT_POINTS // sessions)
        return TimelineQuery(self.first_ms, self.until_ms, points)


def parse_overview(query: Mapping[str, str]) -> OverviewQuery:
    """Parse `event`, `from` and `to`; raise `Denied` for what is invalid."""
    check_names(query, "event", "from", "to")
    event_id = _event(query)
    first_ms, until_ms = parse_instant(query, "from", None), parse_instant(query, "to", None)
    if first_ms is not None and until_ms is not None and first_ms >= until_ms:
        raise Denied(400, "invalid_range", "from must be before to")
    return OverviewQuery(event_id, first_ms, until_ms)


def parse_reported_event(query: Mapping[str, str]) -> str:
    """Parse `event` alone; raise `Denied` for what is invalid."""
    check_names(query, "event")
    return _event(query)


def parse_events(query: Mapping[str, str], tenant: str) -> ListQuery:
    """Parse `search`, `from`, `to`, `limit` and `cursor`; raise `Denied` for what is invalid."""
    check_names(query, "search", "from", "to", "limit", "cursor")
    return parse_page(query, ("events", tenant))


def event_selection(
    page: ListQuery, tenant: str, session_ids: Sequence[str] | None
) -> EventSelection:
    """Return what is selected of a tenant, of what the caller may see."""
    return EventSelection(tenant, page.search, page.first_ms, page.until_ms, session_ids)


def _event(query: Mapping[str, str]) -> str:
    event_id = query.get("event")
    if event_id is None:
        raise Denied(400, "event_missing", "name the event, e.g. event=summit")
    check_event(event_id)
    return event_id
