"""Every query of histories reads by an index, and never a table of rows as a whole."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from conductor_actors.adapters.postgres.history.history_ports import ports_on
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Scoring
from conductor_actors.domain.session_titles import SessionDetails, TitleChange
from conductor_actors.ports.history_port import (
    EventPosition,
    EventSelection,
    HistoryPorts,
    SessionPosition,
    SessionSelection,
    TimeRange,
)
from conductor_actors.ports.report_port import ReportRules
from tests.support.databases import migrated_database
from tests.support.past_sessions import PastSessions, store_past_sessions
from tests.support.query_plans import ExplainedQueries, Plan, scans
from tests.support.score_rows import AT_MS

pytestmark = pytest.mark.anyio

RULES = ReportRules(Scoring(), 5, 60)
TENANT = "tenant-3"
KEY = SessionKey(TENANT, "session-3")
PAST = PastSessions(listed=20_000, with_rows=200, together=50, ticks=500)
DURING = TimeRange(AT_MS, AT_MS + PAST.duration_ms)
HALF = TimeRange(AT_MS, AT_MS + PAST.duration_ms // 2)
IDS = [f"session-{number}" for number in (3, 13, 23)]
ENDS_MS = dict.fromkeys(IDS, DURING.until_ms)
MINUTE = timedelta(minutes=1)

BIG_TABLES = {"engagement_metrics", "sessions", "session_titles"}
BY_START = "idx_sessions_started"
BY_EVENT = "idx_sessions_event"
ROWS_KEY = "engagement_metrics_pkey"
SESSIONS_KEY = "sessions_pkey"

Call = Callable[[HistoryPorts], Awaitable[object]]


def found(after: SessionPosition | None = None, **selection: Any) -> Call:
    selected = SessionSelection(TENANT)._replace(**selection)
    return lambda ports: ports.sessions.find(selected, 51, after)


CALLS: dict[str, tuple[Call, set[str]]] = {
    "the first page": (found(), {BY_START}),
    "a later page": (found(SessionPosition(AT_MS + 10**8, "session-7")), {BY_START}),
    "live sessions": (found(state="live"), {"idx_sessions_live"}),
    "ended sessions": (found(state="ended"), {BY_START}),
    "sessions of an event": (found(event_id="event-7"), {BY_EVENT}),
    "sessions of some days": (found(first_ms=AT_MS, until_ms=AT_MS + 10**8), {BY_START}),
    "sessions of a token": (found(session_ids=IDS), {SESSIONS_KEY}),
    "a search": (found(search="title of session-13"), {BY_START}),
    "a session": (lambda ports: ports.sessions.get(KEY), {SESSIONS_KEY}),
    "titles": (
        lambda ports: ports.sessions.titled(TENANT),
        {"idx_sessions_live", "idx_session_titles_planned"},
    ),
    "a timeline": (
        lambda ports: ports.timelines.read(KEY, DURING, MINUTE, DURING),
        {ROWS_KEY},
    ),
    "a part of a timeline": (
        lambda ports: ports.timelines.read(KEY, HALF, MINUTE, DURING),
        {ROWS_KEY},
    ),
    "curves of an event": (
        lambda ports: ports.events.curves(TENANT, ENDS_MS, DURING, MINUTE),
        {ROWS_KEY},
    ),
    "moments of an event": (
        lambda ports: ports.events.moments(TENANT, ENDS_MS, DURING),
        {ROWS_KEY},
    ),
    "a report": (lambda ports: ports.reports.session_report(KEY), {ROWS_KEY, SESSIONS_KEY}),
    "a report of an event": (
        lambda ports: ports.reports.event_report(TENANT, "event-0"),
        {ROWS_KEY, BY_EVENT},
    ),
    "events": (lambda ports: ports.events.find(EventSelection(TENANT), 51), set()),
    "a later page of events": (
        lambda ports: ports.events.find(EventSelection(TENANT), 51, EventPosition(AT_MS, "e")),
        set(),
    ),
    "events of a token": (
        lambda ports: ports.events.find(EventSelection(TENANT, session_ids=IDS), 51),
        {SESSIONS_KEY},
    ),
    "a title": (
        lambda ports: ports.titles.write(TitleChange(*KEY, AT_MS, SessionDetails("Keynote"))),
        set(),
    ),
}


@pytest.fixture(scope="module", params=["postgres_url", "timescaledb_url"])
def past_sessions(request: pytest.FixtureRequest) -> Iterator[str]:
    with migrated_database(request.getfixturevalue(request.param)) as url:
        store_past_sessions(url, PAST)
        yield url


@pytest.fixture
async def queries(past_sessions: str) -> AsyncIterator[ExplainedQueries]:
    explained = ExplainedQueries(past_sessions)
    await explained.open()
    yield explained
    await explained.close()


@pytest.mark.parametrize("name", CALLS)
async def test_a_query_reads_by_an_index(queries: ExplainedQueries, name: str) -> None:
    call, indexes = CALLS[name]
    await call(ports_on(queries, RULES))
    read = [scan for plan in queries.plans for scan in scans(plan)]
    assert [scan for scan in read if scan[0] == "Seq Scan" and scan[1] in BIG_TABLES] == []
    assert indexes <= {index for _, _, index in read}


async def test_a_page_reads_no_more_sessions_than_it_has(past_sessions: str) -> None:
    explained = ExplainedQueries(past_sessions, "ANALYZE, FORMAT JSON")
    await explained.open()
    try:
        for call in ("the first page", "a later page", "ended sessions", "sessions of an event"):
            await CALLS[call][0](ports_on(explained, RULES))
        for plan in explained.plans:
            for node in _nodes(plan["Plan"]):
                assert node["Actual Rows"] * node["Actual Loops"] <= 51
                assert node.get("Rows Removed by Filter", 0) == 0
    finally:
        await explained.close()


def _nodes(node: Plan) -> Iterator[Plan]:
    yield node
    for each in node.get("Plans", ()):
        yield from _nodes(each)
