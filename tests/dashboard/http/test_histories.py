"""The histories of many sessions in one request."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest
from structlog.testing import capture_logs

from conductor_actors.adapters.postgres.history_reader import MAX_HISTORY_CONNECTIONS
from conductor_actors.adapters.postgres.query_pool import MAX_WAITING_QUERIES
from conductor_actors.dashboard.http.query import MAX_SESSIONS
from conductor_actors.dashboard.options import Options
from conductor_actors.dashboard.server import Dashboard
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve, metric, this_tick_ms, upstreams
from tests.dashboard.http.conftest import Fetch, error, iso
from tests.support.score_rows import AT_MS, row

Write = Callable[..., None]

TICK_MS = 5000
PATH = "/api/v1/histories"
SURPLUS = 100 - MAX_HISTORY_CONNECTIONS - MAX_WAITING_QUERIES


def minute(*session_ids: str, **more: str) -> dict[str, Any]:
    """Return the query for the minute after `AT_MS`."""
    return {"session": session_ids, "from": iso(AT_MS), "to": iso(AT_MS + 60_000)} | more


def test_one_request_returns_the_scores_of_many_sessions_in_the_order_of_the_request(
    fetch: Fetch, store: Write
) -> None:
    store(*(row("b", AT_MS + tick * TICK_MS, score=tick / 10) for tick in range(3)))
    store(row("a", AT_MS, score=0.5), row("c", AT_MS, score=0.7), row("a", AT_MS + 60_000))
    store(row("a", AT_MS + TICK_MS, tenant_id="acme", score=0.99))
    body = fetch(PATH, params=minute("b", "unknown", "a", "b")).json()
    assert set(body) == {"step", "histories"}
    assert body["step"] == "5s"
    scores = [
        (each["sessionId"], [point["score"] for point in each["points"]])
        for each in body["histories"]
    ]
    assert scores == [("b", [0.0, 0.1, 0.2]), ("unknown", []), ("a", [0.5])]
    assert body["histories"][0]["points"][1] == {
        "timestamp": "2026-01-04T12:00:05.000Z",
        "score": 0.1,
        "category": "HIGH",
    }


def test_the_scores_are_those_of_each_history(fetch: Fetch, store: Write, session_id: str) -> None:
    names = [f"{session_id}-{number}" for number in range(MAX_SESSIONS)]
    ages = range(12)
    store(*(row(name, this_tick_ms(age), score=age / 100) for name in names for age in ages))
    body = fetch(PATH, params={"session": names, "from": iso(this_tick_ms(60))}).json()
    assert [each["sessionId"] for each in body["histories"]] == names
    for each in (body["histories"][0], body["histories"][-1]):
        points = fetch(f"/api/v1/sessions/{each['sessionId']}/history").json()["points"]
        for point in points:
            del point["signals"]
        assert each["points"] == points


def test_many_histories_are_one_query(dashboard: Dashboard, fetch: Fetch) -> None:
    before = metric(dashboard, "history_query_seconds_count")
    assert fetch(PATH, params=minute(*map(str, range(MAX_SESSIONS)))).status_code == 200
    assert metric(dashboard, "history_query_seconds_count") == before + 1


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "session_missing"),
        ("session=", "invalid_session"),
        ("session=a&session=", "invalid_session"),
        ("session=a%00b", "invalid_session"),
        (f"session=a&session={'x' * 256}", "invalid_session"),
        ("&".join(f"session={number}" for number in range(MAX_SESSIONS + 1)), "too_many_sessions"),
        ("session=a&step=1m", "unknown_parameter"),
        ("session=a&sessions=b", "unknown_parameter"),
        ("session=a&from=yesterday", "invalid_time"),
        ("session=a&from=2026-01-04T12:00:00Z&to=2026-01-04T12:00:00Z", "invalid_range"),
        ("session=a&from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z", "range_too_long"),
        (
            "session=a&session=b&from=2026-01-04T12:00:00Z&to=2026-01-04T19:00:00Z",
            "too_many_points",
        ),
        ("session=a&tenant=No", "invalid_tenant"),
    ],
)
def test_an_invalid_request_is_refused_with_a_code(fetch: Fetch, query: str, code: str) -> None:
    assert error(fetch(f"{PATH}?{query}")) == (400, code)


def test_the_last_hour_of_ten_sessions_may_be_requested(fetch: Fetch) -> None:
    assert fetch(PATH, params={"session": [*"abcdefghij"]}).status_code == 200


def test_every_session_must_be_among_those_of_the_token(serve: Serve, store: Write) -> None:
    store(*(row("shared", AT_MS, tenant_id=each, score=0.5) for each in ("acme", "globex")))
    store(row("other", AT_MS, tenant_id="acme"), row("only", AT_MS, tenant_id="globex"))
    address = serve(jwt_secret=SECRET).address
    acme = {"Authorization": f"Bearer {token('acme', claims={'sessions': ['shared', 'only']})}"}

    def get(*session_ids: str, headers: dict[str, str], **more: str) -> httpx.Response:
        query = minute(*session_ids, **more)
        return httpx.get(address + PATH.lstrip("/"), params=query, headers=headers)

    found = get("shared", "only", headers=acme).json()["histories"]
    assert [(each["sessionId"], len(each["points"])) for each in found] == [
        ("shared", 1),
        ("only", 0),
    ]
    assert error(get("shared", "other", headers=acme)) == (403, "other_session")
    assert error(get("shared", headers=acme, tenant="globex")) == (403, "other_tenant")
    assert error(get("shared", headers={})) == (401, "token_missing")


@pytest.mark.anyio
async def test_surplus_requests_get_429_with_the_seconds_to_wait_and_are_no_outage(
    serve: Serve, shared_database: str
) -> None:
    dashboard = serve()
    limits = httpx.Limits(max_connections=100)
    with capture_logs() as lines, psycopg.connect(shared_database) as blocker:
        blocker.execute("LOCK TABLE engagement_metrics")
        async with httpx.AsyncClient(
            base_url=dashboard.address, limits=limits, timeout=60
        ) as client:
            requests = [
                asyncio.create_task(client.get(PATH, params=minute("a", "b"))) for _ in range(100)
            ]
            refused = []
            for request in asyncio.as_completed(requests):
                refused.append(await request)
                if len(refused) == SURPLUS:
                    break
            blocker.rollback()
            responses = await asyncio.gather(*requests)
    assert {error(each) for each in refused} == {(429, "too_many_requests")}
    assert {each.headers["Retry-After"] for each in refused} == {"1"}
    assert set(Counter(each.status_code for each in responses)) == {200, 429}
    assert [line for line in lines if line["event"] == "outage_began"] == []


def test_without_a_database_the_response_is_503(valkey_url: str) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:9/none"
    dashboard = Dashboard(Options(port=0), upstreams(valkey_url, nowhere))
    dashboard.start()
    try:
        found = httpx.get(f"{dashboard.address}api/v1/histories", params=minute("a"))
    finally:
        dashboard.stop()
    assert error(found) == (503, "database_unavailable")
    assert found.headers["Retry-After"] == "5"
