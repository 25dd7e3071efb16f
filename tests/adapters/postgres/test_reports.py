"""Reports have the figures of the rows: all are computed again, plainly."""

import asyncio
import json
from contextlib import closing
from typing import Any
from unittest.mock import Mock, patch
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from conductor_actors.adapters.postgres.history import other_sessions, report_query
from conductor_actors.adapters.postgres.history.history_queries import HistoryQueries
from conductor_actors.adapters.postgres.history.other_sessions import KnownContributions
from conductor_actors.adapters.postgres.history.report_reader import (
    PostgresReportReader,
    PostgresSessionReports,
    run_steps,
)
from conductor_actors.adapters.postgres.history.report_steps import session_report_steps
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Scoring
from conductor_actors.errors import Unavailable
from conductor_actors.instants import to_datetime
from conductor_actors.report_bodies import Report, encode_report
from conductor_actors.report_port import ReportRules
from conductor_actors.updates import timestamp
from tests.support.reported_sessions import (
    BEGIN_MS,
    TICK_MS,
    RowSample,
    SessionSample,
    expected_curve,
    expected_figures,
    expected_others,
    ms_of,
    store_reported,
    stored_rows,
)
from tests.support.stored_anomalies import anomaly, store_anomalies

RULES = ReportRules(Scoring(), 5, 60)
SCORES = st.sampled_from([0.0, 0.1, 0.2, 0.35, 0.4, 0.6, 0.79, 0.8, 1.0])
ROWS = st.builds(
    RowSample,
    st.just(0),
    SCORES,
    chat=st.integers(0, 40).map(float),
    poll=st.sampled_from([0.0, 0.0, 0.25, 0.5]),
    active=st.integers(0, 3),
    total=st.integers(0, 5),
    reactions=st.integers(0, 20).map(float),
    leaves=st.sampled_from([0.0, 0.5]),
    event_id=st.sampled_from(["event", "placeholder"]),
)


@st.composite
def session_samples(draw: st.DrawFn, session_id: str) -> SessionSample:
    """Draw a session that begins anywhere, misses ticks and sleeps."""
    tick, rows = draw(st.integers(0, 30)), []
    for row in draw(st.lists(ROWS, min_size=1, max_size=60)):
        rows.append(row._replace(at_ms=BEGIN_MS + tick * TICK_MS))
        tick += draw(st.sampled_from([1] * 12 + [2, 5, 400]))
    return SessionSample(session_id, rows, draw(st.booleans()))


EVENTS = st.sets(st.sampled_from(["a", "b", "Ä", "9"]), min_size=1).flatmap(
    lambda ids: st.tuples(*(session_samples(each) for each in sorted(ids)))
)


def read(url: str, key: SessionKey) -> Report | None:
    with closing(PostgresSessionReports(url, RULES)) as reports:
        return reports.session_report(key)


def read_event(
    url: str, tenant: str, event: str = "event", visible: list[str] | None = None
) -> Report | None:
    async def run() -> Report | None:
        queries = HistoryQueries(url)
        await queries.open()
        try:
            return await PostgresReportReader(queries, RULES).event_report(tenant, event, visible)
        finally:
            await queries.close()

    return asyncio.run(run())


def decoded(report: Report | None) -> dict[str, Any]:
    assert report is not None
    body: dict[str, Any] = json.loads(encode_report(report))
    return body


def check(body: dict[str, Any], rows: dict[str, Any]) -> None:
    """Compare each figure with the one that is computed from the rows."""
    expected = expected_figures(rows)
    for name in ("durationS", "ticks", "peakUsers", "categories", "messages", "reactions"):
        assert body[name] == expected[name], name
    assert body["meanScore"] == pytest.approx(expected["meanScore"], abs=1e-12)
    assert body["peakScore"] == pytest.approx(expected["peakScore"], abs=1e-12)
    found = [
        (poll["sessionId"], ms_of(poll["at"]), poll["participation"]) for poll in body["polls"]
    ]
    assert found == expected["polls"]
    for kind, moments in expected["moments"].items():
        found_moments = [
            (one["sessionId"], ms_of(one["at"]), one["before"], one["after"])
            for one in body["moments"][kind]
        ]
        assert found_moments == moments
        assert all(one["change"] == one["after"] - one["before"] for one in body["moments"][kind])
    means = {name: one["mean"] for name, one in body["contributions"].items()}
    assert means == pytest.approx(expected["means"], abs=1e-12)
    check_curve(body, rows)


def check_curve(body: dict[str, Any], rows: dict[str, Any]) -> None:
    step_ms = int(body["step"].removeprefix("PT").removesuffix("S")) * 1000
    curve = expected_curve(rows, step_ms)
    assert len(body["curve"]) == len(curve) <= report_query.MAX_CURVE_POINTS
    for point, expected in zip(body["curve"], curve, strict=True):
        assert ms_of(point.pop("timestamp")) == expected.pop("at_ms")
        assert point == pytest.approx(expected, abs=1e-12)
    peaks = [each["at_ms"] for each in expected_curve(rows, TICK_MS) if _is_peak(each, body)]
    assert ms_of(body["peakAt"]) in peaks[:1]


def _is_peak(point: dict[str, Any], body: dict[str, Any]) -> bool:
    return bool(abs(point["score"] - body["peakScore"]) < 1e-12)


@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # to shrink would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(EVENTS, st.sampled_from([1, 40, 200_000]))
def test_every_figure_is_that_of_the_rows(
    shared_plain_database: str, sessions: tuple[SessionSample, ...], rows_per_slice: int
) -> None:
    url, tenant = shared_plain_database, f"t-{uuid4().hex}"
    store_reported(url, tenant, sessions)
    rows = stored_rows(url, tenant)
    with (
        patch.object(report_query, "MAX_ROWS_PER_SLICE", rows_per_slice),
        patch.object(other_sessions, "MAX_ROWS_PER_SLICE", rows_per_slice),
    ):
        event = decoded(read_event(url, tenant))
        one = sessions[0]
        session = decoded(read(url, SessionKey(tenant, one.session_id)))
    check(event, rows)
    assert event["event"] == {
        "eventId": "event",
        "tenantId": tenant,
        "title": None,
        "sessions": len(sessions),
    }
    is_live = any(each.is_live for each in sessions)
    assert event["state"] == ("live" if is_live else "ended")
    assert (event["endedAt"] is None) == is_live
    check(session, {one.session_id: rows[one.session_id]})
    ended = {each.session_id for each in sessions[1:] if not each.is_live}
    others = expected_others({key: of for key, of in rows.items() if key in ended})
    for name, added in session["contributions"].items():
        if others is None:
            assert (added["others"], added["difference"]) == (None, None)
        else:
            assert added["others"] == pytest.approx(others[name], abs=1e-12)
            assert added["difference"] == pytest.approx(added["mean"] - others[name], abs=1e-12)


@pytest.fixture
def tenant() -> str:
    return f"t-{uuid4().hex}"


def steady(session_id: str, ticks: int, first_ms: int = BEGIN_MS, **changes: Any) -> SessionSample:
    """Return a session with the same row at each tick."""
    is_live, event_id = changes.pop("is_live", False), changes.pop("event_id", "event")
    row = RowSample(0, **{"score": 0.5, **changes})
    rows = [row._replace(at_ms=first_ms + tick * TICK_MS) for tick in range(ticks)]
    return SessionSample(session_id, rows, is_live, event_id)


@given(st.lists(st.integers(0, 600_000), min_size=1, max_size=200))
@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_the_messages_of_a_session_are_those_that_were_sent_each_once(
    shared_plain_database: str, sent_ms: list[int]
) -> None:
    """Its rows begin at the tick after the first message, and go on after the last."""
    tenant = f"t-{uuid4().hex}"
    first = min(sent_ms) // TICK_MS + 1
    ticks = range(first * TICK_MS, max(sent_ms) + 1_800_000, TICK_MS)
    rows = [
        RowSample(
            BEGIN_MS + tick, 0.5, chat=float(sum(tick - 60_000 <= at < tick for at in sent_ms))
        )
        for tick in ticks
    ]
    store_reported(shared_plain_database, tenant, [SessionSample("talk", rows)])
    body = decoded(read(shared_plain_database, SessionKey(tenant, "talk")))
    assert body["messages"] == len(sent_ms)


def test_a_session_of_one_row_has_every_figure(shared_plain_database: str, tenant: str) -> None:
    store_reported(
        shared_plain_database, tenant, [steady("talk", 1, chat=7.0, poll=0.5, total=3, active=3)]
    )
    body = decoded(read(shared_plain_database, SessionKey(tenant, "talk")))
    check(body, stored_rows(shared_plain_database, tenant))
    assert (body["ticks"], body["durationS"], body["messages"]) == (1, 0.0, 7)
    assert body["moments"] == {"rises": [], "falls": []}
    assert len(body["curve"]) == 1


def test_what_has_no_row_has_no_report(shared_plain_database: str, tenant: str) -> None:
    assert read(shared_plain_database, SessionKey(tenant, "talk")) is None
    assert read_event(shared_plain_database, tenant) is None
    store_reported(shared_plain_database, tenant, [steady("talk", 3)])
    with psycopg.connect(shared_plain_database) as connection:  # as retention does
        connection.execute("DELETE FROM engagement_metrics WHERE tenant_id = %s", (tenant,))
    assert read(shared_plain_database, SessionKey(tenant, "talk")) is None
    assert read_event(shared_plain_database, tenant) is None


def test_the_silent_rows_after_the_end_of_a_session_are_not_reported(
    shared_plain_database: str, tenant: str
) -> None:
    """It ended at the tick after its last event; so its last window has its last messages."""
    talk, panel = steady("talk", 26, chat=4.0, total=3), steady("panel", 60)
    silent = [row._replace(at_ms=row.at_ms + 26 * TICK_MS, score=0.0) for row in talk.rows]
    store_reported(
        shared_plain_database, tenant, [SessionSample("talk", [*talk.rows, *silent]), panel]
    )
    with psycopg.connect(shared_plain_database) as connection:
        connection.execute(
            "UPDATE sessions SET ended_at = %s, last_row_at = ended_at"
            " WHERE (tenant_id, session_id) = (%s, 'talk')",
            (to_datetime(talk.rows[-1].at_ms), tenant),
        )
    about = {"tenant_id": tenant, "session_id": "talk"}
    store_anomalies(
        shared_plain_database,
        anomaly(number_of(tenant), talk.rows[-1].at_ms, **about),
        anomaly(number_of(tenant) + 1, talk.rows[-1].at_ms + TICK_MS, **about),
    )
    rows = stored_rows(shared_plain_database, tenant)
    rows["talk"] = rows["talk"][: len(talk.rows)]
    body = decoded(read(shared_plain_database, SessionKey(tenant, "talk")))
    check(body, {"talk": rows["talk"]})
    assert (body["durationS"], body["messages"]) == (125.0, 12)
    event = decoded(read_event(shared_plain_database, tenant))
    check(event, rows)
    assert len(body["anomalies"]) == len(event["anomalies"]) == 1
    other = decoded(read(shared_plain_database, SessionKey(tenant, "panel")))
    others = expected_others({"talk": rows["talk"]})
    assert others is not None
    assert other["contributions"]["chat"]["others"] == pytest.approx(others["chat"])


def test_a_live_session_is_reported_until_its_newest_row(
    shared_plain_database: str, tenant: str
) -> None:
    store_reported(shared_plain_database, tenant, [steady("talk", 13, is_live=True)])
    body = decoded(read(shared_plain_database, SessionKey(tenant, "talk")))
    assert (body["state"], body["endedAt"], body["durationS"]) == ("live", None, 60.0)
    assert body["session"]["state"] == "live"
    assert body["session"]["meanScore"] == 0.5


def test_rows_that_are_stored_meanwhile_are_not_in_the_report(
    shared_plain_database: str, tenant: str
) -> None:
    """Of a live session, all figures are until the same tick."""
    store_reported(shared_plain_database, tenant, [steady("talk", 13, is_live=True)])
    steps = session_report_steps(SessionKey(tenant, "talk"), None, RULES, KnownContributions())
    with closing(psycopg.connect(shared_plain_database, autocommit=True)) as connection:
        query = next(steps)
        first = connection.execute(*query).fetchall()
        connection.execute(
            "INSERT INTO engagement_metrics SELECT time + interval '65 s', tenant_id, session_id,"
            " event_id, 1.0, category, 9, 0, 9, 9, 9, 0 FROM engagement_metrics"
            " WHERE tenant_id = %s",
            (tenant,),
        )
        figures = connection.execute(*steps.send(first)).fetchall()
    numbers = next(record[-1] for record in figures if record[0] == "session")
    assert numbers[:3] == [13.0, 6.5, 0.0]


def test_a_session_that_slept_for_a_year_is_read_in_few_queries(
    shared_plain_database: str, tenant: str
) -> None:
    year_ms = 365 * 86_400_000
    parts = [steady("talk", 3, BEGIN_MS + part * year_ms // 5, poll=0.5) for part in range(6)]
    rows = [row for part in parts for row in part.rows]
    store_reported(shared_plain_database, tenant, [SessionSample("talk", rows)])
    with (
        closing(psycopg.connect(shared_plain_database)) as connection,
        patch.object(report_query, "MAX_ROWS_PER_SLICE", 1000),
    ):
        counting = Mock(wraps=connection)
        steps = session_report_steps(SessionKey(tenant, "talk"), None, RULES, KnownContributions())
        body = decoded(run_steps(counting, steps))
    assert counting.execute.call_count < 25
    check(body, stored_rows(shared_plain_database, tenant))


def test_a_session_whose_event_is_a_placeholder_is_compared_with_none(
    shared_plain_database: str, tenant: str
) -> None:
    sessions = [steady(each, 3, event_id=each) for each in ("talk", "other")]
    store_reported(shared_plain_database, tenant, sessions)
    body = decoded(read(shared_plain_database, SessionKey(tenant, "talk")))
    assert body["contributions"]["chat"]["others"] is None
    event = decoded(read_event(shared_plain_database, tenant, "talk"))
    assert [each["sessionId"] for each in event["sessions"]] == ["talk"]


def test_the_sessions_of_other_tenants_and_events_are_not_reported(
    shared_plain_database: str, tenant: str
) -> None:
    others = [steady("far", 5, event_id="other", score=0.9, total=9)]
    store_reported(shared_plain_database, tenant, [steady("talk", 3), *others])
    store_reported(shared_plain_database, f"{tenant}-2", [steady("talk", 9, score=0.9, total=7)])
    for body in (
        decoded(read(shared_plain_database, SessionKey(tenant, "talk"))),
        decoded(read_event(shared_plain_database, tenant)),
    ):
        assert (body["ticks"], body["peakScore"], body["peakUsers"]) == (3, 0.5, 0)
        assert body["contributions"]["chat"]["others"] is None


def test_only_visible_sessions_are_reported_and_compared(
    shared_plain_database: str, tenant: str
) -> None:
    sessions = [steady(each, 3, chat=chat) for each, chat in (("a", 0.0), ("b", 20.0), ("c", 5.0))]
    store_reported(shared_plain_database, tenant, sessions)
    event = decoded(read_event(shared_plain_database, tenant, visible=["a", "b"]))
    assert [each["sessionId"] for each in event["sessions"]] == ["a", "b"]
    assert event["ticks"] == 6
    known = KnownContributions()
    with closing(psycopg.connect(shared_plain_database)) as connection:
        for visible, others in ((["a"], None), (["a", "b"], 0.3), (["a"], None)):
            steps = session_report_steps(SessionKey(tenant, "a"), visible, RULES, known)
            body = decoded(run_steps(connection, steps))
            assert body["contributions"]["chat"]["others"] == others


def test_the_other_sessions_of_an_event_are_read_once(
    shared_plain_database: str, tenant: str
) -> None:
    sessions = [steady(each, 3, chat=1.0) for each in "abc"]
    store_reported(shared_plain_database, tenant, sessions)
    known = KnownContributions()
    with closing(psycopg.connect(shared_plain_database)) as connection:
        first = run_steps(
            connection, session_report_steps(SessionKey(tenant, "a"), None, RULES, known)
        )
        connection.execute("UPDATE engagement_metrics SET chat_msgs_per_min = 20")
        steps = session_report_steps(SessionKey(tenant, "a"), None, RULES, known)
        again = run_steps(connection, steps)
        connection.execute(
            "UPDATE sessions SET ended_at = ended_at + interval '5 s' WHERE tenant_id = %s",
            (tenant,),
        )
        steps = session_report_steps(SessionKey(tenant, "a"), None, RULES, known)
        went_on = run_steps(connection, steps)
    others = [decoded(each)["contributions"]["chat"]["others"] for each in (first, again, went_on)]
    assert others[0] == others[1] < others[2]


def test_a_report_has_the_anomalies_and_interventions_of_its_sessions(
    shared_plain_database: str, tenant: str
) -> None:
    store_reported(shared_plain_database, tenant, [steady("talk", 30), steady("panel", 30)])
    about = {"tenant_id": tenant, "session_id": "talk"}
    at_ms = BEGIN_MS + 60_000
    drop = anomaly(number_of(tenant), at_ms, **about, ended_ms=at_ms + 30_000)
    other = anomaly(number_of(tenant) + 1, at_ms, **about | {"session_id": "panel"})
    late = anomaly(number_of(tenant) + 2, BEGIN_MS + 86_400_000, **about)
    store_anomalies(shared_plain_database, drop, other, late)
    sent, held = {"steps": {"APPROVED": timestamp(at_ms), "SENT": timestamp(at_ms + 1)}}, None
    with psycopg.connect(shared_plain_database) as connection:
        for id_, outcome, metadata in ((drop.id, {"reward": 0.1}, sent), (other.id, None, held)):
            connection.execute(
                "INSERT INTO interventions VALUES (%s, %s, %s, 'talk', 'event', 'POLL',"
                " 'COMPLETED', 0.9, 'why', %s, %s)",
                (id_, to_datetime(at_ms), tenant, json.dumps(outcome), json.dumps(metadata)),
            )
    body = decoded(read(shared_plain_database, SessionKey(tenant, "talk")))
    assert body["anomalies"] == [
        {
            "id": drop.id,
            "sessionId": "talk",
            "type": "SUDDEN_DROP",
            "severity": "CRITICAL",
            "startedAt": timestamp(at_ms),
            "endedAt": timestamp(at_ms + 30_000),
            "reason": "2 events in 9 s, 14 were expected.",
        }
    ]
    poll = {"sessionId": "talk", "type": "POLL", "status": "COMPLETED", "at": timestamp(at_ms)}
    assert sorted(body["interventions"], key=lambda each: each["sentAt"] or "") == [
        poll | {"id": other.id, "sentAt": None, "outcome": None},
        poll | {"id": drop.id, "sentAt": timestamp(at_ms + 1), "outcome": {"reward": 0.1}},
    ]
    event = decoded(read_event(shared_plain_database, tenant))
    assert [each["id"] for each in event["anomalies"]] == [drop.id, other.id]
    assert event["anomalies"][1]["endedAt"] is None


def test_a_report_has_the_titles_of_its_sessions_in_the_order_of_their_starts(
    shared_plain_database: str, tenant: str
) -> None:
    later = steady("a", 3, BEGIN_MS + 60_000)
    store_reported(shared_plain_database, tenant, [later, steady("b", 3)])
    with psycopg.connect(shared_plain_database) as connection:
        connection.execute(
            "INSERT INTO session_titles VALUES (%s, 'a', NULL, 'Opening', '{Ada}', %s, NULL,"
            " now())",
            (tenant, to_datetime(BEGIN_MS)),
        )
        connection.execute(
            "INSERT INTO event_titles VALUES (%s, 'event', 'Expo', now())", (tenant,)
        )
    event = decoded(read_event(shared_plain_database, tenant))
    assert event["event"]["title"] == "Expo"
    first, second = event["sessions"]
    assert (first["sessionId"], first["title"]) == ("b", None)
    assert (second["title"], second["eventTitle"], second["speakers"]) == (
        *("Opening", "Expo"),
        ["Ada"],
    )
    assert second["plannedBegin"] == timestamp(BEGIN_MS)
    summary = {name: second[name] for name in ("meanScore", "peakScore", "peakAt", "peakUsers")}
    assert summary == {
        "meanScore": 0.5,
        "peakScore": 0.5,
        "peakAt": timestamp(BEGIN_MS + 60_000),
        "peakUsers": 0,
    }


def test_a_report_is_the_same_on_an_event_loop_and_in_a_thread(
    shared_plain_database: str, tenant: str
) -> None:
    store_reported(shared_plain_database, tenant, [steady("talk", 30, chat=3.0), steady("b", 9)])
    key = SessionKey(tenant, "talk")

    async def run() -> Report | None:
        queries = HistoryQueries(shared_plain_database)
        await queries.open()
        try:
            return await PostgresReportReader(queries, RULES).session_report(key)
        finally:
            await queries.close()

    assert asyncio.run(run()) == read(shared_plain_database, key)


def test_a_change_to_daylight_saving_time_in_a_session_changes_no_figure(
    shared_plain_database: str, tenant: str
) -> None:
    """Clocks in New York go from 2 to 3 at the tick in the middle."""
    change_ms = ms_of("2026-03-08T07:00:00.000Z")
    rows = [
        RowSample(change_ms + tick * TICK_MS, 0.5 + tick / 500, chat=2.0, poll=0.5, total=3)
        for tick in range(-200, 201)
    ]
    store_reported(shared_plain_database, tenant, [SessionSample("talk", rows)])
    zone = f"{shared_plain_database}?options=-c%20TimeZone%3DAmerica/New_York"
    body = decoded(read_event(zone, tenant))
    assert body == decoded(read_event(shared_plain_database, tenant))
    check(body, stored_rows(shared_plain_database, tenant))
    assert len(body["polls"]) == 1
    assert body["durationS"] == 2000.0


def test_settings_of_the_role_that_round_numbers_change_no_figure(
    shared_plain_database: str, tenant: str
) -> None:
    store_reported(shared_plain_database, tenant, [steady("talk", 30, score=1 / 3)])
    options = "?options=-c%20extra_float_digits%3D-15%20-c%20DateStyle%3DGerman"
    body = decoded(read(shared_plain_database + options, SessionKey(tenant, "talk")))
    assert body["peakScore"] == 1 / 3


def test_a_reader_in_a_thread_reports_an_outage_and_reads_again(
    shared_plain_database: str, tenant: str
) -> None:
    store_reported(shared_plain_database, tenant, [steady("talk", 3)])
    key = SessionKey(tenant, "talk")
    with closing(PostgresSessionReports(shared_plain_database, RULES)) as reports:
        assert reports.session_report(key) is not None
        with psycopg.connect(shared_plain_database, autocommit=True) as server:
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        with pytest.raises(Unavailable):
            reports.session_report(key)
        assert reports.session_report(key) is not None


def number_of(tenant: str) -> int:
    """Return a number that no other test has."""
    return int(tenant.removeprefix("t-"), 16) >> 8


def test_a_report_is_the_same_from_hypertables(
    shared_timescale_database: str, shared_plain_database: str, tenant: str
) -> None:
    """Its rows are in chunks of several days."""
    days_ms = 3 * 86_400_000
    parts = [steady("talk", 5, BEGIN_MS + part * days_ms, chat=3.0) for part in range(3)]
    talk = SessionSample("talk", [row for part in parts for row in part.rows])
    sessions = [talk, steady("panel", 30, BEGIN_MS + days_ms, chat=1.0)]
    found = []
    for url in (shared_plain_database, shared_timescale_database):
        store_reported(url, tenant, sessions)
        found.append([read(url, SessionKey(tenant, "talk")), read_event(url, tenant)])
    assert found[0] == found[1]
    check(decoded(found[1][1]), stored_rows(shared_timescale_database, tenant))
