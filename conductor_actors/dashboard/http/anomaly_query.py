"""Parse the parameters of requests for anomalies."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from conductor_actors.dashboard.access.auth import Denied, is_session_id
from conductor_actors.dashboard.http.query import check_names, parse_instants
from conductor_actors.ports.anomaly_port import AnomalyPage, AnomalyPosition, StoredAnomaly

MAX_ANOMALIES_PER_PAGE: Final = 1000
DEFAULT_ANOMALIES_PER_PAGE: Final = 100
DEFAULT_ANOMALIES_RANGE: Final = timedelta(days=1)
DEFAULT_QUALITY_RANGE: Final = timedelta(days=7)

_PAGE_PARAMETERS: Final = ("from", "to", "open", "order", "limit", "cursor")
_CURSOR: Final = re.compile(
    r"(\d{1,14})\.([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
)
_BOOLEANS: Final[dict[str | None, bool | None]] = {None: None, "true": True, "false": False}
_IS_NEWEST_FIRST: Final[dict[str | None, bool]] = {None: True, "newest": True, "oldest": False}


class AnomaliesQuery(NamedTuple):
    """A page of the anomalies that began in `[first, until)`, of one session or event, or all."""

    first_ms: int
    until_ms: int
    page: AnomalyPage
    session_id: str | None = None
    event_id: str | None = None


def parse_session_anomalies(query: Mapping[str, str], now_s: float) -> AnomaliesQuery:
    """Parse the parameters of a request for a session's anomalies; the default is the last day.

    Raise `Denied` for what is invalid.
    """
    check_names(query, *_PAGE_PARAMETERS)
    return AnomaliesQuery(*parse_instants(query, now_s, DEFAULT_ANOMALIES_RANGE), _page(query))


def parse_anomalies(query: Mapping[str, str], now_s: float) -> AnomaliesQuery:
    """Parse the parameters of a request for a tenant's anomalies; the default is the last day.

    Raise `Denied` for what is invalid, except for a session's id that is.
    """
    check_names(query, "session", "event", *_PAGE_PARAMETERS)
    event_id = query.get("event")
    if event_id is not None and not is_session_id(event_id):
        raise Denied(400, "invalid_event", "an event's id is text of 1 to 255 characters")
    first_ms, until_ms = parse_instants(query, now_s, DEFAULT_ANOMALIES_RANGE)
    return AnomaliesQuery(first_ms, until_ms, _page(query), query.get("session"), event_id)


def parse_quality(query: Mapping[str, str], now_s: float) -> tuple[int, int]:
    """Parse `from` and `to`; the default is the last week. Raise `Denied` for what is invalid."""
    check_names(query, "from", "to")
    return parse_instants(query, now_s, DEFAULT_QUALITY_RANGE)


def format_cursor(last: StoredAnomaly) -> str:
    """Return the cursor of the page after the one that ends with this anomaly."""
    return f"{last.at_ms}.{last.id}"


def _page(query: Mapping[str, str]) -> AnomalyPage:
    is_open, order = query.get("open"), query.get("order")
    if is_open not in _BOOLEANS:
        raise Denied(400, "invalid_open", "open is true or false")
    if order not in _IS_NEWEST_FIRST:
        raise Denied(400, "invalid_order", "order is newest or oldest")
    return AnomalyPage(
        _limit(query.get("limit")),
        _IS_NEWEST_FIRST[order],
        _BOOLEANS[is_open],
        _position(query.get("cursor")),
    )


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_ANOMALIES_PER_PAGE
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text) or int(text) > MAX_ANOMALIES_PER_PAGE:
        raise Denied(400, "invalid_limit", f"limit is a number from 1 to {MAX_ANOMALIES_PER_PAGE}")
    return int(text)


def _position(cursor: str | None) -> AnomalyPosition | None:
    if cursor is None:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise Denied(400, "invalid_cursor", "cursor is `next` of the page before")
    return AnomalyPosition(int(found[1]), found[2])
