"""The conductor over HTTP: its modes, its status, and answers to its suggestions."""

import json
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis
from msgspec.structs import replace

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.dashboard.options import Options
from conductor_actors.dashboard.server import Dashboard
from conductor_actors.domain.commands import decode_command
from conductor_actors.domain.conductor.interventions import AgentState
from conductor_actors.domain.conductor.templates import MAX_CONTENT_CHARS
from tests.dashboard.agents import SHARES, announce, decision, measured, moved, status, suggestion
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Addressed, Serve, this_tick_ms, upstreams
from tests.dashboard.http.conftest import error
from tests.dashboard.stored_agents import store_interventions
from tests.support.event_samples import COMMANDS
from tests.support.score_rows import row
from tests.support.waiting import wait_until

Write = Callable[..., None]

CONDUCTOR = {"conduct": True}
OF_SESSION = "agent/sessions/keynote"
EDITED = {"message": "Which of the two would you try first?"}


def send(
    dashboard: Addressed,
    method: str,
    path: str,
    body: Any = None,
    show: str | None = None,
    **headers: str,
) -> httpx.Response:
    if show is not None:
        headers["Authorization"] = f"Bearer {show}"
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    url = f"{dashboard.address}api/v1/{path}"
    return httpx.request(method, url, content=content, headers=headers)


def commands(url: str, key: str = COMMANDS) -> list[Any]:
    """Return the commands in a stream; each is one that the collector can read."""
    with closing(open_client(url)) as client:
        entries: Any = client.xrange(key)
    bodies = [fields[b"data"] for _, fields in entries]
    for body in bodies:
        assert decode_command(body, 0)
    return [json.loads(body) for body in bodies]


def stored(url: str, *records: Any, session_id: str = "keynote", **more: Any) -> str:
    """Store interventions of a session; return the id of the last one."""
    store_interventions(url, *records, session_id=session_id, **more)
    return str(records[-1].id)


def answer(dashboard: Addressed, what: str, decision_id: str, body: Any = None) -> httpx.Response:
    return send(dashboard, "POST", f"{OF_SESSION}/decisions/{decision_id}/{what}", body)


# ---- modes


@pytest.mark.parametrize("mode", ["OFF", "MANUAL", "SEMI_AUTO", "AUTO", None])
def test_the_mode_of_a_session_is_set(serve: Serve, valkey_url: str, mode: str | None) -> None:
    accepted = send(serve(), "PUT", f"{OF_SESSION}/mode", {"mode": mode})
    assert accepted.status_code == 200
    assert accepted.json()["mode"] == (mode or "SEMI_AUTO")
    expected = {"command": "mode", "sessionId": "keynote", "mode": mode}
    assert commands(valkey_url) == [expected]


def test_the_mode_of_an_event_is_set(serve: Serve, valkey_url: str) -> None:
    accepted = send(serve(), "PUT", "agent/events/conf%2F1/mode", {"mode": "OFF"})
    assert (accepted.status_code, accepted.json()) == (200, {"event_id": "conf/1", "mode": "OFF"})
    assert commands(valkey_url) == [{"command": "mode", "eventId": "conf/1", "mode": "OFF"}]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 9000, [], {}, {"mode": "on"}, {"mode": 1}, {"mode": "off"}]
)
def test_an_invalid_mode_is_refused(serve: Serve, valkey_url: str, body: Any) -> None:
    dashboard = serve()
    for path in (f"{OF_SESSION}/mode", "agent/events/e/mode"):
        assert error(send(dashboard, "PUT", path, body)) == (400, "invalid_body")
    assert commands(valkey_url) == []


# ---- status


def test_a_session_that_is_not_live_is_idle(serve: Serve) -> None:
    assert send(serve(), "GET", f"{OF_SESSION}/status").json() == {
        "session_id": "keynote",
        "mode": "SEMI_AUTO",
        "status": "IDLE",
        "last_activity": None,
        "confidence_score": None,
        "current_decision": None,
        "is_active": False,
    }


def test_the_status_of_a_session_has_its_open_decision(
    serve: Serve, redis_client: redis.Redis, publish: Write, session_id: str
) -> None:
    dashboard = serve(agent_mode="MANUAL")
    path = f"agent/sessions/{session_id}/status"
    publish(row(session_id, this_tick_ms()))
    wait_until(lambda: send(dashboard, "GET", path).json()["is_active"])
    watching = send(dashboard, "GET", path).json()
    assert (watching["mode"], watching["status"]) == ("MANUAL", "MONITORING")
    one = suggestion()
    announce(
        redis_client,
        decision(session_id, one),
        status(session_id, "AUTO", "WAITING_APPROVAL", one.id),
    )
    wait_until(lambda: send(dashboard, "GET", path).json()["current_decision"])
    found = send(dashboard, "GET", path).json()
    assert found["current_decision"] == decision(session_id, one)["data"]
    assert found["last_activity"] == found["current_decision"]["timestamp"]
    assert (found["mode"], found["status"]) == ("AUTO", "WAITING_APPROVAL")
    assert (found["confidence_score"], found["is_active"]) == (0.6, True)
    listed = send(dashboard, "GET", "agent/decisions").json()
    assert decision(session_id, one)["data"] in listed["decisions"]
    assert (listed["enabled"], listed["default_mode"]) == (True, "MANUAL")


def test_a_decision_that_was_not_published_here_is_read(
    serve: Serve, publish: Write, shared_database: str, session_id: str
) -> None:
    dashboard = serve()
    decision_id = stored(shared_database, suggestion(), session_id=session_id)
    waiting = AgentState("MANUAL", "WAITING_APPROVAL", decision_id)
    publish(row(session_id, this_tick_ms(), agent=waiting))
    path = f"agent/sessions/{session_id}/status"
    wait_until(lambda: send(dashboard, "GET", path).json()["current_decision"])
    assert send(dashboard, "GET", path).json()["current_decision"]["id"] == decision_id


# ---- answers


def test_a_suggestion_is_approved_once(
    serve: Serve, valkey_url: str, shared_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dashboard = serve()
    decision_id = stored(shared_database, suggestion())
    accepted = answer(dashboard, "approve", decision_id)
    expected = {"id": decision_id, "session_id": "keynote", "status": "APPROVED"}
    assert (accepted.status_code, accepted.json()) == (200, expected)
    for what in ("approve", "reject"):
        again = answer(dashboard, what, decision_id)
        assert error(again) == (409, "already_decided")
        assert "APPROVED" in again.json()["error"]["message"]
    expected = {"command": "approve", "sessionId": "keynote", "decisionId": decision_id}
    assert commands(valkey_url) == [expected]
    [line] = [line for line in capsys.readouterr().out.splitlines() if "command_given" in line]
    assert decision_id in line


def test_a_suggestion_is_dismissed_once_whoever_is_first(
    serve: Serve, valkey_url: str, shared_database: str
) -> None:
    first, second = serve(), serve()
    decision_id = stored(shared_database, suggestion())
    accepted = answer(first, "reject", decision_id, {"reason": "The break starts soon."})
    assert (accepted.status_code, accepted.json()["status"]) == (200, "DISMISSED")
    assert error(answer(second, "approve", decision_id)) == (409, "already_decided")
    [command] = commands(valkey_url)
    assert command == {
        "command": "dismiss",
        "sessionId": "keynote",
        "decisionId": decision_id,
        "reason": "The break starts soon.",
    }


@pytest.mark.parametrize("body", [None, b"", {}, {"content": None}])
def test_a_suggestion_is_approved_without_other_content(
    serve: Serve, valkey_url: str, shared_database: str, body: Any
) -> None:
    decision_id = stored(shared_database, suggestion())
    assert answer(serve(), "approve", decision_id, body).status_code == 200
    assert "content" not in commands(valkey_url)[0]


def test_a_suggestion_is_approved_with_other_content(
    serve: Serve, valkey_url: str, shared_database: str
) -> None:
    decision_id = stored(shared_database, suggestion())
    assert answer(serve(), "approve", decision_id, {"content": EDITED}).status_code == 200
    assert commands(valkey_url)[0]["content"] == EDITED


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"message": ""}, "message"),
        ({"message": "x" * (MAX_CONTENT_CHARS + 1)}, "message"),
        ({"message": "two\nlines"}, "control characters"),
        ({"message": "{nobody}"}, "Unknown placeholder"),
        ({"message": "Hello {people}"}, "placeholders"),
        ({"message": "a", "html": "b"}, "html"),
        ({"poll": {"question": "?", "options": ["a", "b"]}}, "poll"),
        ({}, "message"),
    ],
)
def test_content_that_can_not_be_sent_is_refused_and_can_be_mended(
    serve: Serve, valkey_url: str, shared_database: str, content: Any, reason: str
) -> None:
    dashboard = serve()
    decision_id = stored(shared_database, suggestion())
    refused = answer(dashboard, "approve", decision_id, {"content": content})
    assert error(refused) == (400, "invalid_content")
    assert reason in refused.json()["error"]["message"]
    assert commands(valkey_url) == []
    assert answer(dashboard, "approve", decision_id, {"content": EDITED}).status_code == 200


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("approve", b"{"),
        ("approve", []),
        ("approve", {"content": "text"}),
        ("approve", {"content": []}),
        ("reject", {"reason": 1}),
        ("reject", {"reason": ""}),
        ("reject", {"reason": "x" * (MAX_CONTENT_CHARS + 1)}),
        ("reject", b"\xff"),
    ],
)
def test_an_invalid_answer_is_refused(
    serve: Serve, valkey_url: str, shared_database: str, what: str, body: Any
) -> None:
    decision_id = stored(shared_database, suggestion())
    assert error(answer(serve(), what, decision_id, body)) == (400, "invalid_body")
    assert commands(valkey_url) == []


@pytest.mark.parametrize("what", ["approve", "reject"])
def test_a_suggestion_that_is_over_is_not_answered(
    serve: Serve, valkey_url: str, shared_database: str, what: str
) -> None:
    dashboard = serve()
    expired = stored(shared_database, replace(suggestion(), expires_ms=int(time.time() * 1000) - 1))
    assert error(answer(dashboard, what, expired)) == (409, "expired")
    for gone in ("DISMISSED", "EXPIRED", "APPROVED", "COMPLETED"):
        decision_id = stored(shared_database, moved(suggestion(), gone))
        refused = answer(dashboard, what, decision_id)
        assert error(refused) == (409, "already_decided")
        assert gone in refused.json()["error"]["message"]
    assert commands(valkey_url) == []


def test_what_was_published_and_is_not_stored_yet_is_known(
    serve: Serve, redis_client: redis.Redis, session_id: str
) -> None:
    dashboard = serve()
    one = suggestion()
    announce(redis_client, decision(session_id, one))
    path = f"agent/sessions/{session_id}/decisions/{one.id}"
    wait_until(lambda: send(dashboard, "GET", path).status_code == 200)
    assert send(dashboard, "POST", f"{path}/approve").status_code == 200


@pytest.mark.parametrize("leaf", ["", "/approve", "/reject"])
def test_a_decision_is_one_of_its_own_tenant_and_session(
    serve: Serve, valkey_url: str, shared_database: str, leaf: str
) -> None:
    dashboard = serve()
    method = "POST" if leaf else "GET"
    others = (
        stored(shared_database, suggestion(), session_id="other"),
        stored(shared_database, suggestion(), tenant_id="globex"),
        str(uuid4()),
    )
    for decision_id in others:
        found = send(dashboard, method, f"{OF_SESSION}/decisions/{decision_id}{leaf}")
        assert error(found) == (404, "unknown_decision")
    found = send(dashboard, method, f"{OF_SESSION}/decisions/no-uuid{leaf}")
    assert error(found) == (400, "invalid_decision")
    assert commands(valkey_url) == []


def test_a_decision_is_explained(serve: Serve, shared_database: str) -> None:
    one = measured(moved(moved(suggestion(), "APPROVED"), "SENT"))
    path = f"{OF_SESSION}/decisions/{stored(shared_database, one)}"
    found = send(serve(), "GET", path).json()
    shares = found.pop("shares")
    assert found == decision("keynote", one)["data"]
    metadata = found["metadata"]
    assert one.choice is not None
    assert metadata["anomaly_id"] == one.choice.anomaly_id
    assert (metadata["policy_version"], metadata["draw"]) == (3, 750_000.0)
    assert metadata["content"] == one.content
    assert list(metadata["steps"]) == ["SUGGESTED", "APPROVED", "SENT"]
    assert {each["type"]: each["probability"] for each in shares} == {
        kind: share / 1_000_000 for kind, share in SHARES.items()
    }
    assert [(each["low"], each["high"], each["is_drawn"]) for each in shares] == [
        (0.0, 0.1, False),
        (0.1, 0.4, False),
        (0.4, 1.0, True),
    ]


def test_what_a_person_started_has_no_shares(serve: Serve, shared_database: str) -> None:
    manual = replace(suggestion(), origin="manual", choice=None)
    found = send(serve(), "GET", f"{OF_SESSION}/decisions/{stored(shared_database, manual)}")
    assert found.json()["shares"] == []


# ---- clients that register sessions


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


# ---- access

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
