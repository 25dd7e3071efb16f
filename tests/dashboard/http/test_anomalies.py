"""Anomalies of a session and of a tenant, feedback on them, and their quality."""

import json
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
import redis

from conductor_actors.dashboard.http.anomaly_routes import MAX_FEEDBACK_PER_MIN
from conductor_actors.dashboard.server import Dashboard
from conductor_actors.ports.anomaly_port import AnomalyFeedback, StoredAnomaly
from conductor_actors.wire.anomaly_messages import encode_anomaly_message
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve, metric, this_tick_ms
from tests.dashboard.http.conftest import Fetch, error, iso
from tests.support.score_rows import AT_MS
from tests.support.stored_anomalies import anomaly, begin_of, store_anomalies

Keep = Callable[..., None]

RANGE = {"from": iso(AT_MS), "to": iso(AT_MS + 3_600_000)}


@pytest.fixture
def keep(shared_database: str) -> Keep:
    """Store anomalies as the collector does."""
    return lambda *anomalies: store_anomalies(shared_database, *anomalies)


@pytest.fixture
def tenant() -> str:
    return f"t-{uuid4().hex}"


def some(at_ms: int = AT_MS, **changes: object) -> StoredAnomaly:
    return anomaly(uuid4().int, at_ms, **changes)


def ids(response: httpx.Response) -> list[str]:
    return [one["id"] for one in response.json()["anomalies"]]


def report(
    dashboard: Dashboard, anomaly_id: str, verdict: str = "not_a_problem", **how: Any
) -> httpx.Response:
    path = f"{dashboard.address}api/v1/anomalies/{anomaly_id}/feedback"
    return httpx.post(path, json={"verdict": verdict}, **how)


def test_an_anomaly_has_its_begin_its_end_and_feedback(
    fetch: Fetch, keep: Keep, session_id: str
) -> None:
    one = some(
        session_id=session_id,
        ended_ms=AT_MS + 65_000,
        feedback=AnomalyFeedback("problem", AT_MS + 90_000, "ann"),
    )
    keep(one)
    body = fetch(f"/api/v1/sessions/{session_id}/anomalies", params=RANGE).json()
    begin = json.loads(encode_anomaly_message(begin_of(one)))
    record = {
        **begin,
        "endedAt": "2026-01-04T12:01:05.000Z",
        "durationS": 65.0,
        "feedback": {"verdict": "problem", "at": "2026-01-04T12:01:30.000Z", "by": "ann"},
    }
    assert body == {"anomalies": [record], "next": None}


def test_an_open_anomaly_and_one_of_another_program_have_nulls_or_no_keys(
    fetch: Fetch, keep: Keep, session_id: str
) -> None:
    keep(some(session_id=session_id, onset_ms=None, reason=None, type="SPAM_WAVE"))
    (one,) = fetch(f"/api/v1/sessions/{session_id}/anomalies", params=RANGE).json()["anomalies"]
    assert (one["endedAt"], one["durationS"], one["feedback"]) == (None, None, None)
    assert (one["type"], "onset" in one, "reason" in one) == ("SPAM_WAVE", False, False)


def test_the_last_day_is_returned_by_default_newest_first(
    fetch: Fetch, keep: Keep, session_id: str
) -> None:
    ages_h = (1, 23, 25, 0)
    stored = [some(this_tick_ms(age * 720), session_id=session_id) for age in ages_h]
    keep(*stored)
    path = f"/api/v1/sessions/{session_id}/anomalies"
    assert ids(fetch(path)) == [stored[index].id for index in (3, 0, 1)]
    assert ids(fetch(path, params={"order": "oldest"})) == [stored[i].id for i in (1, 0, 3)]


def test_pages_follow_each_other_by_their_cursors(
    fetch: Fetch, keep: Keep, session_id: str
) -> None:
    stored = [some(AT_MS + n // 3, session_id=session_id) for n in range(8)]
    keep(*stored)
    path, query = f"/api/v1/sessions/{session_id}/anomalies", {**RANGE, "limit": "4"}
    pages = [fetch(path, params=query)]
    while (cursor := pages[-1].json()["next"]) is not None:
        pages.append(fetch(path, params={**query, "cursor": cursor}))
    assert [len(ids(page)) for page in pages] == [4, 4]
    found = [each for page in pages for each in ids(page)]
    in_order = sorted(stored, key=lambda one: (one.at_ms, UUID(one.id)), reverse=True)
    assert found == [one.id for one in in_order]


def test_a_tenants_anomalies_are_filtered_by_event_session_and_whether_they_are_open(
    fetch: Fetch, keep: Keep, tenant: str
) -> None:
    one, over, other = (
        some(tenant_id=tenant),
        some(tenant_id=tenant, session_id="..", ended_ms=AT_MS + 5_000),
        some(tenant_id=tenant, event_id="summit"),
    )
    keep(one, over, other, some())

    def found(**query: str) -> set[str]:
        return set(ids(fetch("/api/v1/anomalies", params={**RANGE, "tenant": tenant, **query})))

    assert found() == {one.id, over.id, other.id}
    assert found(open="true") == {one.id, other.id}
    assert found(open="false", session="..") == {over.id}
    assert found(session="session") == {one.id, other.id}
    assert found(event="summit", open="true") == {other.id}
    assert found(event="none") == set()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid_limit"),
        ("limit=1001", "invalid_limit"),
        ("limit=99999999999", "invalid_limit"),
        ("limit=x", "invalid_limit"),
        ("open=1", "invalid_open"),
        ("order=up", "invalid_order"),
        ("cursor=1", "invalid_cursor"),
        ("cursor=1.' OR true--", "invalid_cursor"),
        ("from=2026-01-04T12:00:00Z&to=2026-03-04T12:00:00Z", "range_too_long"),
        ("from=yesterday", "invalid_time"),
        ("event=", "invalid_event"),
        ("event=a%00b", "invalid_event"),
        ("session=a%00b", "invalid_session"),
        ("step=1m", "unknown_parameter"),
    ],
)
def test_an_invalid_parameter_is_refused_with_a_code(fetch: Fetch, query: str, code: str) -> None:
    assert error(fetch(f"/api/v1/anomalies?{query}")) == (400, code)


def test_the_session_that_is_a_dot_has_a_path_of_its_own(fetch: Fetch, keep: Keep) -> None:
    one = some(session_id=".")
    keep(one)
    assert one.id in ids(fetch("/api/v1/sessions/./anomalies", params=RANGE))


def test_the_last_feedback_counts_and_is_shown(
    dashboard: Dashboard, fetch: Fetch, keep: Keep, session_id: str
) -> None:
    one = some(session_id=session_id, ended_ms=AT_MS + 5_000)
    keep(one)
    for verdict in ("not_a_problem", "not_a_problem", "problem"):
        before_ms = int(time.time() * 1000)
        answer = report(dashboard, one.id, verdict)
        assert answer.status_code == 200
        feedback = answer.json()["feedback"]
        assert (feedback["verdict"], feedback["by"]) == (verdict, None)
        assert feedback["at"] >= iso(before_ms // 1000 * 1000)[:-1]
        (found,) = fetch(f"/api/v1/sessions/{session_id}/anomalies", params=RANGE).json()[
            "anomalies"
        ]
        assert found == answer.json()
    for verdict in ("not_a_problem", "problem"):
        labels = {"type": "SUDDEN_DROP", "verdict": verdict}
        assert metric(dashboard, "anomaly_feedback_total", **labels) == 1


def test_feedback_names_the_subject_of_a_token(serve: Serve, keep: Keep, tenant: str) -> None:
    dashboard = serve(jwt_secret=SECRET)
    one = some(tenant_id=tenant)
    keep(one)
    for subject, named in (("ann", "ann"), (7, None), ("a\0b", None), ("x" * 300, None)):
        bearer = token(tenant, claims={"sub": subject})
        answer = report(dashboard, one.id, headers={"Authorization": f"Bearer {bearer}"})
        assert answer.json()["feedback"]["by"] == named


def test_a_token_sees_and_judges_the_anomalies_of_its_sessions_alone(
    serve: Serve, keep: Keep, tenant: str
) -> None:
    dashboard = serve(jwt_secret=SECRET)
    mine, yours = some(tenant_id=tenant, session_id="mine"), some(tenant_id=tenant)
    keep(mine, yours, some())
    limited = token(tenant, claims={"sessions": ["mine", "a\0b"]})
    bearer = {"Authorization": f"Bearer {limited}"}

    def get(path: str, **query: str) -> httpx.Response:
        return httpx.get(f"{dashboard.address}api/v1/{path}", params=query, headers=bearer)

    assert ids(get("anomalies", **RANGE)) == [mine.id]
    assert ids(get("sessions/mine/anomalies", **RANGE)) == [mine.id]
    assert error(get("sessions/session/anomalies")) == (403, "other_session")
    assert error(get("anomalies", session="session")) == (403, "other_session")
    assert error(get("anomalies", tenant="default")) == (403, "other_tenant")
    (quality,) = get("anomalies/quality", **RANGE).json()["types"]
    assert quality["total"] == 1
    assert report(dashboard, mine.id, headers=bearer).status_code == 200
    assert error(report(dashboard, yours.id, headers=bearer)) == (404, "unknown_anomaly")
    for path in ("anomalies", "sessions/mine/anomalies", "anomalies/quality"):
        bare = httpx.get(f"{dashboard.address}api/v1/{path}")
        assert error(bare) == (401, "token_missing")
    assert error(report(dashboard, mine.id)) == (401, "token_missing")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "invalid_body")),
        (b"[]", (400, "invalid_body")),
        (b'{"verdict": "maybe"}', (400, "invalid_body")),
        (b'{"verdict": null}', (400, "invalid_body")),
        (b"[" * 4000, (400, "invalid_body")),
        (b'{"verdict": "problem", "x": "' + b"x" * 5000 + b'"}', (413, "too_large")),
    ],
)
def test_invalid_feedback_is_refused(
    dashboard: Dashboard, body: bytes, expected: tuple[int, str]
) -> None:
    path = f"{dashboard.address}api/v1/anomalies/{uuid4()}/feedback"
    assert error(httpx.post(path, content=body)) == expected


def test_feedback_on_what_is_not_known_is_refused(dashboard: Dashboard) -> None:
    assert error(report(dashboard, str(uuid4()))) == (404, "unknown_anomaly")
    assert error(report(dashboard, "7")) == (400, "invalid_anomaly")
    path = f"{dashboard.address}api/v1/anomalies/{uuid4()}/feedback"
    assert error(httpx.get(path)) == (405, "method_not_allowed")


def test_feedback_from_a_page_of_another_site_is_refused(dashboard: Dashboard, keep: Keep) -> None:
    one = some()
    keep(one)
    foreign = report(dashboard, one.id, headers={"Origin": "https://evil.example"})
    assert error(foreign) == (403, "unknown_origin")


def test_a_page_that_is_allowed_may_send_json(serve: Serve) -> None:
    page = "https://app.example.com"
    dashboard = serve(jwt_secret=SECRET, allowed_origins=(page,))
    asked = httpx.options(
        f"{dashboard.address}api/v1/anomalies/{uuid4()}/feedback",
        headers={
            "Origin": page,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert asked.status_code == 200
    assert "POST" in asked.headers["access-control-allow-methods"]


def test_feedback_on_an_anomaly_that_is_not_stored_yet_may_be_repeated(
    dashboard: Dashboard, redis_client: redis.Redis, keep: Keep, session_id: str
) -> None:
    one = some(this_tick_ms(1), session_id=session_id)
    redis_client.publish("anomaly:detected", encode_anomaly_message(begin_of(one)))
    while (answer := report(dashboard, one.id)).status_code == 404:
        pass
    assert error(answer) == (503, "anomaly_not_stored")
    assert answer.headers["retry-after"] == "5"
    keep(one)
    assert report(dashboard, one.id).status_code == 200


def test_a_tenant_may_send_so_much_feedback_a_minute(dashboard: Dashboard, tenant: str) -> None:
    path = f"{dashboard.address}api/v1/anomalies/{uuid4()}/feedback"
    with httpx.Client() as client:

        def send(of_tenant: str) -> httpx.Response:
            return client.post(path, json={"verdict": "problem"}, params={"tenant": of_tenant})

        accepted = 0
        while (answer := send(tenant)).status_code == 404:
            accepted += 1
        assert send("other").status_code == 404
    assert error(answer) == (429, "too_many_requests")
    assert answer.headers["retry-after"] == "1"
    assert MAX_FEEDBACK_PER_MIN <= accepted <= 2 * MAX_FEEDBACK_PER_MIN  # a minute may begin


def test_quality_has_the_precision_of_each_type(fetch: Fetch, keep: Keep, tenant: str) -> None:
    usual: dict[str, Any] = {"tenant_id": tenant, "ended_ms": AT_MS + 10_000}
    problem, none = (AnomalyFeedback(verdict, AT_MS) for verdict in ("problem", "not_a_problem"))
    keep(*(some(**usual, feedback=each) for each in (problem, problem, problem, none, None)))
    keep(some(tenant_id=tenant, type="MASS_EXIT"))
    body = fetch("/api/v1/anomalies/quality", params={**RANGE, "tenant": tenant}).json()
    assert body == {
        "types": [
            {
                "type": "MASS_EXIT",
                "total": 1,
                "judged": 0,
                "notAProblem": 0,
                "precision": None,
                "medianDurationS": None,
            },
            {
                "type": "SUDDEN_DROP",
                "total": 5,
                "judged": 4,
                "notAProblem": 1,
                "precision": 0.75,
                "medianDurationS": 10.0,
            },
        ]
    }


def test_without_the_table_requests_get_503_and_histories_go_on(
    fetch: Fetch, dashboard: Dashboard, shared_database: str
) -> None:
    with psycopg.connect(shared_database, autocommit=True) as database:
        database.execute("ALTER TABLE anomalies RENAME TO gone")
        try:
            for _ in range(2):
                assert error(fetch("/api/v1/anomalies")) == (503, "database_unavailable")
                unstored = report(dashboard, str(uuid4()))
                assert error(unstored) == (503, "database_unavailable")
                assert fetch("/api/v1/sessions/s/history").status_code == 200
        finally:
            database.execute("ALTER TABLE gone RENAME TO anomalies")
