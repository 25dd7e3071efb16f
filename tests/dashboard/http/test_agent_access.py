"""Who may conduct over HTTP, and what fails with its reason."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from conductor_actors.dashboard.options import Options
from conductor_actors.dashboard.server import Dashboard
from tests.dashboard.agents import suggestion
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve, upstreams
from tests.dashboard.http.agent_requests import answer, commands, send, stored
from tests.dashboard.http.conftest import error
from tests.support.event_samples import COMMANDS

Write = Callable[..., None]

CONDUCTOR = {"conduct": True}
OF_SESSION = "agent/sessions/keynote"
EDITED = {"message": "Which of the two would you try first?"}


CHANGES: list[tuple[str, str, Any]] = [
    ("PUT", f"{OF_SESSION}/mode", {"mode": "OFF"}),
    ("PUT", "agent/events/e/mode", {"mode": "OFF"}),
    ("POST", f"{OF_SESSION}/decisions/{uuid4()}/approve", {}),
    ("POST", f"{OF_SESSION}/decisions/{uuid4()}/reject", {}),
    ("POST", "agent/sessions/register", {"session_id": "keynote"}),
    ("DELETE", OF_SESSION, None),
    (
        "POST",
        "interventions/manual",
        {"session_id": "keynote", "intervention_type": "POLL", "reason": "Why not?"},
    ),
    ("PUT", "agent/templates", {"templates": {}}),
]
READS = [
    f"{OF_SESSION}/status",
    f"{OF_SESSION}/decisions/{uuid4()}",
    "agent/decisions",
    "agent/templates",
    "interventions/history/keynote",
    "interventions/history/event/e",
    "interventions/stats/keynote",
    "effects",
]


def test_clients_that_register_sessions_are_answered(serve: Serve, valkey_url: str) -> None:
    dashboard = serve()
    registered = send(dashboard, "POST", "agent/sessions/register", {"session_id": "s", "x": 1})
    assert (registered.status_code, registered.json()["session_id"]) == (202, "s")
    ended = send(dashboard, "DELETE", "agent/sessions/a%2Fb")
    assert (ended.status_code, ended.json()["session_id"]) == (202, "a/b")
    for body in ({}, {"session_id": ""}, {"session_id": "x" * 256}, b""):
        refused = send(dashboard, "POST", "agent/sessions/register", body)
        assert error(refused) == (400, "invalid_body")
    assert commands(valkey_url) == []


def test_whatever_changes_something_needs_the_claim_conduct(serve: Serve, valkey_url: str) -> None:
    dashboard = serve(jwt_secret=SECRET)
    for method, path, body in CHANGES:
        assert error(send(dashboard, method, path, body)) == (401, "token_missing"), path
        for claim in (None, False, "true", 1):
            show = token(claims={} if claim is None else {"conduct": claim})
            refused = send(dashboard, method, path, body, show)
            assert error(refused) == (403, "conduct_missing"), path
        other = send(dashboard, method, f"{path}?tenant=globex", body, token(claims=CONDUCTOR))
        assert error(other) == (403, "other_tenant"), path
        some = token(claims={"conduct": True, "sessions": ["another"]})
        assert error(send(dashboard, method, path, body, some)) == (403, "other_session"), path
    assert commands(valkey_url, f"acme:{COMMANDS}") == commands(valkey_url) == []


def test_whatever_is_read_needs_a_token_and_no_more(serve: Serve) -> None:
    dashboard = serve(jwt_secret=SECRET)
    for path in READS:
        assert error(send(dashboard, "GET", path)) == (401, "token_missing"), path
        assert send(dashboard, "GET", path, show=token()).status_code in (200, 404), path
        if "keynote" in path:
            some = token(claims={"sessions": ["another"]})
            refused = send(dashboard, "GET", path, show=some)
            assert error(refused) == (403, "other_session"), path


def test_without_a_key_only_clients_on_this_machine_change_something(serve: Serve) -> None:
    anybody = serve(host="0.0.0.0", allow_anonymous=True)
    for method, path, body in CHANGES:
        assert error(send(anybody, method, path, body)) == (403, "conduct_missing"), path


def test_commands_are_written_for_the_tenant_of_the_token(
    serve: Serve, valkey_url: str, shared_database: str
) -> None:
    dashboard = serve(jwt_secret=SECRET)
    show = token(claims=CONDUCTOR)
    decision_id = stored(shared_database, suggestion(), tenant_id="acme")
    path = f"{OF_SESSION}/decisions/{decision_id}/approve"
    assert send(dashboard, "POST", path, show=show).status_code == 200
    assert send(dashboard, "PUT", f"{OF_SESSION}/mode", {"mode": "OFF"}, show).status_code == 200
    assert len(commands(valkey_url, f"acme:{COMMANDS}")) == 2
    assert commands(valkey_url) == []


def test_the_kill_switch_refuses_changes_and_nothing_else(
    serve: Serve, valkey_url: str, shared_database: str
) -> None:
    dashboard = serve(interventions=False)
    decision_id = stored(shared_database, suggestion())
    for method, path, body in [
        *CHANGES,
        ("POST", f"{OF_SESSION}/decisions/{decision_id}/approve", {}),
    ]:
        refused = send(dashboard, method, path, body)
        assert error(refused) == (409, "interventions_disabled"), path
        assert "CONDUCTOR_INTERVENTIONS" in refused.json()["error"]["message"]
    for path in READS:
        assert send(dashboard, "GET", path).status_code in (200, 404), path
    assert send(dashboard, "GET", f"{OF_SESSION}/status").json()["mode"] == "OFF"
    assert send(dashboard, "GET", "agent/decisions").json()["enabled"] is False
    assert commands(valkey_url) == []


def test_a_page_of_an_allowed_site_may_change_something(serve: Serve) -> None:
    dashboard = serve(jwt_secret=SECRET, allowed_origins=("https://example.com",))
    for method, path, _ in CHANGES:
        asked = httpx.options(
            f"{dashboard.address}api/v1/{path}",
            headers={
                "Origin": "https://example.com",
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "authorization,content-type",
            },
        )
        assert asked.status_code == 200, path


@pytest.mark.parametrize(
    ("path", "session_id"),
    [
        ("agent/sessions/mode", "."),
        ("agent/mode", ".."),
        ("agent/sessions/a%2Fb/mode", "a/b"),
        ("agent/sessions/sessions/mode/mode", "sessions/mode"),
        ("agent/sessions/%F0%9F%98%80/mode", "😀"),
        ("agent/sessions/a%0Ab/mode", "a\nb"),
    ],
)
def test_any_session_id_is_found(serve: Serve, valkey_url: str, path: str, session_id: str) -> None:
    assert send(serve(), "PUT", path, {"mode": "OFF"}).json()["session_id"] == session_id
    assert commands(valkey_url)[0]["sessionId"] == session_id


def test_redis_that_is_away_is_503_with_its_reason(shared_database: str) -> None:
    dashboard = Dashboard(Options(port=0), upstreams("redis://127.0.0.1:1/0", shared_database))
    decision_id = stored(shared_database, suggestion())
    dashboard.start()
    try:
        found = [
            send(dashboard, "PUT", f"{OF_SESSION}/mode", {"mode": "OFF"}),
            answer(dashboard, "approve", decision_id),
            send(dashboard, "GET", "agent/templates"),
            send(dashboard, "PUT", "agent/templates", {"templates": {}}),
        ]
    finally:
        dashboard.stop()
    assert {error(each) for each in found} == {(503, "redis_unavailable")}


def test_a_database_that_is_away_is_503_with_its_reason(valkey_url: str) -> None:
    url = "postgresql://nobody@127.0.0.1:1/none"
    dashboard = Dashboard(Options(port=0), upstreams(valkey_url, url))
    dashboard.start()
    try:
        path = f"{OF_SESSION}/decisions/{uuid4()}"
        found = [send(dashboard, "GET", each) for each in (path, *READS[4:])]
        found.append(send(dashboard, "POST", f"{path}/approve"))
    finally:
        dashboard.stop()
    assert {error(each) for each in found} == {(503, "database_unavailable")}
