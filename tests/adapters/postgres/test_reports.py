"""Reports have the figures of the rows: all are computed again, plainly."""

from contextlib import closing
from unittest.mock import Mock, patch
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from conductor_actors.adapters.postgres.history import other_sessions, report_query
from conductor_actors.adapters.postgres.history.other_sessions import KnownContributions
from conductor_actors.adapters.postgres.history.report_reader import (
    run_steps,
)
from conductor_actors.adapters.postgres.history.report_steps import session_report_steps
from conductor_actors.domain.identity import SessionKey
from conductor_actors.instants import to_datetime
from tests.support.report_reading import RULES, check, decoded, number_of, read, read_event, steady
from tests.support.reported_sessions import (
    BEGIN_MS,
    TICK_MS,
    RowSample,
    SessionSample,
    expected_others,
    store_reported,
    stored_rows,
)
from tests.support.stored_anomalies import anomaly, store_anomalies

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
