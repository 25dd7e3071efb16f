"""The timeline of a session: steps, ranges, gaps, and what is refused."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from statistics import fmean
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from conductor_actors.dashboard.options import Options
from conductor_actors.dashboard.server import Dashboard
from conductor_actors.domain.gaps import GapMark
from conductor_actors.domain.scoring import ScoreRow, Scoring, Signals
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve, this_tick_ms, upstreams, wait_ready
from tests.dashboard.http.conftest import Fetch, error, iso
from tests.support.databases import migrated_database
from tests.support.listed_sessions import HOUR_MS, listed_session, store_listed_sessions
from tests.support.score_rows import AT_MS, row

Write = Callable[..., None]

TICK_MS = 5000
SCORING = Scoring()


def varied_rows(session_id: str, count: int, first_ms: int = AT_MS) -> list[ScoreRow]:
    """Return rows with signals below and above their maxima, and without users."""
    values = random.Random(7)
    rows = []
    for tick in range(count):
        total = values.choice([0, 1, 40, 900])
        signals = Signals(
            values.choice([0.0, 3.0, 17.0, 90.0]),
            values.random(),
            round(total * values.random()),
            total,
            values.choice([0.0, 2.0, 60.0]),
            values.random(),
        )
        score = min(1.0, max(0.0, SCORING.contributions(signals).total()))
        at_ms = first_ms + tick * TICK_MS
        rows.append(row(session_id, at_ms, signals=signals, score=score))
    return rows


@pytest.fixture
def store_session(store: Write, shared_database: str) -> Write:
    """Store the rows of a session, which has ended unless `is_live`."""

    def store_rows(*rows: ScoreRow, is_live: bool = False) -> None:
        store(*rows)
        key = rows[0].key
        ended_ms = None if is_live else rows[-1].at_ms
        with psycopg.connect(shared_database) as connection:  # the store may have listed it
            connection.execute("DELETE FROM sessions WHERE (tenant_id, session_id) = (%s, %s)", key)
        session = listed_session(*key, started_ms=rows[0].at_ms, ended_ms=ended_ms)
        store_listed_sessions(shared_database, session)

    return store_rows


def path(session_id: str) -> str:
    return f"/api/v1/sessions/{quote(session_id, safe='')}/timeline"


def timeline(fetch: Fetch, session_id: str, **query: Any) -> dict[str, Any]:
    body: dict[str, Any] = fetch(path(session_id), params=query).raise_for_status().json()
    return body


def test_a_session_is_shown_as_a_whole_with_every_tick_while_these_are_few(
    fetch: Fetch, store_session: Write, session_id: str
) -> None:
    rows = varied_rows(session_id, 100)
    store_session(*rows)
    body = timeline(fetch, session_id)
    points = body.pop("points")
    assert body == {
        "sessionId": session_id,
        "eventId": "event",
        "from": "2026-01-04T12:00:00.000Z",
        "to": "2026-01-04T12:08:20.000Z",
        "step": "PT5S",
        "startedAt": "2026-01-04T12:00:00.000Z",
        "endedAt": "2026-01-04T12:08:15.000Z",
        "gaps": [],
    }
    assert [each["score"] for each in points] == [each.score for each in rows]
    assert points[0]["min"] == points[0]["max"] == points[0]["score"]


@pytest.mark.parametrize(("points", "step_s"), [(480, 5), (60, 10), (20, 30), (9, 60), (1, 600)])
def test_steps_have_means_extremes_and_contributions_as_computed_from_the_rows(
    fetch: Fetch, store_session: Write, session_id: str, points: int, step_s: int
) -> None:
    rows = varied_rows(session_id, 99)
    store_session(*rows)
    body = timeline(fetch, session_id, points=points)
    assert body["step"] == f"PT{step_s}S"
    assert len(body["points"]) <= points
    steps: dict[int, list[ScoreRow]] = {}
    for each in rows:
        steps.setdefault(each.at_ms // (step_s * 1000), []).append(each)
    assert len(body["points"]) == len(steps)
    for point, of_step in zip(body["points"], steps.values(), strict=True):
        scores = [each.score for each in of_step]
        added = [SCORING.contributions(each.signals) for each in of_step]
        assert point["timestamp"] <= iso(of_step[0].at_ms).replace("Z", ".000Z")
        assert point["score"] == pytest.approx(fmean(scores))
        assert (point["min"], point["max"]) == (min(scores), max(scores))
        assert point["activeUsers"] == max(each.signals.active_users for each in of_step)
        assert point["totalUsers"] == max(each.signals.total_users for each in of_step)
        assert point["contributions"] == {
            "chat": pytest.approx(fmean(each.chat for each in added)),
            "poll": pytest.approx(fmean(each.poll for each in added)),
            "activeUsers": pytest.approx(fmean(each.active_users for each in added)),
            "reactions": pytest.approx(fmean(each.reactions for each in added)),
            "leaveRate": pytest.approx(fmean(each.leave_rate for each in added)),
        }


def test_contributions_follow_the_weights_of_the_settings(
    store_session: Write, session_id: str, valkey_url: str, shared_database: str
) -> None:
    [stored] = varied_rows(session_id, 1)
    store_session(stored)
    scoring = Scoring(0.5, 0.1, 0.2, 0.3, 0.4, 100.0, 3.0)
    ports = upstreams(valkey_url, shared_database, scoring)
    dashboard = Dashboard(Options(port=0), ports)
    dashboard.start()
    try:
        wait_ready(dashboard)
        found = httpx.get(dashboard.address.rstrip("/") + path(session_id)).json()
    finally:
        dashboard.stop()
    expected = scoring.contributions(stored.signals)
    added = found["points"][0]["contributions"]
    assert added["chat"] == pytest.approx(expected.chat)
    assert added["reactions"] == pytest.approx(expected.reactions)
    assert added["leaveRate"] == pytest.approx(expected.leave_rate)
    assert added["poll"] == pytest.approx(expected.poll)
    assert added["activeUsers"] == pytest.approx(expected.active_users)


def test_a_range_is_extended_to_whole_steps_and_has_no_other_rows(
    fetch: Fetch, store_session: Write, session_id: str
) -> None:
    rows = varied_rows(session_id, 100)
    store_session(*rows)
    query = {"from": iso(AT_MS + 61_000), "to": iso(AT_MS + 121_000), "points": "7"}
    body = timeline(fetch, session_id, **query)
    assert (body["step"], body["from"], body["to"]) == (
        "PT10S",
        "2026-01-04T12:01:00.000Z",
        "2026-01-04T12:02:10.000Z",
    )
    assert len(body["points"]) == 7
    assert body["startedAt"] == "2026-01-04T12:00:00.000Z"
    assert body["points"][0]["score"] == pytest.approx(fmean(each.score for each in rows[12:14]))


def test_a_live_session_is_shown_until_now(
    fetch: Fetch, store_session: Write, session_id: str
) -> None:
    first_ms = this_tick_ms(120)
    store_session(*varied_rows(session_id, 120, first_ms), is_live=True)
    body = timeline(fetch, session_id)
    assert body["endedAt"] is None
    assert len(body["points"]) == 120
    assert body["to"] > iso(first_ms + 120 * TICK_MS)
    assert body["gaps"] == []


def test_missing_ticks_and_marked_rows_are_gaps(
    fetch: Fetch, store_session: Write, session_id: str
) -> None:
    rows = varied_rows(session_id, 60)
    marked = [
        row(session_id, each.at_ms, gap=GapMark("trimmed", 3)) if 30 <= tick < 33 else each
        for tick, each in enumerate(rows)
        if not 10 <= tick < 13
    ]
    store_session(*marked)
    expected = [
        {"from": "2026-01-04T12:00:50.000Z", "to": "2026-01-04T12:01:05.000Z"},
        {"from": "2026-01-04T12:02:30.000Z", "to": "2026-01-04T12:02:45.000Z"},
    ]
    for points in (480, 10, 1):
        assert timeline(fetch, session_id, points=points)["gaps"] == expected
    inside = {"from": iso(AT_MS + 55_000), "to": iso(AT_MS + 60_000)}
    body = timeline(fetch, session_id, **inside)
    assert body["points"] == []
    assert body["gaps"] == [{"from": "2026-01-04T12:00:55.000Z", "to": "2026-01-04T12:01:00.000Z"}]
    across = {"from": iso(AT_MS + 55_000), "to": iso(AT_MS + 70_000)}
    assert timeline(fetch, session_id, **across)["gaps"] == [
        {"from": "2026-01-04T12:00:55.000Z", "to": "2026-01-04T12:01:05.000Z"}
    ]


def test_marked_rows_of_a_session_without_a_missing_tick_are_a_gap(
    fetch: Fetch, store_session: Write, session_id: str
) -> None:
    rows = varied_rows(session_id, 20)
    rows[4] = row(session_id, rows[4].at_ms, gap=GapMark("reconnected", None))
    store_session(*rows)
    assert timeline(fetch, session_id)["gaps"] == [
        {"from": "2026-01-04T12:00:20.000Z", "to": "2026-01-04T12:00:25.000Z"}
    ]


def test_what_a_live_session_lacks_until_now_is_a_gap(
    fetch: Fetch, store_session: Write, session_id: str
) -> None:
    first_ms = this_tick_ms(120)
    store_session(*varied_rows(session_id, 60, first_ms), is_live=True)
    [gap] = timeline(fetch, session_id)["gaps"]
    assert gap["from"] == iso(first_ms + 60 * TICK_MS).replace("Z", ".000Z")
    assert gap["to"] < iso(this_tick_ms(2))


def test_a_range_outside_of_the_session_has_no_points_and_no_gaps(
    fetch: Fetch, store_session: Write, session_id: str
) -> None:
    store_session(*varied_rows(session_id, 5))
    for first_ms in (AT_MS - 2 * HOUR_MS, AT_MS + HOUR_MS):
        query = {"from": iso(first_ms), "to": iso(first_ms + HOUR_MS)}
        body = timeline(fetch, session_id, **query)
        assert (body["points"], body["gaps"]) == ([], [])


def test_a_session_of_more_than_a_month_is_shown_from_its_end(
    fetch: Fetch, store_session: Write, session_id: str
) -> None:
    days_ms = 40 * 24 * HOUR_MS
    store_session(row(session_id, AT_MS), row(session_id, AT_MS + days_ms))
    body = timeline(fetch, session_id)
    shown = datetime.fromisoformat(body["to"]) - datetime.fromisoformat(body["from"])
    assert timedelta(days=31) <= shown < timedelta(days=32)
    assert len(body["points"]) == 1


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("from=yesterday", "invalid_time"),
        ("from=2026-02-30T00:00:00Z", "invalid_time"),
        ("from=2026-01-04T12:00:00", "invalid_time"),
        ("to=1767528000", "invalid_time"),
        ("to=", "invalid_time"),
        ("from=2026-01-04T12:00:01Z&to=2026-01-04T12:00:00Z", "invalid_range"),
        ("from=2026-01-04T12:00:00Z&to=2026-01-04T12:00:00Z", "invalid_range"),
        ("to=2026-01-04T12:00:00Z", "invalid_range"),
        ("from=2026-01-05T12:00:00Z", "invalid_range"),
        ("from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z", "range_too_long"),
        ("points=0", "invalid_points"),
        ("points=2001", "invalid_points"),
        ("points=many", "invalid_points"),
        ("points=٣", "invalid_points"),
        ("step=1m", "unknown_parameter"),
        ("tenant=No", "invalid_tenant"),
    ],
)
def test_an_invalid_request_is_refused_with_a_code(
    fetch: Fetch, store_session: Write, session_id: str, query: str, code: str
) -> None:
    store_session(row(session_id, AT_MS))
    assert error(fetch(f"{path(session_id)}?{query}")) == (400, code)


def test_a_session_that_is_not_known_is_refused(fetch: Fetch, shared_database: str) -> None:
    assert error(fetch(path("nobody's"))) == (404, "unknown_session")
    planned = listed_session("default", "planned only", started_ms=None, title="Later")
    store_listed_sessions(shared_database, planned)
    assert error(fetch(path("planned only"))) == (404, "unknown_session")


@pytest.mark.parametrize("name", ["/", "%", "#", "?", '"', "<", "__proto__", "😀" * 255])
def test_every_id_has_a_timeline(fetch: Fetch, store_session: Write, name: str) -> None:
    store_session(row(name, AT_MS))
    body = timeline(fetch, name)
    assert (body["sessionId"], len(body["points"])) == (name, 1)


def test_a_token_reads_the_timelines_of_its_sessions_and_events(
    serve: Serve, store_session: Write, session_id: str
) -> None:
    store_session(row(session_id, AT_MS, tenant_id="acme"))
    address = serve(jwt_secret=SECRET).address.rstrip("/")

    def status(**claims: list[str]) -> int:
        headers = {"Authorization": f"Bearer {token('acme', claims=claims)}"}
        return httpx.get(address + path(session_id), headers=headers).status_code

    assert [status(), status(sessions=[session_id]), status(events=["event"])] == [200] * 3
    assert [status(sessions=["other"]), status(events=["other"])] == [403] * 2
    assert httpx.get(address + path(session_id)).status_code == 401


@pytest.mark.parametrize(
    "change", ["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"], ids=["spring", "autumn"]
)
def test_times_are_those_of_the_clock_in_utc_when_daylight_saving_time_changes(
    postgres_url: str, valkey_url: str, change: str
) -> None:
    change_ms = round(datetime.fromisoformat(change).timestamp() * 1000)
    first_ms, until_ms = change_ms - HOUR_MS, change_ms + HOUR_MS
    with migrated_database(postgres_url) as url:
        with psycopg.connect(url, autocommit=True) as database:
            database.execute(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone TO %L',"
                " current_database(), 'Europe/Berlin'); END $$"
            )
            database.execute(
                "INSERT INTO engagement_metrics SELECT at, 'default', 's', 'e', 0.5, 'MODERATE',"
                " 0, 0, 0, 1, 0, 0 FROM generate_series(%s::timestamptz, %s, '5 s') AS at",
                (iso(first_ms), iso(until_ms - TICK_MS)),
            )
        ended_ms = until_ms - TICK_MS
        session = listed_session("default", "s", started_ms=first_ms, ended_ms=ended_ms)
        store_listed_sessions(url, session)
        dashboard = Dashboard(Options(port=0), upstreams(valkey_url, url))
        dashboard.start()
        try:
            wait_ready(dashboard)
            with httpx.Client(base_url=dashboard.address) as client:
                body = client.get("/api/v1/sessions/s/timeline?points=4").json()
                in_berlin = change.replace("01:00:00Z", "03:00:00+02:00")
                query = {"from": in_berlin}
                after = client.get("/api/v1/sessions/s/timeline", params=query).json()
                listed = client.get("/api/v1/sessions?state=ended").json()
        finally:
            dashboard.stop()
    hours = [f"{iso(first_ms + half * HOUR_MS // 2)[:-1]}.000Z" for half in range(4)]
    assert [each["timestamp"] for each in body["points"]] == hours
    assert (body["step"], body["gaps"]) == ("PT1800S", [])
    assert listed["sessions"][0]["durationS"] == 7195.0
    assert after["from"] == hours[2]
    assert len(after["points"]) == 360  # every 10 s
