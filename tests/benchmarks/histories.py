"""Measure what is read of stored sessions: `python -m tests.benchmarks --history`.

10 million rows of 1,760 sessions, each of 8 hours and 100 at the same time, lie among each other as
the collector stores them; 100,000 sessions are listed, all of one tenant. Response times are those
of the dashboard's HTTP API to a client on the same machine. Each request is for another session, of
which the database has nothing in its memory at first. The plans are printed below them.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import psycopg

from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.adapters.postgres import migrations
from conductor_actors.adapters.postgres.history.history_ports import ports_on
from conductor_actors.dashboard.options import Options
from conductor_actors.dashboard.server import Dashboard
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Scoring
from conductor_actors.instants import to_iso
from conductor_actors.observability import logs
from conductor_actors.ports.history_port import (
    EventSelection,
    HistoryPorts,
    SessionSelection,
    TimeRange,
)
from conductor_actors.ports.report_port import ReportRules
from tests.dashboard.conftest import upstreams, wait_ready
from tests.support.past_sessions import PastSessions, store_past_sessions
from tests.support.query_plans import ExplainedQueries
from tests.support.score_rows import AT_MS

PAST: Final = PastSessions(100_000, 1_760, 100, 5_760, tenants=1)
QUICK: Final = PastSessions(10_000, 100, 20, 720, tenants=1)
TENANT: Final = "tenant-0"
REQUESTS: Final = 9  # of each kind, for another session each
LIMIT_MS: Final = 300.0  # of the timeline of 8 hours

Query = Mapping[str, object]


class Measured(NamedTuple):
    """How long responses took, and how large they are."""

    what: str
    times_ms: list[float]
    bytes_: int

    def line(self) -> str:
        least, median, most = (
            min(self.times_ms),
            statistics.median(self.times_ms),
            max(self.times_ms),
        )
        size = self.bytes_ / 1024
        return f"| {self.what} | {least:.0f} | {median:.0f} | {most:.0f} | {size:.0f} |"


def main(database_url: str | None, is_quick: bool) -> int:
    logs.configure("error", "text")
    past = QUICK if is_quick else PAST
    with tempfile.TemporaryDirectory() as folder, EmbeddedServers(Path(folder)) as servers:
        redis_url, url = servers.start_valkey(), database_url or servers.start_postgres()
        began_s = time.monotonic()
        migrations.migrate(url)
        store_past_sessions(url, past)
        print(__doc__, _described(url), f"stored in {time.monotonic() - began_s:.0f} s\n", sep="\n")
        measured = _measure(redis_url, url, past)
        print("| request | least ms | median ms | most ms | KB |\n|---|---|---|---|---|")
        print("\n".join(each.line() for each in measured))
        asyncio.run(_explain(url, past))
    whole = next(each for each in measured if "480" in each.what)
    return int(statistics.median(whole.times_ms) > LIMIT_MS)


def _described(url: str) -> str:
    with psycopg.connect(url) as database:
        version = database.execute("SHOW server_version").fetchone()
        extensions = database.execute("SELECT extname || ' ' || extversion FROM pg_extension")
        names = ", ".join(each[0] for each in extensions)
        counted = database.execute(
            "SELECT count(*), pg_size_pretty(pg_database_size(current_database()))"
            " FROM engagement_metrics"
        ).fetchone()
    assert version is not None
    assert counted is not None
    return f"PostgreSQL {version[0]} ({names}), {counted[0]:,} rows, {counted[1]}"


def _measure(redis_url: str, url: str, past: PastSessions) -> list[Measured]:
    with ExitStack() as stack:
        dashboard = Dashboard(Options(port=0), upstreams(redis_url, url))
        dashboard.start()
        stack.callback(dashboard.stop)
        wait_ready(dashboard)
        client = stack.enter_context(httpx.Client(base_url=dashboard.address, timeout=60))
        sessions = [number * (past.with_rows // REQUESTS) for number in range(REQUESTS)]
        return [
            *(_timed(client, *each, sessions) for each in _session_requests(past)),
            *(_timed(client, *each, sessions) for each in _list_requests()),
        ]


Request = tuple[str, Callable[[int], tuple[str, Query]]]


def _session_requests(past: PastSessions) -> list[Request]:
    def timeline(**query: object) -> Callable[[int], tuple[str, Query]]:
        return lambda number: (f"/api/v1/sessions/session-{number}/timeline", query)

    def half_an_hour(number: int) -> tuple[str, Query]:
        middle_ms = AT_MS + (number // past.together * past.ticks + past.ticks // 2) * 5000
        times = {"from": to_iso(middle_ms), "to": to_iso(middle_ms + 1_800_000)}
        return f"/api/v1/sessions/session-{number}/timeline", times

    hours = past.ticks * 5 / 3600
    return [
        (f"timeline of {hours:g} hours, 480 points", timeline()),
        ("the same again, from memory", timeline()),
        (f"timeline of {hours:g} hours, 2,000 points", timeline(points=2000)),
        ("timeline of half an hour, every tick", half_an_hour),
        ("about a session", lambda number: (f"/api/v1/sessions/session-{number}/about", {})),
        (
            f"report of {hours:g} hours",
            lambda number: (f"/api/v1/sessions/session-{number}/report", {}),
        ),
        (
            f"event of 10 sessions of {hours:g} hours",
            lambda number: ("/api/v1/events/overview", {"event": f"event-{number // 10}"}),
        ),
        (
            f"report of 10 sessions of {hours:g} hours",
            lambda number: ("/api/v1/events/report", {"event": f"event-{number // 10}"}),
        ),
    ]


def _list_requests() -> list[Request]:
    def sessions(**query: object) -> Callable[[int], tuple[str, Query]]:
        return lambda _: ("/api/v1/sessions", {"state": "all"} | query)

    return [
        ("first page of 50 sessions", sessions(state="ended")),
        ("sessions of an event", sessions(event="event-7")),
        ("sessions until a day", sessions(to=to_iso(AT_MS + 10 * 86_400_000))),
        ("search that finds a page", sessions(search="title of")),
        ("search that finds nothing", sessions(search="nothing has this name")),
        ("first page of 50 events", lambda _: ("/api/v1/events", {})),
        ("titles", lambda _: ("/api/v1/titles", {})),
    ]


def _timed(
    client: httpx.Client,
    what: str,
    request: Callable[[int], tuple[str, Query]],
    sessions: list[int],
) -> Measured:
    times_ms, size = [], 0
    for number in sessions:
        path, query = request(number)
        params: Any = {"tenant": TENANT, **query}
        began_s = time.perf_counter()
        answer = client.get(path, params=params).raise_for_status()
        times_ms.append((time.perf_counter() - began_s) * 1000)
        size = len(answer.content)
    return Measured(what, times_ms, size)


async def _explain(url: str, past: PastSessions) -> None:
    queries = ExplainedQueries(url, "ANALYZE, BUFFERS, COSTS OFF, SUMMARY OFF")
    await queries.open()
    ports = ports_on(queries, ReportRules(Scoring(), 5, 60))
    during = TimeRange(AT_MS, AT_MS + past.ticks * 5000)
    key = SessionKey(TENANT, "session-7")
    ends = {f"session-{number}": during.until_ms for number in range(10)}
    minute = timedelta(minutes=1)
    calls: dict[str, Callable[[HistoryPorts], Awaitable[object]]] = {
        "timeline": lambda ports: ports.timelines.read(key, during, minute, during),
        "curves of an event": lambda ports: ports.events.curves(TENANT, ends, during, minute),
        "moments of an event": lambda ports: ports.events.moments(TENANT, ends, during),
        "first page of sessions": lambda ports: ports.sessions.find(SessionSelection(TENANT), 51),
        "search of sessions": lambda ports: ports.sessions.find(
            SessionSelection(TENANT, search="nothing has this name"), 51
        ),
        "first page of events": lambda ports: ports.events.find(EventSelection(TENANT), 51),
        "titles": lambda ports: ports.sessions.titled(TENANT),
    }
    for name, call in calls.items():
        queries.plans.clear()
        await call(ports)
        print(f"\n{name}:\n", *queries.plans, sep="\n")
    await queries.close()
