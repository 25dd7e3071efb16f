"""Read reports of a database, and compare them with its rows."""

import asyncio
import json
from contextlib import closing
from typing import Any

import pytest

from conductor_actors.adapters.postgres.history import report_query
from conductor_actors.adapters.postgres.history.history_queries import HistoryQueries
from conductor_actors.adapters.postgres.history.report_reader import (
    PostgresReportReader,
    PostgresSessionReports,
)
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Scoring
from conductor_actors.ports.report_port import ReportRules
from conductor_actors.wire.report_bodies import Report, encode_report
from tests.support.reported_sessions import (
    BEGIN_MS,
    TICK_MS,
    RowSample,
    SessionSample,
    expected_curve,
    expected_figures,
    ms_of,
)

RULES = ReportRules(Scoring(), 5, 60)


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


def steady(session_id: str, ticks: int, first_ms: int = BEGIN_MS, **changes: Any) -> SessionSample:
    """Return a session with the same row at each tick."""
    is_live, event_id = changes.pop("is_live", False), changes.pop("event_id", "event")
    row = RowSample(0, **{"score": 0.5, **changes})
    rows = [row._replace(at_ms=first_ms + tick * TICK_MS) for tick in range(ticks)]
    return SessionSample(session_id, rows, is_live, event_id)


def number_of(tenant: str) -> int:
    """Return a number that no other test has."""
    return int(tenant.removeprefix("t-"), 16) >> 8
