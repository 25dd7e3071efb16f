"""What people call sessions and events: read, changed, refused."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from conductor_actors.dashboard.server import Dashboard
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve
from tests.dashboard.http.conftest import Fetch, error
from tests.support.listed_sessions import HOUR_MS, listed_session, store_listed_sessions
from tests.support.score_rows import AT_MS

Put = Callable[..., httpx.Response]

ABOUT: dict[str, Any] = {
    "title": "Opening keynote",
    "speakers": ["Ada", "Grace"],
    "plannedBegin": "2026-01-04T12:00:00Z",
    "plannedEnd": "2026-01-04T14:00:00+01:00",
}


@pytest.fixture
def tenant() -> str:
    return f"t-{uuid4().hex}"


@pytest.fixture
def put(dashboard: Dashboard, tenant: str) -> Put:
    def put_about(session_id: str = "s", **body: Any) -> httpx.Response:
        path = f"{dashboard.address}api/v1/sessions/{session_id}/about"
        return httpx.put(path, params={"tenant": tenant}, json={"title": None} | body)

    return put_about


def about(fetch: Fetch, tenant: str, session_id: str = "s") -> httpx.Response:
    return fetch(f"/api/v1/sessions/{session_id}/about", params={"tenant": tenant})


def test_a_session_gets_the_title_that_is_put(
    put: Put, fetch: Fetch, shared_database: str, tenant: str
) -> None:
    store_listed_sessions(shared_database, listed_session(tenant, "s", ended_ms=AT_MS + HOUR_MS))
    assert about(fetch, tenant).json()["title"] is None
    changed = put(**ABOUT, eventTitle="Conference")
    assert changed.status_code == 200
    body = changed.json()
    assert about(fetch, tenant).json() == body
    names = ("title", "speakers", "plannedBegin", "plannedEnd", "eventTitle", "eventId", "state")
    assert [body[name] for name in names] == [
        "Opening keynote",
        ["Ada", "Grace"],
        "2026-01-04T12:00:00.000Z",
        "2026-01-04T13:00:00.000Z",
        "Conference",
        "event",
        "ended",
    ]
    listed = fetch("/api/v1/sessions", params={"state": "all", "tenant": tenant})
    assert listed.json()["sessions"] == [body]


def test_a_later_title_replaces_all_of_an_earlier_one_but_the_event_keeps_its_own(
    put: Put, fetch: Fetch, shared_database: str, tenant: str
) -> None:
    store_listed_sessions(shared_database, listed_session(tenant, "s"))
    put(**ABOUT, eventTitle="Conference")
    put(title="  Closing  ")
    body = about(fetch, tenant).json()
    assert (body["title"], body["speakers"], body["plannedBegin"]) == ("Closing", [], None)
    assert body["eventTitle"] == "Conference"
    put(title=None, eventTitle=None)
    body = about(fetch, tenant).json()
    assert (body["title"], body["eventTitle"]) == (None, None)


def test_a_session_without_rows_is_planned_with_its_event(
    put: Put, fetch: Fetch, tenant: str
) -> None:
    assert error(about(fetch, tenant)) == (404, "unknown_session")
    assert put(**ABOUT).json()["eventId"] == "s"
    body = put(**ABOUT, eventId="ev", eventTitle="Conference").json()
    assert (body["state"], body["eventId"], body["eventTitle"]) == ("planned", "ev", "Conference")
    assert (body["startedAt"], body["endedAt"], body["meanScore"]) == (None, None, None)
    assert put(title="Still of the event").json()["eventTitle"] == "Conference"
    listed = fetch("/api/v1/sessions", params={"state": "all", "tenant": tenant})
    assert listed.json() == {"sessions": [], "next": None}


@pytest.mark.parametrize("event_id", [None, "s", "unknown"])
def test_the_title_of_an_event_that_is_not_known_is_refused(put: Put, event_id: str | None) -> None:
    refused = put(**ABOUT, eventTitle="Conference", eventId=event_id)
    assert error(refused) == (400, "event_missing")


@pytest.mark.parametrize(
    "change",
    [
        {"title": 7},
        {"title": "x" * 201},
        {"title": "two\nlines"},
        {"title": "reversed \u202e"},
        {"title": "nul \0"},
        {"speakers": "Ada"},
        {"speakers": ["x" * 101]},
        {"speakers": [" "]},
        {"speakers": ["Ada"] * 21},
        {"speakers": [None]},
        {"plannedBegin": "tomorrow"},
        {"plannedBegin": "2026-02-30T12:00:00Z"},
        {"plannedBegin": "2026-01-04T12:00:00"},
        {"plannedBegin": 1767528000},
        {"plannedBegin": "2026-01-04T12:00:00Z", "plannedEnd": "2026-01-04T12:00:00Z"},
        {"plannedBegin": "2026-01-04T12:00:00Z", "plannedEnd": "2026-01-04T11:59:59Z"},
        {"eventTitle": "x" * 201, "eventId": "ev"},
        {"eventId": "x" * 256},
        {"eventId": ""},
        {"eventId": "a\0"},
    ],
)
def test_an_invalid_title_is_refused_and_stored_nowhere(
    put: Put, fetch: Fetch, tenant: str, change: dict[str, Any]
) -> None:
    assert error(put(**change)) == (400, "invalid_body")
    assert about(fetch, tenant).status_code == 404


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"{}", b'{"title": "\\ud800"}', b"\xff", b"[" * 10_000]
)
def test_a_body_that_is_no_title_is_refused(dashboard: Dashboard, tenant: str, body: bytes) -> None:
    path = f"{dashboard.address}api/v1/sessions/s/about"
    refused = httpx.put(path, params={"tenant": tenant}, content=body)
    assert error(refused) == (400, "invalid_body")


def test_a_body_that_is_too_large_is_refused(put: Put) -> None:
    assert error(put(title="x" * 40_000)) == (413, "too_large")


def test_the_longest_title_is_accepted(put: Put) -> None:
    longest = {"title": "😀" * 200, "speakers": ["😀" * 100] * 20}
    assert put(**longest).json()["speakers"] == longest["speakers"]


def test_a_title_is_changed_by_who_may_administer_and_sees_all_of_the_event(
    serve: Serve, shared_database: str, tenant: str
) -> None:
    store_listed_sessions(shared_database, listed_session(tenant, "s"))
    address = serve(jwt_secret=SECRET).address

    def put(body: dict[str, Any], **claims: Any) -> tuple[int, str | None]:
        headers = {"Authorization": f"Bearer {token(tenant, claims=claims)}"}
        path = f"{address}api/v1/sessions/s/about"
        answer = httpx.put(path, json={"title": "x"} | body, headers=headers)
        return (200, None) if answer.status_code == 200 else error(answer)

    assert put({}) == (403, "admin_missing")
    assert put({}, admin="true") == (403, "admin_missing")
    assert put({}, admin=True, sessions=["other"]) == (403, "other_session")
    assert put({}, admin=True, sessions=["s"]) == (200, None)
    for body in ({"eventTitle": "x"}, {"eventId": "event"}, {"eventId": "other"}):
        assert put(body, admin=True, sessions=["s"]) == (403, "other_event")
    assert put({"eventTitle": "x"}, admin=True, events=["event"]) == (200, None)
    assert put({"eventId": "other"}, admin=True, events=["event"]) == (403, "other_event")
    assert put({"eventTitle": "x"}, admin=True) == (200, None)


def test_titles_are_those_of_live_and_planned_sessions_and_their_events(
    put: Put, fetch: Fetch, shared_database: str, tenant: str
) -> None:
    now_ms = round(datetime.now(UTC).timestamp() * 1000)
    store_listed_sessions(
        shared_database,
        listed_session(tenant, "live", title="Now", event_title="Conference"),
        listed_session(tenant, "of the event"),
        listed_session(tenant, "untitled", event_id="other"),
        listed_session(tenant, "over", ended_ms=AT_MS, title="Over", event_id="ended event"),
        listed_session(tenant, "later", started_ms=None, title="Later", speakers=("Ada",)),
        listed_session(tenant, "missed", started_ms=None, title="Missed", planned_end_ms=AT_MS),
        listed_session(tenant, "__proto__", started_ms=None, planned_end_ms=now_ms + HOUR_MS),
    )

    def titles() -> Any:
        return fetch("/api/v1/titles", params={"tenant": tenant}).json()

    body = titles()
    assert sorted(body["sessions"]) == ["__proto__", "later", "live", "of the event"]
    assert body["events"] == {"event": "Conference"}
    assert body["sessions"]["later"] == {
        "title": "Later",
        "eventTitle": "Conference",
        "speakers": ["Ada"],
        "plannedBegin": None,
        "plannedEnd": None,
    }
    assert body["sessions"]["of the event"]["title"] is None
    put("live", title="Changed")
    assert titles()["sessions"]["live"]["title"] == "Changed"


def test_titles_are_read_once_for_all_clients(
    fetch: Fetch, shared_database: str, tenant: str
) -> None:
    def titles() -> Any:
        return fetch("/api/v1/titles", params={"tenant": tenant}).json()

    assert titles() == {"sessions": {}, "events": {}}
    store_listed_sessions(shared_database, listed_session(tenant, "s", title="New"))
    assert titles() == {"sessions": {}, "events": {}}


def test_a_token_reads_the_titles_of_the_sessions_that_it_opens(
    serve: Serve, shared_database: str, tenant: str
) -> None:
    store_listed_sessions(
        shared_database,
        listed_session(tenant, "a", title="A", event_title="Conference"),
        listed_session(tenant, "b", title="B", event_id="other", event_title="Hidden"),
    )
    address = serve(jwt_secret=SECRET).address
    headers = {"Authorization": f"Bearer {token(tenant, claims={'sessions': ['a']})}"}
    body = httpx.get(f"{address}api/v1/titles", headers=headers).json()
    assert (list(body["sessions"]), body["events"]) == (["a"], {"event": "Conference"})
