import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from msgspec.structs import replace

from conductor_actors.dashboard import agent_bodies, bodies, stored_bodies
from conductor_actors.dashboard.http import openapi
from conductor_actors.observability import health
from conductor_actors.wire.history_bodies import SessionSummary
from conductor_actors.wire.report_bodies import Report
from tests.dashboard.agents import suggestion
from tests.dashboard.conftest import Serve
from tests.dashboard.http.conftest import Fetch
from tests.dashboard.stored_agents import store_interventions
from tests.support.listed_sessions import listed_session, store_listed_sessions
from tests.support.score_rows import AT_MS, row
from tests.support.stored_anomalies import anomaly, store_anomalies

Write = Callable[..., None]


def test_the_document_describes_exactly_the_served_paths(serve: Serve) -> None:
    asgi: Any = serve()._app.asgi
    http = asgi._app.app._app.other_asgi_app
    served = {route.path.replace(":any}", "}") for route in http.routes}
    described = set(openapi.document()["paths"])
    of_sessions = [path for path in described if "{id}" in path]
    resolved = {
        urljoin("/", path.replace("{id}", dots)) for path in of_sessions for dots in (".", "..")
    }
    resolved.add("/api/v1/interventions/")  # the history of the session `..`
    assert served - {"/", "/static"} == described | resolved


def test_every_reference_has_a_schema() -> None:
    text = json.dumps(openapi.document())
    references = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert references == set(openapi.document()["components"]["schemas"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/health", health.Health),
        ("/ready", health.Readiness),
        ("/api/v1/sessions", bodies.SessionList),
        ("/api/v1/sessions?state=all", stored_bodies.SessionSummaryList),
        ("/api/v1/sessions?state=none", bodies.Refusal),
        ("/api/v1/sessions/s/about", SessionSummary),
        ("/api/v1/titles", stored_bodies.Titles),
        ("/api/v1/sessions/s/timeline?points=0", bodies.Refusal),
        ("/api/v1/sessions/s/timeline", stored_bodies.SessionTimeline),
        ("/api/v1/events", stored_bodies.EventList),
        ("/api/v1/events/overview", bodies.Refusal),
        ("/api/v1/events/overview?event=event", stored_bodies.EventOverview),
        ("/api/v1/sessions/s/report", Report),
        ("/api/v1/events/report?event=event", Report),
        ("/api/v1/events/report", bodies.Refusal),
        ("/api/v1/sessions/s/history?from=2026-01-04T12:00:00Z", bodies.Refusal),
        (
            f"/api/v1/sessions/s/history?from={'2026-01-04T12:00:00Z'}&to=2026-01-04T12:01:00Z",
            bodies.History,
        ),
        (
            "/api/v1/sessions/s/history?from=2026-01-04T12:00:00Z&to=2026-01-04T12:01:00Z&step=1m",
            bodies.StepHistory,
        ),
        ("/api/v1/histories?session=s&from=2026-01-04T12:00:00Z", bodies.Refusal),
        (
            "/api/v1/histories?session=s&from=2026-01-04T12:00:00Z&to=2026-01-04T12:01:00Z",
            bodies.ScoreHistories,
        ),
        ("/api/v1/sessions/s/explanation", bodies.Explanation),
        ("/api/v1/sessions/s/anomalies?from=2026-01-04T12:00:00Z", bodies.Refusal),
        (
            "/api/v1/sessions/s/anomalies?from=2026-01-04T12:00:00Z&to=2026-01-04T12:01:00Z",
            bodies.AnomalyList,
        ),
        ("/api/v1/anomalies?open=true&limit=1", bodies.AnomalyList),
        ("/api/v1/anomalies/quality", bodies.QualityReport),
        ("/api/v1/nothing", bodies.Refusal),
        ("/api/v1/agent/sessions/s/status", agent_bodies.SessionAgent),
        (f"/api/v1/agent/sessions/s/decisions/{UUID(int=1)}", agent_bodies.DecisionExplanation),
        ("/api/v1/agent/decisions", agent_bodies.DecisionList),
        ("/api/v1/agent/templates", agent_bodies.Templates),
        ("/api/v1/interventions/stats/s", agent_bodies.InterventionStats),
        ("/api/v1/effects", agent_bodies.EffectReport),
        ("/api/v1/effects?days=0", bodies.Refusal),
    ],
)
def test_responses_match_their_schemas(
    fetch: Fetch, store: Write, shared_database: str, path: str, body: type
) -> None:
    store(row("s", AT_MS))
    with psycopg.connect(shared_database) as connection:
        connection.execute("DELETE FROM sessions WHERE session_id = 's'")
    store_listed_sessions(shared_database, listed_session("default", "s"))
    store_anomalies(shared_database, anomaly(uuid4().int, session_id="s"))
    one = replace(suggestion(), id=str(UUID(int=1)), at_ms=AT_MS)
    store_interventions(shared_database, one, session_id="s")
    answer = fetch(path)
    read: object = msgspec.json.decode(answer.content, type=body)
    assert msgspec.to_builtins(read) == answer.json()
    template = re.sub("/s/", "/{id}/", path.partition("?")[0])
    template = re.sub("/stats/s$", "/stats/{session}", template)
    template = template.replace(str(UUID(int=1)), "{decision}")
    described = openapi.document()["paths"].get(template)
    if described is not None:
        assert str(answer.status_code) in described["get"]["responses"]


def test_the_document_is_served(fetch: Fetch) -> None:
    expected = openapi.document() | {"servers": [{"url": "/"}]}
    assert fetch("/api/v1/openapi.json").json() == json.loads(json.dumps(expected))
