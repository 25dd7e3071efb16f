"""Reports have the figures of the rows: all are computed again, plainly."""

import asyncio
import json
from contextlib import closing
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from conductor_actors.adapters.postgres import other_sessions, report_query
from conductor_actors.adapters.postgres.history_queries import HistoryQueries
from conductor_actors.adapters.postgres.report_reader import (
    PostgresReportReader,
    PostgresSessionReports,
)
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Scoring
from conductor_actors.report_bodies import Report, encode_report
from conductor_actors.report_port import ReportRules
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
