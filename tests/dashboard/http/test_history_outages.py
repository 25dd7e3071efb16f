"""What is read of stored sessions while the database is away or busy; the live page goes on."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from psycopg import sql
from structlog.testing import capture_logs

from conductor_actors.dashboard.options import Options
from conductor_actors.dashboard.server import Dashboard
from tests.dashboard.conftest import Serve, this_tick_ms, upstreams, wait_ready
from tests.dashboard.http.conftest import error
from tests.support.databases import migrated_database
from tests.support.listed_sessions import listed_session, store_listed_sessions
from tests.support.score_rows import AT_MS, row

Write = Callable[..., None]

PATHS = (
    "/api/v1/sessions?state=all",
    "/api/v1/sessions/s/about",
    "/api/v1/sessions/s/timeline",
    "/api/v1/titles",
    "/api/v1/events",
    "/api/v1/events/overview?event=event",
)
BACK_WITHIN_S = 15.0


@contextmanager
def refused_connections(server_url: str, database_url: str) -> Iterator[None]:
    """End all connections to a database, and allow none until the block ends."""
    name = urlsplit(database_url).path.lstrip("/")
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        try:
            yield
        finally:
            server.execute(allow.format(sql.Identifier(name), sql.SQL("true")))


def test_a_database_that_is_away_is_said_to_be_and_is_read_again_by_itself(
    postgres_url: str, valkey_url: str, publish: Write
) -> None:
    with migrated_database(postgres_url) as url:
        store_listed_sessions(url, listed_session("default", "s", title="Keynote", ended_ms=AT_MS))
        dashboard = Dashboard(Options(port=0), upstreams(valkey_url, url))
        dashboard.start()
        try:
            wait_ready(dashboard)
            with httpx.Client(base_url=dashboard.address) as client:
                assert {client.get(path).status_code for path in PATHS} == {200}
                with refused_connections(postgres_url, url):
                    publish(row("live", this_tick_ms()))
                    for path in PATHS:
                        found = client.get(path)
                        if path != "/api/v1/titles":  # these remain known
                            assert error(found) == (503, "database_unavailable")
                            assert found.headers["Retry-After"] == "5"
                    put = client.put("/api/v1/sessions/s/about", json={"title": "Lost"})
                    assert error(put) == (503, "database_unavailable")
                    assert client.get("/health").status_code == 200
                    live = client.get("/api/v1/sessions").json()["sessions"]
                    assert "live" in [each["sessionId"] for each in live]
                until_s = time.monotonic() + BACK_WITHIN_S
                while {client.get(path).status_code for path in PATHS} != {200}:
                    assert time.monotonic() < until_s, "not back in time"
                assert client.get("/api/v1/sessions/s/about").json()["title"] == "Keynote"
        finally:
            dashboard.stop()


def test_a_title_that_the_database_refuses_is_503_and_what_is_read_goes_on(
    postgres_url: str, valkey_url: str
) -> None:
    with migrated_database(postgres_url) as url:
        store_listed_sessions(url, listed_session("default", "s"))
        with psycopg.connect(url, autocommit=True) as database:
            database.execute(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " RAISE insufficient_privilege; END $$"
            )
            database.execute(
                "CREATE TRIGGER refuse BEFORE INSERT ON session_titles EXECUTE FUNCTION refuse()"
            )
        dashboard = Dashboard(Options(port=0), upstreams(valkey_url, url))
        dashboard.start()
        try:
            wait_ready(dashboard)
            with httpx.Client(base_url=dashboard.address) as client:
                for _ in range(2):
                    put = client.put("/api/v1/sessions/s/about", json={"title": "Refused"})
                    assert error(put) == (503, "database_unavailable")
                    found = client.get("/api/v1/sessions?state=all").json()["sessions"]
                    assert [each["title"] for each in found] == [None]
        finally:
            dashboard.stop()


def test_titles_are_not_known_before_the_database_was_read(valkey_url: str) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:9/none"
    dashboard = Dashboard(Options(port=0), upstreams(valkey_url, nowhere))
    dashboard.start()
    try:
        found = httpx.get(f"{dashboard.address}api/v1/titles")
    finally:
        dashboard.stop()
    assert error(found) == (503, "database_unavailable")


@pytest.mark.anyio
async def test_lists_that_wait_are_refused_in_time_and_delay_no_live_page_and_no_other_tenant(
    serve: Serve, shared_database: str, store: Write, session_id: str
) -> None:
    store(row(session_id, this_tick_ms(1)))
    dashboard = serve()
    limits = httpx.Limits(max_connections=100)
    with capture_logs() as lines, psycopg.connect(shared_database) as blocker:
        blocker.execute("LOCK TABLE session_titles")
        async with httpx.AsyncClient(
            base_url=dashboard.address, limits=limits, timeout=30
        ) as client:

            def listed(tenant: str) -> asyncio.Task[httpx.Response]:
                path = f"/api/v1/sessions?state=all&tenant={tenant}"
                return asyncio.create_task(client.get(path))

            blocked = [listed("busy") for _ in range(30)]
            first, _ = await asyncio.wait(blocked, return_when=asyncio.FIRST_COMPLETED)
            assert {error(each.result()) for each in first} == {(429, "too_many_requests")}
            assert {each.result().headers["Retry-After"] for each in first} == {"1"}
            began_s = time.monotonic()
            history = await client.get(f"/api/v1/sessions/{session_id}/history")
            assert len(history.json()["points"]) == 1
            events = await client.get("/api/v1/events?tenant=other")
            assert events.status_code == 200
            assert time.monotonic() - began_s < 2.5
            blocker.rollback()
            found = Counter(each.status_code for each in await asyncio.gather(*blocked))
    assert found == {200: found[200], 429: 30 - found[200]}
    assert found[200] >= 4
    assert [line for line in lines if line["event"] == "outage_began"] == []
