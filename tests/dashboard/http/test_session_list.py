"""Lists of stored sessions: what is in a page, in which order, and what is refused."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import psycopg
import pytest

from conductor_actors.instants import to_iso
from conductor_actors.ports.history_port import StoredSession
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve
from tests.dashboard.http.conftest import Fetch, error, iso
from tests.support.listed_sessions import HOUR_MS, listed_session, store_listed_sessions
from tests.support.score_rows import AT_MS

PATH = "/api/v1/sessions"
UNUSUAL_IDS = ("/", "%", "#", "?", '"', "<b>", "__proto__", "constructor", ".", "..", "😀" * 255)


@pytest.fixture
def tenant() -> str:
    return f"t-{uuid4().hex}"


@pytest.fixture
def list_ids(fetch: Fetch, tenant: str) -> Any:
    """Return the ids of all pages of a list."""

    def ids(state: str = "all", **query: Any) -> list[str]:
        return [each["sessionId"] for page in pages(fetch, tenant, state, **query) for each in page]

    return ids


def pages(fetch: Fetch, tenant: str, state: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
    cursor: dict[str, str] = {}
    while True:
        answer = fetch(PATH, params={"state": state, "tenant": tenant} | query | cursor)
        body = answer.raise_for_status().json()
        assert set(body) == {"sessions", "next"}
        yield body["sessions"]
        if body["next"] is None:
            return
        cursor = {"cursor": body["next"]}


def store_hours(url: str, tenant: str, count: int, **changes: Any) -> list[str]:
    """Store sessions that start an hour apart; return their ids, newest first."""
    sessions = [
        listed_session(tenant, f"s{hour}", started_ms=AT_MS + hour * HOUR_MS, **changes)
        for hour in range(count)
    ]
    store_listed_sessions(url, *sessions)
    return [each.key.session_id for each in reversed(sessions)]


def test_a_summary_has_the_names_and_figures_of_a_session_that_ended(
    fetch: Fetch, shared_database: str, tenant: str
) -> None:
    session = listed_session(
        tenant,
        "keynote",
        ended_ms=AT_MS + HOUR_MS,
        mean_score=0.5,
        peak_score=0.9,
        peak_ms=AT_MS + 5000,
        peak_users=120,
        title="Opening keynote",
        speakers=("Ada", "Grace"),
        planned_begin_ms=AT_MS - 60_000,
        planned_end_ms=AT_MS + HOUR_MS,
        event_title="Conference",
    )
    store_listed_sessions(shared_database, session)
    assert fetch(PATH, params={"state": "ended", "tenant": tenant}).json() == {
        "sessions": [
            {
                "sessionId": "keynote",
                "eventId": "event",
                "tenantId": tenant,
                "title": "Opening keynote",
                "eventTitle": "Conference",
                "speakers": ["Ada", "Grace"],
                "plannedBegin": "2026-01-04T11:59:00.000Z",
                "plannedEnd": "2026-01-04T13:00:00.000Z",
                "state": "ended",
                "startedAt": "2026-01-04T12:00:00.000Z",
                "endedAt": "2026-01-04T13:00:00.000Z",
                "durationS": 3600.0,
                "meanScore": 0.5,
                "peakScore": 0.9,
                "peakAt": "2026-01-04T12:00:05.000Z",
                "peakUsers": 120,
            }
        ],
        "next": None,
    }


def test_a_session_that_went_on_after_its_end_has_no_figures(
    fetch: Fetch, shared_database: str, tenant: str
) -> None:
    ended = listed_session(tenant, "s", ended_ms=AT_MS + HOUR_MS, mean_score=0.5, peak_users=9)
    store_listed_sessions(shared_database, ended)
    with psycopg.connect(shared_database) as connection:
        connection.execute("UPDATE sessions SET ended_at = NULL WHERE tenant_id = %s", [tenant])
    [[live]] = pages(fetch, tenant, "live")
    assert (live["state"], live["endedAt"], live["durationS"]) == ("live", None, None)
    assert (live["meanScore"], live["peakUsers"]) == (None, None)


@pytest.mark.parametrize(
    ("state", "expected"),
    [("live", ["live"]), ("ended", ["ended"]), ("all", ["ended", "live"])],
)
def test_a_list_has_the_sessions_of_its_state(
    list_ids: Any, shared_database: str, tenant: str, state: str, expected: list[str]
) -> None:
    store_listed_sessions(
        shared_database,
        listed_session(tenant, "live"),
        listed_session(tenant, "ended", started_ms=AT_MS + 1000, ended_ms=AT_MS + HOUR_MS),
        listed_session(tenant, "planned", started_ms=None, title="Later"),
        listed_session(tenant + "-other", "of another tenant"),
    )
    assert list_ids(state) == expected


def test_pages_have_every_session_once_with_the_newest_start_first(
    list_ids: Any, shared_database: str, tenant: str
) -> None:
    ids = store_hours(shared_database, tenant, 23)
    assert list_ids(limit=5) == ids
    assert list_ids(limit=23) == ids


def test_sessions_that_start_at_once_are_in_the_order_of_their_ids(
    list_ids: Any, shared_database: str, tenant: str
) -> None:
    ids = [f"s{number:02}" for number in range(17)]
    store_listed_sessions(shared_database, *(listed_session(tenant, each) for each in ids))
    store_listed_sessions(shared_database, listed_session(tenant, "a", started_ms=AT_MS - 5000))
    assert list_ids(limit=4) == [*ids, "a"]


def test_sessions_that_begin_while_a_list_is_read_move_no_page(
    fetch: Fetch, shared_database: str, tenant: str
) -> None:
    ids = store_hours(shared_database, tenant, 6)
    read = pages(fetch, tenant, "all", limit=3)
    first = next(read)
    new = listed_session(tenant, "new", started_ms=AT_MS + 100 * HOUR_MS)
    store_listed_sessions(shared_database, new)
    assert [each["sessionId"] for page in (first, *read) for each in page] == ids


def test_a_list_is_filtered_by_event_and_start(
    list_ids: Any, shared_database: str, tenant: str
) -> None:
    store_hours(shared_database, tenant, 6)
    store_listed_sessions(
        shared_database,
        listed_session(tenant, "other", event_id="other event", started_ms=AT_MS + HOUR_MS),
    )
    assert list_ids(event="other event") == ["other"]
    since, before = iso(AT_MS + HOUR_MS), iso(AT_MS + 3 * HOUR_MS)
    assert list_ids(**{"from": since, "to": before, "limit": 1}) == ["s2", "other", "s1"]
    assert list_ids(event="event", **{"from": since, "to": before}) == ["s2", "s1"]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("KEYNOTE", ["a"]),
        ("élan", ["b"]),
        ("ÉLAN", ["b"]),
        ("hopper", ["c"]),
        ("summit", ["c", "b"]),
        ("100%", ["d"]),
        ("%", ["d"]),
        ("_", []),
        ("\\", []),
        ("a\\b", []),
        ("' OR 1=1 --", []),
        ("  ", ["d", "c", "b", "a"]),
        ("ev1", ["a"]),
    ],
)
def test_a_search_finds_text_in_ids_titles_and_speakers_whatever_its_case(
    list_ids: Any, shared_database: str, tenant: str, search: str, expected: list[str]
) -> None:
    def named(session_id: str, order: int, event_id: str, **names: Any) -> StoredSession:
        start_ms = AT_MS + order * 1000
        return listed_session(tenant, session_id, started_ms=start_ms, event_id=event_id, **names)

    store_listed_sessions(
        shared_database,
        named("a", 0, "ev1", title="The keynote"),
        named("b", 1, "ev2", title="Élan vital", event_title="Summit"),
        named("c", 2, "ev2", speakers=("Ada", "Grace Hopper")),
        named("d", 3, "ev3", title="100% sure"),
    )
    assert list_ids(search=search) == expected


def test_every_id_is_listed_and_leads_to_the_next_page(
    list_ids: Any, shared_database: str, tenant: str
) -> None:
    store_listed_sessions(
        shared_database,
        *(listed_session(tenant, each, event_id=each) for each in UNUSUAL_IDS),
    )
    assert sorted(list_ids(limit=1)) == sorted(UNUSUAL_IDS)
    for each in UNUSUAL_IDS:
        assert list_ids(event=each) == [each]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("state=over", "invalid_state"),
        ("state=", "invalid_state"),
        ("state=all&from=yesterday", "invalid_time"),
        ("state=all&from=2026-02-30T00:00:00Z", "invalid_time"),
        ("state=all&to=2026-01-04", "invalid_time"),
        ("state=all&to=9999-01-01T00:00:00Z", "invalid_time"),
        ("state=all&from=2026-01-05T00:00:00Z&to=2026-01-04T00:00:00Z", "invalid_range"),
        ("state=all&from=2026-01-05T00:00:00Z&to=2026-01-05T00:00:00Z", "invalid_range"),
        ("state=all&limit=0", "invalid_limit"),
        ("state=all&limit=201", "invalid_limit"),
        ("state=all&limit=-1", "invalid_limit"),
        ("state=all&limit=ten", "invalid_limit"),
        ("state=all&event=", "invalid_event"),
        ("state=all&event=%00", "invalid_event"),
        (f"state=all&event={'x' * 256}", "invalid_event"),
        (f"state=all&search={'x' * 201}", "invalid_search"),
        ("state=all&search=a%00", "invalid_search"),
        ("state=all&search=a%0Ab", "invalid_search"),
        ("state=all&cursor=", "invalid_cursor"),
        ("state=all&cursor=x", "invalid_cursor"),
        ("state=all&cursor=1.2", "invalid_cursor"),
        (f"state=all&cursor={'A' * 5000}", "invalid_cursor"),
        ("state=all&cursor=%F0%9F%98%80", "invalid_cursor"),
        ("state=all&offset=50", "unknown_parameter"),
        ("state=all&tenant=No", "invalid_tenant"),
    ],
)
def test_an_invalid_request_is_refused_with_a_code(fetch: Fetch, query: str, code: str) -> None:
    assert error(fetch(f"{PATH}?{query}")) == (400, code)


def test_a_cursor_that_was_altered_or_is_of_another_list_is_refused(
    fetch: Fetch, shared_database: str, tenant: str
) -> None:
    store_hours(shared_database, tenant, 3)
    query = {"state": "all", "tenant": tenant, "limit": "1"}
    cursor = fetch(PATH, params=query).json()["next"]

    def refused(**changes: str) -> bool:
        answer = fetch(PATH, params=query | {"cursor": cursor} | changes)
        return answer.status_code == 400 and error(answer) == (400, "invalid_cursor")

    assert not refused()
    assert not refused(limit="2")
    for place, letter in enumerate(cursor):
        for other in "Ab-":
            if other != letter:
                assert refused(cursor=cursor[:place] + other + cursor[place + 1 :]), place
    assert refused(cursor=cursor[:-1])
    assert refused(cursor=cursor + "A")
    assert refused(cursor=cursor + "=")
    assert refused(state="live")
    assert refused(event="event")
    assert refused(search="s")
    assert refused(tenant=tenant + "-other")
    assert refused(**{"from": to_iso(AT_MS)})
    assert refused(to=to_iso(AT_MS))


def test_without_a_state_the_list_has_the_updates_of_live_sessions(fetch: Fetch) -> None:
    assert set(fetch(PATH).json()) == {"sessions"}


def test_a_token_lists_the_sessions_that_it_opens_and_no_others(
    serve: Serve, shared_database: str, tenant: str
) -> None:
    store_hours(shared_database, tenant, 4)
    store_listed_sessions(
        shared_database, listed_session(tenant, "of event", event_id="other", title="Hidden")
    )
    address = serve(jwt_secret=SECRET).address

    def listed(**claims: list[str]) -> list[str]:
        headers = {"Authorization": f"Bearer {token(tenant, claims=claims)}"}
        answer = httpx.get(f"{address}api/v1/sessions?state=all", headers=headers)
        return [each["sessionId"] for each in answer.raise_for_status().json()["sessions"]]

    assert len(listed()) == 5
    assert listed(sessions=["s1", "s3", "none"]) == ["s3", "s1"]
    assert listed(events=["other"]) == ["of event"]
    assert listed(events=["other"], sessions=["s0"]) == ["of event", "s0"]
    assert listed(sessions=[]) == []
    anonymous = httpx.get(f"{address}api/v1/sessions?state=all")
    assert error(anonymous) == (401, "token_missing")


def test_a_hundred_thousand_sessions_are_listed_page_by_page(
    fetch: Fetch, shared_database: str, tenant: str
) -> None:
    with psycopg.connect(shared_database) as connection:
        connection.execute(
            "INSERT INTO sessions (tenant_id, session_id, event_id, started_at, ended_at)"
            " SELECT %s, 's' || n, 'e' || n %% 1000, at, at + interval '1 hour'"
            " FROM generate_series(1, 100000) AS n,"
            " LATERAL (SELECT timestamptz '2026-01-04 12:00Z' - n / 10 * interval '5 s' AS at) a",
            [tenant],
        )
    with psycopg.connect(shared_database, autocommit=True) as connection:
        connection.execute("ANALYZE sessions")
    seen: list[str] = []
    for number, page in enumerate(pages(fetch, tenant, "ended", limit=200)):
        seen += [each["sessionId"] for each in page]
        if number == 9:
            break
    assert len(set(seen)) == 2000
    answer = fetch(PATH, params={"state": "all", "tenant": tenant, "search": "s99999"})
    assert [each["sessionId"] for each in answer.json()["sessions"]] == ["s99999"]
    assert answer.elapsed.total_seconds() < 5  # of all of them, on a busy machine


def test_an_id_in_a_path_is_percent_encoded(
    fetch: Fetch, shared_database: str, tenant: str
) -> None:
    ids = [each for each in UNUSUAL_IDS if each not in {".", ".."}]
    store_listed_sessions(shared_database, *(listed_session(tenant, each) for each in ids))
    for each in ids:
        path = f"{PATH}/{quote(each, safe='')}/about?tenant={tenant}"
        assert fetch(path).json()["sessionId"] == each
