"""Parse the parameters of requests for lists of stored sessions."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from conductor_actors.dashboard.access.auth import Denied, is_session_id
from conductor_actors.dashboard.http.cursors import Position, parse_position
from conductor_actors.dashboard.http.query import check_names, parse_instant, parse_number
from conductor_actors.domain.texts.plain_text import NOT_PLAIN
from conductor_actors.ports.history_port import SessionSelection

State: TypeAlias = Literal["live", "ended", "all"]

MAX_LISTED: Final = 200  # sessions or events of a page
DEFAULT_LISTED: Final = 50
MAX_SEARCH_CHARS: Final = 200

_STATES_BY_NAME: Final[dict[str | None, State]] = {"live": "live", "ended": "ended", "all": "all"}


class ListQuery(NamedTuple):
    """A filter of a list, the size of a page, and where it begins; `listed` is what cursors check.

    `first_ms` and `until_ms` are None where there is no limit.
    """

    listed: Sequence[object]
    first_ms: int | None
    until_ms: int | None
    search: str | None
    limit: int
    after: Position | None


class SessionListQuery(NamedTuple):
    """A page of a list of sessions."""

    state: State
    event_id: str | None
    page: ListQuery

    def selection(self, tenant: str, session_ids: Sequence[str] | None) -> SessionSelection:
        """Return what is selected of a tenant, of what the caller may see."""
        page = self.page
        filter_ = page.search, page.first_ms, page.until_ms
        return SessionSelection(tenant, self.state, self.event_id, *filter_, session_ids)


def parse_sessions(query: Mapping[str, str], tenant: str) -> SessionListQuery:
    """Parse `state`, `event`, `search`, `from`, `to`, `limit` and `cursor`.

    Raise `Denied` for what is invalid.
    """
    check_names(query, "state", "event", "search", "from", "to", "limit", "cursor")
    state, event_id = _STATES_BY_NAME.get(query.get("state")), query.get("event")
    if state is None:
        raise Denied(400, "invalid_state", "state is live, ended or all")
    if event_id is not None:
        check_event(event_id)
    page = parse_page(query, ("sessions", tenant, state, event_id))
    return SessionListQuery(state, event_id, page)


def parse_page(query: Mapping[str, str], listed: Sequence[object]) -> ListQuery:
    """Parse `search`, `from`, `to`, `limit` and `cursor` of a list; raise `Denied` likewise."""
    first_ms, until_ms = parse_instant(query, "from", None), parse_instant(query, "to", None)
    if first_ms is not None and until_ms is not None and first_ms >= until_ms:
        raise Denied(400, "invalid_range", "from must be before to")
    search = _search(query.get("search"))
    limit = parse_number(query, "limit", DEFAULT_LISTED, 1, MAX_LISTED)
    listed = (*listed, search, first_ms, until_ms)
    after = parse_position(listed, query.get("cursor"))
    return ListQuery(listed, first_ms, until_ms, search, limit, after)


def check_event(event_id: str) -> None:
    """Raise `Denied` if this is no id of an event."""
    if not is_session_id(event_id):
        raise Denied(400, "invalid_event", "an event's id is text of 1 to 255 characters")


def _search(text: str | None) -> str | None:
    text = (text or "").strip()
    if len(text) > MAX_SEARCH_CHARS or NOT_PLAIN.search(text):
        raise Denied(
            400, "invalid_search", f"search is one line of at most {MAX_SEARCH_CHARS} characters"
        )
    return text or None
