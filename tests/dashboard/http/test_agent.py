"""The conductor over HTTP: its modes, its status, and answers to its suggestions."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import redis
from msgspec.structs import replace
from structlog.typing import EventDict

from conductor_actors.domain.conductor.interventions import AgentState
from conductor_actors.domain.conductor.templates import MAX_CONTENT_CHARS
from tests.dashboard.agents import SHARES, announce, decision, measured, moved, status, suggestion
from tests.dashboard.conftest import Serve, this_tick_ms
from tests.dashboard.http.agent_requests import answer, commands, send, stored
from tests.dashboard.http.conftest import error
from tests.support.score_rows import row
from tests.support.waiting import wait_until

Write = Callable[..., None]

CONDUCTOR = {"conduct": True}
OF_SESSION = "agent/sessions/keynote"
EDITED = {"message": "Which of the two would you try first?"}


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
    serve: Serve, valkey_url: str, shared_database: str, log_lines: list[EventDict]
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
    [line] = [line for line in log_lines if line["event"] == "command_given"]
    assert decision_id in line.values()


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


# ---- access
