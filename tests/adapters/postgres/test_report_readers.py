"""What reports name, and the two ways of reading them."""

import asyncio
import json
from contextlib import closing

import psycopg
import pytest

from conductor_actors.adapters.postgres.history.history_queries import HistoryQueries
from conductor_actors.adapters.postgres.history.report_reader import (
    PostgresReportReader,
    PostgresSessionReports,
)
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import Unavailable
from conductor_actors.instants import to_datetime
from conductor_actors.wire.report_bodies import Report
from conductor_actors.wire.updates import timestamp
from tests.support.report_reading import RULES, check, decoded, number_of, read, read_event, steady
from tests.support.reported_sessions import (
    BEGIN_MS,
    TICK_MS,
    RowSample,
    SessionSample,
    ms_of,
    store_reported,
    stored_rows,
)
from tests.support.stored_anomalies import anomaly, store_anomalies


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
