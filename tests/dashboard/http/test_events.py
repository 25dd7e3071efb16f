"""The list of events, and one event at a glance."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from conductor_actors.dashboard.http import event_query
from conductor_actors.dashboard.http.history import event_routes
from conductor_actors.domain.scoring import ScoreRow, Signals
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve
from tests.dashboard.http.conftest import Fetch, error, iso
from tests.support.listed_sessions import HOUR_MS, listed_session, store_listed_sessions
from tests.support.score_rows import AT_MS, row

Write = Callable[..., None]

TICK_MS = 5000
EVENTS = "/api/v1/events"
OVERVIEW = "/api/v1/events/overview"


@pytest.fixture
def tenant() -> str:
    return f"t-{uuid4().hex}"


@pytest.fixture
def store_session(store: Write, shared_database: str, tenant: str) -> Write:
    """Store a session with these scores, tick by tick, and as many users at each."""

    def store_scores(
        session_id: str,
        scores: Sequence[float],
        first_ms: int = AT_MS,
        users: int = 10,
        **changes: Any,
    ) -> None:
        event_id = changes.get("event_id", "event")
        signals = Signals(0.0, 0.0, 0, users, 0.0, 0.0)
        common = {"tenant_id": tenant, "event_id": event_id, "signals": signals}
        rows: list[ScoreRow] = [
            row(session_id, first_ms + tick * TICK_MS, score=score, **common)
            for tick, score in enumerate(scores)
        ]
        store(*rows)
        key = rows[0].key
        with psycopg.connect(shared_database) as connection:  # the store may have listed it
            connection.execute("DELETE FROM sessions WHERE (tenant_id, session_id) = (%s, %s)", key)
        times = {"started_ms": first_ms, "ended_ms": rows[-1].at_ms}
        store_listed_sessions(shared_database, listed_session(*key, **times | changes))

    return store_scores


@pytest.fixture
def overview(fetch: Fetch, tenant: str) -> Callable[..., Any]:
    def read(event: str = "event", **query: str) -> Any:
        answer = fetch(OVERVIEW, params={"tenant": tenant, "event": event} | query)
        return answer.raise_for_status().json()

    return read


def store_events(url: str, tenant: str, count: int) -> list[str]:
    """Store events of two sessions each, an hour apart; return their ids, newest first."""
    for number in range(count):
        start_ms = AT_MS + number * HOUR_MS
        store_listed_sessions(
            url,
            *(
                listed_session(
                    tenant,
                    f"s{number}-{part}",
                    event_id=f"e{number}",
                    started_ms=start_ms + part * 60_000,
                    ended_ms=start_ms + (part + 1) * HOUR_MS,
                )
                for part in range(2)
            ),
        )
    return [f"e{number}" for number in reversed(range(count))]


def listed(fetch: Fetch, tenant: str, **query: Any) -> list[str]:
    """Return the ids of the events of all pages."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = fetch(EVENTS, params={"tenant": tenant} | query | cursor)
        body = answer.raise_for_status().json()
        found += [each["eventId"] for each in body["events"]]
        if body["next"] is None:
            return found
        cursor = {"cursor": body["next"]}


def test_an_event_has_the_number_of_its_sessions_and_lasts_as_long_as_they_do(
    fetch: Fetch, shared_database: str, tenant: str
) -> None:
    store_listed_sessions(
        shared_database,
        listed_session(tenant, "a", event_title="Summit", ended_ms=AT_MS + HOUR_MS),
        listed_session(tenant, "b", started_ms=AT_MS - HOUR_MS, ended_ms=AT_MS + 2 * HOUR_MS),
        listed_session(tenant, "c", event_id="live", started_ms=AT_MS - 2 * HOUR_MS),
        listed_session(tenant, "d", event_id="live", ended_ms=AT_MS + HOUR_MS),
        listed_session(tenant + "-other", "e"),
    )
    body = fetch(EVENTS, params={"tenant": tenant}).json()
    assert body == {
        "events": [
            {
                "eventId": "event",
                "title": "Summit",
                "sessions": 2,
                "liveSessions": 0,
                "startedAt": "2026-01-04T11:00:00.000Z",
                "endedAt": "2026-01-04T14:00:00.000Z",
            },
            {
                "eventId": "live",
                "title": None,
                "sessions": 2,
                "liveSessions": 1,
                "startedAt": "2026-01-04T10:00:00.000Z",
                "endedAt": None,
            },
        ],
        "next": None,
    }


def test_pages_have_every_event_once_with_the_newest_first(
    fetch: Fetch, shared_database: str, tenant: str
) -> None:
    ids = store_events(shared_database, tenant, 7)
    store_listed_sessions(
        shared_database,
        *(
            listed_session(tenant, f"same-{each}", event_id=each, started_ms=AT_MS - 1000)
            for each in ("x", "y", "z")
        ),
    )
    for limit in (1, 2, 10):
        assert listed(fetch, tenant, limit=limit) == [*ids, "x", "y", "z"]


def test_events_are_filtered_by_start_and_searched_by_id_and_title(
    fetch: Fetch, shared_database: str, tenant: str
) -> None:
    store_events(shared_database, tenant, 4)
    store_listed_sessions(
        shared_database,
        listed_session(tenant, "s", event_id="x", event_title="Élan 100%", ended_ms=AT_MS),
    )
    since = {"from": iso(AT_MS + HOUR_MS), "to": iso(AT_MS + 3 * HOUR_MS)}
    assert listed(fetch, tenant, **since) == ["e2", "e1"]
    assert listed(fetch, tenant, search="E3") == ["e3"]
    assert listed(fetch, tenant, search="élan") == ["x"]
    assert listed(fetch, tenant, search="%") == ["x"]
    assert listed(fetch, tenant, search="_") == []


def test_a_token_lists_the_events_of_the_sessions_that_it_opens_and_counts_no_others(
    serve: Serve, shared_database: str, tenant: str
) -> None:
    store_events(shared_database, tenant, 3)
    address = serve(jwt_secret=SECRET).address

    def events(**claims: list[str]) -> list[tuple[str, int]]:
        headers = {"Authorization": f"Bearer {token(tenant, claims=claims)}"}
        body = httpx.get(f"{address}api/v1/events", headers=headers).json()
        return [(each["eventId"], each["sessions"]) for each in body["events"]]

    assert events() == [("e2", 2), ("e1", 2), ("e0", 2)]
    assert events(sessions=["s1-0"]) == [("e1", 1)]
    assert events(events=["e0"], sessions=["s1-0"]) == [("e1", 1), ("e0", 2)]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("from=yesterday", "invalid_time"),
        ("from=2026-01-05T00:00:00Z&to=2026-01-04T00:00:00Z", "invalid_range"),
        ("limit=0", "invalid_limit"),
        ("search=a%00", "invalid_search"),
        ("cursor=x", "invalid_cursor"),
        ("state=all", "unknown_parameter"),
    ],
)
def test_an_invalid_list_is_refused_with_a_code(fetch: Fetch, query: str, code: str) -> None:
    assert error(fetch(f"{EVENTS}?{query}")) == (400, code)


def test_a_cursor_of_sessions_is_none_of_events(
    fetch: Fetch, shared_database: str, tenant: str
) -> None:
    store_events(shared_database, tenant, 2)
    query = {"tenant": tenant, "limit": "1"}
    cursor = fetch("/api/v1/sessions", params=query | {"state": "all"}).json()["next"]
    refused = fetch(EVENTS, params=query | {"cursor": cursor})
    assert error(refused) == (400, "invalid_cursor")


def test_an_event_shows_its_sessions_on_one_axis_and_its_curve_weighted_by_users(
    overview: Any, store_session: Write
) -> None:
    store_session("late", [0.9] * 12, AT_MS + 60_000, users=30)
    store_session("early", [0.1] * 24, AT_MS, users=10, title="Opening", event_title="Summit")
    store_session("other", [0.5], event_id="another event")
    body = overview()
    assert (body["eventId"], body["title"], body["step"]) == ("event", "Summit", "PT5S")
    assert (body["startedAt"], body["endedAt"]) == (
        "2026-01-04T12:00:00.000Z",
        "2026-01-04T12:01:55.000Z",
    )
    assert (body["from"], body["to"]) == ("2026-01-04T12:00:00.000Z", "2026-01-04T12:02:00.000Z")
    early, late = body["sessions"]
    assert (early["sessionId"], early["title"], early["state"]) == ("early", "Opening", "ended")
    assert late["points"][0] == {
        "timestamp": "2026-01-04T12:01:00.000Z",
        "score": 0.9,
        "totalUsers": 30,
    }
    assert (len(early["points"]), len(late["points"])) == (24, 12)
    assert body["curve"][11] == {
        "timestamp": "2026-01-04T12:00:55.000Z",
        "score": pytest.approx(0.1),
        "totalUsers": 10,
    }
    assert body["curve"][12] == {
        "timestamp": "2026-01-04T12:01:00.000Z",
        "score": pytest.approx((0.1 * 10 + 0.9 * 30) / 40),
        "totalUsers": 40,
    }
    assert len(body["curve"]) == 24


def test_a_curve_without_users_is_the_plain_mean(overview: Any, store_session: Write) -> None:
    store_session("a", [0.2], users=0)
    store_session("b", [0.6], users=0)
    [point] = overview()["curve"]
    assert (point["score"], point["totalUsers"]) == (pytest.approx(0.4), 0)


def test_an_event_of_hours_is_shown_in_whole_minutes_with_and_without_the_aggregate(
    overview: Any, store_session: Write, shared_database: str
) -> None:
    scores = [tick % 100 / 100 for tick in range(3 * 720)]
    ended = {"ended_ms": AT_MS + (len(scores) - 1) * TICK_MS}
    store_session("a", [*scores, *[0.0] * 24], **ended)
    store_session("b", [*scores[::-1], *[0.0] * 24], users=30, **ended)
    before = overview()
    assert before["step"] == "PT30S"
    longer = {"to": iso(AT_MS + 8 * HOUR_MS), "from": iso(AT_MS)}
    before = overview(**longer)
    assert before["step"] == "PT60S"
    aggregate = """
        CREATE MATERIALIZED VIEW engagement_1m AS
        SELECT date_bin('1 min', time, 'epoch') AS bucket, tenant_id, session_id,
               avg(engagement_score) AS avg_score, max(total_users) AS max_total_users,
               count(*) AS ticks
        FROM engagement_metrics GROUP BY 1, 2, 3
    """
    with psycopg.connect(shared_database, autocommit=True) as database:
        database.execute(aggregate)
        try:
            after = overview(**longer)
            database.execute("DELETE FROM engagement_metrics WHERE session_id = 'a'")
            without_rows = overview(**longer)
        finally:
            database.execute("DROP MATERIALIZED VIEW engagement_1m")
    assert len(before["curve"]) == 180
    for old, new in zip(before["curve"], after["curve"], strict=True):
        assert old == new | {"score": pytest.approx(new["score"])}
    assert without_rows["curve"] == after["curve"]


def test_moments_are_the_largest_changes_within_a_minute_across_sessions(
    overview: Any, store_session: Write
) -> None:
    quiet = [0.2] * 30
    store_session("calm", quiet)
    store_session("rising", [*quiet[:15], *[0.9] * 30])
    store_session("falling", [*[0.8] * 20, *[0.3] * 30, *[0.4] * 20])
    moments = overview()["moments"]
    assert moments["rises"][0] == {
        "sessionId": "rising",
        "at": "2026-01-04T12:01:15.000Z",
        "before": 0.2,
        "after": 0.9,
        "change": pytest.approx(0.7),
    }
    assert [(each["sessionId"], each["at"][11:19]) for each in moments["rises"]] == [
        ("rising", "12:01:15"),
        ("falling", "12:04:10"),
    ]
    assert [(each["sessionId"], each["at"][11:19]) for each in moments["falls"]] == [
        ("falling", "12:01:40"),
    ]


def test_a_range_of_an_event_has_the_sessions_that_are_in_it(
    overview: Any, store_session: Write
) -> None:
    for hour in range(4):
        store_session(f"s{hour}", [0.5] * 120, AT_MS + hour * HOUR_MS)
    query = {"from": iso(AT_MS + HOUR_MS + 60_000), "to": iso(AT_MS + 2 * HOUR_MS + 60_000)}
    body = overview(**query)
    assert [each["sessionId"] for each in body["sessions"]] == ["s1", "s2"]
    assert body["from"] <= iso(AT_MS + HOUR_MS + 60_000)


def test_of_an_event_with_very_many_sessions_the_newest_are_shown(
    overview: Any,
    store_session: Write,
    fetch: Fetch,
    tenant: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_query, "MAX_EVENT_POINTS", 8)
    monkeypatch.setattr(event_routes, "MAX_EVENT_SESSIONS_SHOWN", 2)
    for number in range(4):
        store_session(f"s{number}", [0.5] * 12, AT_MS + number * 60_000)
    body = overview()
    assert [each["sessionId"] for each in body["sessions"]] == ["s2", "s3"]
    assert len(body["curve"]) <= 4
    too_many = {"tenant": tenant, "event": "event", "from": iso(AT_MS)}
    assert error(fetch(OVERVIEW, params=too_many)) == (400, "too_many_sessions")
    assert len(overview(**{"from": iso(AT_MS + 125_000)})["sessions"]) == 2


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "event_missing"),
        ("event=", 400, "invalid_event"),
        ("event=%00", 400, "invalid_event"),
        (f"event={'x' * 256}", 400, "invalid_event"),
        ("event=nobody%27s", 404, "unknown_event"),
        ("event=e&from=2026-01-05T00:00:00Z&to=2026-01-04T00:00:00Z", 400, "invalid_range"),
        ("event=e&from=now", 400, "invalid_time"),
        ("event=e&points=9", 400, "unknown_parameter"),
    ],
)
def test_an_invalid_overview_is_refused_with_a_code(
    fetch: Fetch, query: str, status: int, code: str
) -> None:
    assert error(fetch(f"{OVERVIEW}?{query}")) == (status, code)


@pytest.mark.parametrize("name", ["/", "%", "#", "?", '"', "<", "__proto__", "..", "😀" * 255])
def test_every_event_id_has_an_overview(overview: Any, store_session: Write, name: str) -> None:
    store_session(name, [0.5], event_id=name)
    body = overview(name)
    assert (body["eventId"], body["sessions"][0]["sessionId"]) == (name, name)


def test_a_token_sees_its_sessions_of_an_event_and_no_others(
    serve: Serve, store_session: Write, tenant: str
) -> None:
    store_session("mine", [0.5] * 3)
    store_session("hidden", [0.5] * 3)
    address = serve(jwt_secret=SECRET).address

    def seen(**claims: list[str]) -> Any:
        headers = {"Authorization": f"Bearer {token(tenant, claims=claims)}"}
        answer = httpx.get(f"{address}api/v1/events/overview?event=event", headers=headers)
        if answer.status_code != 200:
            return error(answer)
        return sorted(each["sessionId"] for each in answer.json()["sessions"])

    assert seen() == seen(events=["event"]) == ["hidden", "mine"]
    assert seen(sessions=["mine"]) == ["mine"]
    assert seen(sessions=["other"]) == seen(events=["other"]) == (404, "unknown_event")


def test_the_silent_rows_after_the_end_of_a_session_do_not_count(
    store_session: Write, overview: Callable[..., Any]
) -> None:
    ended = {"ended_ms": AT_MS + 13 * TICK_MS}
    store_session("over", [*[0.5] * 12, *[0.9] * 2, *[0.0] * 20], **ended)
    store_session("on", [*[0.3] * 34], users=30)
    body = overview()
    points = {each["sessionId"]: len(each["points"]) for each in body["sessions"]}
    assert points == {"over": 14, "on": 34}
    after = body["curve"][20]
    assert (after["score"], after["totalUsers"]) == (pytest.approx(0.3), 30)
    assert [each["change"] for each in body["moments"]["rises"]] == [pytest.approx(0.4)]
    assert body["moments"]["falls"] == []
