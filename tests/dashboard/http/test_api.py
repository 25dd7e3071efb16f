import csv
import io
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest
from msgspec.structs import replace

from conductor_actors.dashboard.server import Dashboard
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve, metric, this_tick_ms
from tests.dashboard.http.conftest import Fetch, error, iso
from tests.support.score_rows import AT_MS, SIGNALS, row

Write = Callable[..., None]

TICK_MS = 5000


def test_the_list_has_the_newest_update_of_each_session_of_the_tenant(
    fetch: Fetch, publish: Write
) -> None:
    publish(row("b", this_tick_ms(1)), row("a", this_tick_ms(1)))
    publish(row("b", this_tick_ms(), score=0.9), row("a", this_tick_ms(), tenant_id="acme"))
    found: list[dict[str, Any]] = []
    while [each["score"] for each in found] != [0.6018, 0.9]:
        found = fetch("/api/v1/sessions").json()["sessions"]
    assert [each["sessionId"] for each in found] == ["a", "b"]
    assert {each["tenantId"] for each in found} == {"default"}


def test_a_history_has_the_ticks_of_a_range_without_its_end(
    fetch: Fetch, store: Write, session_id: str
) -> None:
    store(*(row(session_id, AT_MS + tick * TICK_MS, score=tick / 10) for tick in range(10)))
    store(row(session_id, AT_MS + 3 * TICK_MS, tenant_id="acme", score=0.99))
    query = {"from": iso(AT_MS + 2 * TICK_MS), "to": iso(AT_MS + 5 * TICK_MS)}
    body = fetch(f"/api/v1/sessions/{session_id}/history", params=query).json()
    assert (body["sessionId"], body["step"]) == (session_id, "5s")
    assert [point["score"] for point in body["points"]] == [0.2, 0.3, 0.4]
    assert body["points"][0] == {
        "timestamp": "2026-01-04T12:00:10.000Z",
        "score": 0.2,
        "category": "HIGH",
        "signals": {name: getattr(SIGNALS, name) for name in SIGNALS.__struct_fields__},
    }


def test_a_history_is_of_the_last_hour_by_default(
    fetch: Fetch, store: Write, session_id: str
) -> None:
    ages = (0, 1, 700, 730)
    store(*(row(session_id, this_tick_ms(age), score=age / 1000) for age in ages))
    body = fetch(f"/api/v1/sessions/{session_id}/history").json()
    assert [point["score"] for point in body["points"]] == [0.7, 0.001, 0.0]


def test_a_step_has_the_mean_the_minimum_and_the_maximum(
    fetch: Fetch, store: Write, session_id: str
) -> None:
    store(*(row(session_id, AT_MS + tick * TICK_MS, score=tick / 100) for tick in range(30)))
    query = {"from": iso(AT_MS + 30_000), "to": iso(AT_MS + 61_000), "step": "1m"}
    body = fetch(f"/api/v1/sessions/{session_id}/history", params=query).json()
    assert body["step"] == "1m"
    first, second = body["points"]
    assert first["timestamp"] == "2026-01-04T12:00:00.000Z"
    assert first["score"] == pytest.approx(0.055)
    assert (first["minScore"], first["maxScore"], first["ticks"]) == (0.0, 0.11, 12)
    assert first["signals"] == {"active_users": 31, "total_users": 50}
    assert first["category"] == "VERY_LOW"
    assert (second["minScore"], second["maxScore"], second["ticks"]) == (0.12, 0.23, 12)


@pytest.mark.parametrize("step", ["1m", "2m", "15s"])
def test_steps_of_minutes_are_the_same_with_and_without_the_continuous_aggregate(
    fetch: Fetch, store: Write, session_id: str, shared_database: str, step: str
) -> None:
    store(*(row(session_id, AT_MS + tick * TICK_MS, score=tick / 100) for tick in range(30)))
    path = f"/api/v1/sessions/{session_id}/history"
    query = {"from": iso(AT_MS), "to": iso(AT_MS + 150_000), "step": step}
    before = fetch(path, params=query).json()["points"]
    with psycopg.connect(shared_database, autocommit=True) as database:
        database.execute(_AGGREGATE)
        try:
            after = fetch(path, params=query).json()["points"]
            database.execute("DELETE FROM engagement_metrics WHERE session_id = %s", (session_id,))
            gone = fetch(path, params=query).json()["points"]
        finally:
            database.execute("DROP MATERIALIZED VIEW engagement_1m")
    assert len(before) == {"1m": 3, "2m": 2, "15s": 10}[step]
    for old, new in zip(before, after, strict=True):
        assert old == {**new, "score": pytest.approx(new["score"])}
    assert gone == ([] if step == "15s" else after)


def test_a_history_as_csv_has_one_line_per_point(
    fetch: Fetch, store: Write, session_id: str
) -> None:
    store(*(row(session_id, AT_MS + tick * TICK_MS) for tick in range(24)))
    path = f"/api/v1/sessions/{session_id}/history"
    query = {"from": iso(AT_MS), "to": iso(AT_MS + 120_000)}
    accept = {"Accept": "text/csv"}
    ticks = fetch(path, params=query, headers=accept)
    assert ticks.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(ticks.text)))
    assert len(lines) == 24
    assert (lines[0]["timestamp"], lines[0]["score"]) == ("2026-01-04T12:00:00.000Z", "0.6018")
    assert lines[0]["user_leave_rate"] == "0.02"
    steps = fetch(path, params={**query, "step": "1m"}, headers=accept)
    lines = list(csv.DictReader(io.StringIO(steps.text)))
    assert [(line["ticks"], line["active_users"]) for line in lines] == [("12", "31")] * 2


def test_an_explanation_lists_the_signals_of_the_newest_update(
    fetch: Fetch, publish: Write, session_id: str
) -> None:
    publish(row(session_id, this_tick_ms()))
    path = f"/api/v1/sessions/{session_id}/explanation"
    while (found := fetch(path)).status_code == 404:
        pass
    body = found.json()
    assert (body["sessionId"], body["eventId"], body["tenantId"]) == (
        session_id,
        "event",
        "default",
    )
    assert (body["score"], body["category"]) == (0.6018, "HIGH")
    names = [signal["name"] for signal in body["signals"]]
    assert names == [
        *("chat_msgs_per_min", "poll_participation", "active_users"),
        *("reactions_per_min", "user_leave_rate"),
    ]
    leave = body["signals"][-1]
    assert (leave["raw"], leave["normalised"], leave["weight"]) == (0.02, 0.02, -0.1)
    assert leave["contribution"] == pytest.approx(-0.002)
    for signal in body["signals"]:
        assert signal["contribution"] == pytest.approx(signal["normalised"] * signal["weight"])


def test_an_explanation_has_the_seconds_of_silence_that_can_be_noticed(
    fetch: Fetch, store: Write, session_id: str
) -> None:
    rates = {(50.0, 10.0): 9.0, (7.0, 3.0): 54.0, (9.0, 0.0): None}
    for tick, ((chats, reactions), noticeable_s) in enumerate(rates.items()):
        signals = replace(SIGNALS, chat_msgs_per_min=chats, reactions_per_min=reactions)
        store(row(session_id, AT_MS + tick * TICK_MS, signals=signals))
        body = fetch(f"/api/v1/sessions/{session_id}/explanation").json()
        assert body["noticeableS"] == noticeable_s


def test_a_point_has_the_range_of_scores_that_was_expected(
    fetch: Fetch, store: Write, session_id: str, shared_database: str
) -> None:
    store(row(session_id, AT_MS), row(session_id, AT_MS + TICK_MS))
    with psycopg.connect(shared_database) as database:
        database.execute(
            "UPDATE engagement_metrics SET metadata = '{\"expected\": [0.25, 1]}'"
            " WHERE session_id = %s AND time > '2026-01-04T12:00:00Z'",
            (session_id,),
        )
    path, query = f"/api/v1/sessions/{session_id}/history", {"from": iso(AT_MS)}
    query["to"] = iso(AT_MS + 2 * TICK_MS)
    first, second = fetch(path, params=query).json()["points"]
    assert ("expected" in first, second["expected"]) == (False, [0.25, 1.0])
    table = fetch(path, params=query, headers={"Accept": "text/csv"}).text
    assert "expected" not in table


def test_a_session_that_is_not_live_is_explained_from_its_last_row(
    fetch: Fetch, store: Write, session_id: str
) -> None:
    store(row(session_id, AT_MS), row(session_id, AT_MS + TICK_MS, score=0.5))
    body = fetch(f"/api/v1/sessions/{session_id}/explanation").json()
    assert (body["score"], body["timestamp"]) == (0.5, "2026-01-04T12:00:05.000Z")


def test_a_session_id_may_contain_any_character_of_a_path(fetch: Fetch, store: Write) -> None:
    for name, escaped in (("a/b", "a%2Fb"), ("a/b", "a/b"), ("Räume?1", "R%C3%A4ume%3F1")):
        store(row(name, AT_MS))
        found = fetch(f"/api/v1/sessions/{escaped}/explanation")
        assert found.json()["sessionId"] == name


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("from=yesterday", "invalid_time"),
        ("from=2026-01-04T12:00:00", "invalid_time"),
        ("from=0001-01-01T00:00:00Z", "invalid_time"),
        ("to=9999-12-31T23:59:59Z", "invalid_time"),
        ("from=2026-01-04T12:00:00Z&to=2026-01-04T12:00:00Z", "invalid_range"),
        ("from=2026-01-04T12:00:00Z&to=2026-03-04T12:00:00Z&step=1h", "range_too_long"),
        ("from=2026-01-04T12:00:00Z&to=2026-01-06T12:00:00Z", "too_many_points"),
        ("step=0s", "invalid_step"),
        ("step=7s", "invalid_step"),
        ("step=1d", "invalid_step"),
        ("step=-1m", "invalid_step"),
        ("step=99999h", "invalid_step"),
        ("step=1m;DROP TABLE", "invalid_step"),
        ("stop=1m", "unknown_parameter"),
        ("tenant=No", "invalid_tenant"),
    ],
)
def test_an_invalid_parameter_is_refused_with_a_code(fetch: Fetch, query: str, code: str) -> None:
    assert error(fetch(f"/api/v1/sessions/s/history?{query}")) == (400, code)


def test_a_range_may_have_an_offset_from_utc(fetch: Fetch, store: Write, session_id: str) -> None:
    store(row(session_id, AT_MS))
    query = "from=2026-01-04T13:00:00+01:00&to=2026-01-04T13:00:05%2B01:00"
    body = fetch(f"/api/v1/sessions/{session_id}/history?{query}").json()
    assert len(body["points"]) == 1


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/nothing", (404, "not_found")),
        ("/api/v2/sessions", (404, "not_found")),
        ("/api/v1/sessions/unknown/explanation", (404, "unknown_session")),
        ("/api/v1/sessions//explanation", (400, "invalid_session")),
        ("/api/v1/sessions/a%00b/explanation", (400, "invalid_session")),
        (f"/api/v1/sessions/{'x' * 256}/history", (400, "invalid_session")),
        ("/static/../server.py", (404, "not_found")),
        ("/static/..%2Fserver.py", (404, "not_found")),
        ("/static/index.html%00", (404, "not_found")),
        ("/static/%2e%2e/%2e%2e/settings.py", (404, "not_found")),
    ],
)
def test_an_unknown_path_or_session_is_an_error_in_json(
    fetch: Fetch, path: str, expected: tuple[int, str]
) -> None:
    assert error(fetch(path)) == expected


def test_methods_that_write_are_not_allowed(dashboard: Dashboard) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        found = httpx.request(method, f"{dashboard.address}api/v1/sessions")
        assert error(found) == (405, "method_not_allowed")


def test_only_paths_with_data_need_a_token(serve: Serve, store: Write, session_id: str) -> None:
    store(row(session_id, AT_MS, tenant_id="acme"))
    address = serve(jwt_secret=SECRET).address
    paths = ["", f"/{session_id}/history", f"/{session_id}/explanation"]
    for path in paths:
        bare = httpx.get(f"{address}api/v1/sessions{path}")
        assert error(bare) == (401, "token_missing")
        assert bare.headers["www-authenticate"] == "Bearer"
        headers = {"Authorization": f"Bearer {token('acme')}"}
        assert httpx.get(f"{address}api/v1/sessions{path}", headers=headers).status_code == 200
    for path in ("", "health", "ready", "api/v1/openapi.json"):
        assert httpx.get(address + path).status_code == 200


def test_a_token_gives_access_only_to_its_tenant_and_sessions(serve: Serve, store: Write) -> None:
    store(*(row("shared", AT_MS, tenant_id=each, score=0.5) for each in ("acme", "globex")))
    store(row("only", AT_MS, tenant_id="globex"))
    address = f"{serve(jwt_secret=SECRET).address}api/v1/sessions"
    acme = {"Authorization": f"Bearer {token('acme', claims={'sessions': ['shared', 'only']})}"}

    def get(path: str) -> httpx.Response:
        return httpx.get(address + path, headers=acme)

    assert get("/shared/explanation").json()["tenantId"] == "acme"
    assert error(get("/only/explanation")) == (404, "unknown_session")
    assert error(get("/other/explanation")) == (403, "other_session")
    assert error(get("/other/history")) == (403, "other_session")
    assert error(get("/shared/explanation?tenant=globex")) == (403, "other_tenant")
    assert error(get("?tenant=globex")) == (403, "other_tenant")
    history = get(f"/only/history?from={iso(AT_MS)}&to={iso(AT_MS + 1)}")
    assert history.json()["points"] == []


def test_responses_are_counted_by_status_and_not_cached(dashboard: Dashboard, fetch: Fetch) -> None:
    found = fetch("/api/v1/sessions")
    assert found.headers["cache-control"] == "no-store"
    fetch("/api/v1/sessions/x/explanation")
    assert metric(dashboard, "http_requests_total", code="200") == 1
    assert metric(dashboard, "http_requests_total", code="404") == 1


def test_browsers_cache_the_page_and_revalidate_it(fetch: Fetch) -> None:
    for path in ("/", "/static/engagement-stream.js"):
        first = fetch(path)
        assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache")
        again = fetch(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


_AGGREGATE = """
    CREATE MATERIALIZED VIEW engagement_1m AS
    SELECT date_bin('1 minute', time, 'epoch') AS bucket, tenant_id, session_id,
           avg(engagement_score) AS avg_score, min(engagement_score) AS min_score,
           max(engagement_score) AS max_score, max(active_users) AS max_active_users,
           max(total_users) AS max_total_users, count(*) AS ticks
    FROM engagement_metrics GROUP BY bucket, tenant_id, session_id
"""
