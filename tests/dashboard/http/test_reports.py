"""The reports of sessions and events, by HTTP: who may read which, and what is refused."""

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import psycopg
import pytest

from conductor_actors.adapters.postgres.history import history_queries
from conductor_actors.dashboard.server import Dashboard
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve
from tests.dashboard.http.conftest import Fetch, error
from tests.support.listed_sessions import listed_session, store_listed_sessions
from tests.support.reported_sessions import (
    BEGIN_MS,
    TICK_MS,
    RowSample,
    SessionSample,
    store_reported,
)

EVENT = "/api/v1/events/report"


@pytest.fixture
def tenant() -> str:
    return f"t-{uuid4().hex}"


def session(session_id: str, chat: float = 3.0, **changes: Any) -> SessionSample:
    """Return a session of a minute."""
    rows = [RowSample(BEGIN_MS + tick * TICK_MS, 0.5, chat=chat, total=2) for tick in range(13)]
    return SessionSample(session_id, rows, **changes)


def path_of(session_id: str) -> str:
    return f"/api/v1/sessions/{quote(session_id, safe='')}/report"


@pytest.mark.parametrize(
    "session_id", ["talk", "a/b c", "100%", "#?&", '"<script>', "__proto__", "𐀀" * 255, "..%2F"]
)
def test_a_session_with_any_id_has_a_report(
    fetch: Fetch, shared_database: str, tenant: str, session_id: str
) -> None:
    store_reported(shared_database, tenant, [session(session_id, event_id=session_id)])
    answer = fetch(path_of(session_id), params={"tenant": tenant}).raise_for_status()
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["kind"], body["session"]["sessionId"]) == ("session", session_id)
    assert body["messages"] == 6
    event = fetch(EVENT, params={"tenant": tenant, "event": session_id}).raise_for_status().json()
    assert (event["kind"], event["event"]["eventId"], event["ticks"]) == ("event", session_id, 13)


@pytest.mark.parametrize(("session_id", "path"), [(".", "sessions/report"), ("..", "report")])
def test_the_ids_that_clients_resolve_have_paths_of_their_own(
    fetch: Fetch, shared_database: str, tenant: str, session_id: str, path: str
) -> None:
    store_reported(shared_database, tenant, [session(session_id)])
    body = fetch(f"/api/v1/{path}", params={"tenant": tenant}).raise_for_status().json()
    assert body["session"]["sessionId"] == session_id


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        (path_of("talk"), (404, "unknown_session")),
        (path_of("talk") + "?format=pdf", (400, "unknown_parameter")),
        (path_of("a" * 256), (400, "invalid_session")),
        (path_of("a\0b"), (400, "invalid_session")),
        (EVENT, (400, "event_missing")),
        (EVENT + "?event=", (400, "invalid_event")),
        (EVENT + "?event=%00", (400, "invalid_event")),
        (EVENT + f"?event={'a' * 256}", (400, "invalid_event")),
        (EVENT + "?event=a&from=2026-01-04T12:00:00Z", (400, "unknown_parameter")),
        (EVENT + "?event=nothing", (404, "unknown_event")),
    ],
)
def test_what_is_unknown_or_invalid_is_refused(
    fetch: Fetch, tenant: str, path: str, refusal: tuple[int, str]
) -> None:
    separator = "&" if "?" in path else "?"
    assert error(fetch(f"{path}{separator}tenant={tenant}")) == refusal


def test_a_session_without_rows_is_unknown(fetch: Fetch, shared_database: str, tenant: str) -> None:
    store_listed_sessions(
        shared_database, listed_session(tenant, "planned", started_ms=None, title="Soon")
    )
    assert error(fetch(path_of("planned"), params={"tenant": tenant})) == (404, "unknown_session")


class Guarded:
    """A dashboard that needs tokens, and three sessions of two events."""

    def __init__(self, dashboard: Dashboard, database: str) -> None:
        self._url = dashboard.address.rstrip("/")
        self._name = uuid4().hex
        self.tenant = f"t-{self._name}"
        store_reported(
            database,
            self.tenant,
            [
                session("a", 0.0, event_id="expo"),
                session("b", 20.0, event_id="expo"),
                session("c", 5.0, event_id="fair"),
            ],
        )

    def get(self, path: str, **claims: Any) -> httpx.Response:
        bearer = token(self.tenant, claims=claims)
        return httpx.get(self._url + path, headers={"Authorization": f"Bearer {bearer}"})


@pytest.fixture
def guarded(serve: Serve, shared_database: str) -> Guarded:
    return Guarded(serve(jwt_secret=SECRET), shared_database)


def test_a_token_for_one_session_opens_its_report_and_shows_nothing_of_others(
    guarded: Guarded,
) -> None:
    own = guarded.get(path_of("a"), sessions=["a"]).json()
    assert own["contributions"]["chat"]["others"] is None
    assert error(guarded.get(path_of("b"), sessions=["a"])) == (403, "other_session")
    event = guarded.get(f"{EVENT}?event=expo", sessions=["a"]).json()
    assert [each["sessionId"] for each in event["sessions"]] == ["a"]
    assert event["ticks"] == 13
    assert error(guarded.get(f"{EVENT}?event=fair", sessions=["a"])) == (404, "unknown_event")


def test_a_token_for_an_event_opens_the_reports_of_its_sessions_only(guarded: Guarded) -> None:
    event = guarded.get(f"{EVENT}?event=expo", events=["expo"]).json()
    assert [each["sessionId"] for each in event["sessions"]] == ["a", "b"]
    own = guarded.get(path_of("a"), events=["expo"]).json()
    assert own["contributions"]["chat"]["others"] == pytest.approx(0.3)
    assert error(guarded.get(path_of("c"), events=["expo"])) == (403, "other_session")
    assert error(guarded.get(f"{EVENT}?event=fair", events=["expo"])) == (404, "unknown_event")


def test_without_a_token_or_for_another_tenant_there_is_no_report(guarded: Guarded) -> None:
    url = guarded.get(path_of("a")).url
    assert error(httpx.get(url)) == (401, "token_missing")
    other = guarded.get(f"{path_of('a')}?tenant=acme")
    assert error(other) == (403, "other_tenant")


def test_a_report_that_takes_too_long_is_refused_and_is_no_outage(
    serve: Serve, shared_database: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_queries, "HISTORY_TIMEOUT_MS", 500)
    store_reported(shared_database, tenant, [session("talk")])
    url = serve().address.rstrip("/") + path_of("talk")
    with psycopg.connect(shared_database) as blocker:
        blocker.execute("LOCK TABLE interventions")
        found = httpx.get(url, params={"tenant": tenant}, timeout=20)
        assert error(found) == (429, "too_many_requests")
    assert found.headers["retry-after"]
    httpx.get(url, params={"tenant": tenant}).raise_for_status()
