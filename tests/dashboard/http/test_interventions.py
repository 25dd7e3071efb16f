"""Interventions over HTTP: started by people, listed, counted, judged, and what they say."""

import random
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace

from conductor_actors.domain.conductor.interventions import (
    AgentState,
    Choice,
    Intervention,
    MeasuredOutcome,
)
from tests.dashboard.agents import decision, measured, moved, suggestion
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve, this_tick_ms
from tests.dashboard.http.agent_requests import commands, send
from tests.dashboard.http.conftest import error
from tests.dashboard.stored_agents import store_interventions, store_trial
from tests.support.score_rows import row
from tests.support.waiting import wait_until

Write = Callable[..., None]

POLL = {
    "poll": {
        "question": "Which?",
        "options": ["a", "b"],
        "type": "single_choice",
        "duration": 60,
    }
}


def manual(session_id: str, **changes: Any) -> dict[str, Any]:
    """Return the body of a request to start an action, as existing clients send it."""
    return {
        "session_id": session_id,
        "event_id": "event",
        "intervention_type": "POLL",
        "reason": "The room is quiet.",
        "context": {"current_engagement": 0.2},
        **changes,
    }


# ---- started by people


@pytest.fixture
def live(serve: Serve, publish: Write, session_id: str) -> Any:
    """A dashboard that knows a live session."""
    dashboard = serve()
    publish(row(session_id, this_tick_ms()))
    path = f"agent/sessions/{session_id}/status"
    wait_until(lambda: send(dashboard, "GET", path).json()["is_active"])
    return dashboard


def test_an_action_is_started(live: Any, valkey_url: str, session_id: str) -> None:
    accepted = send(live, "POST", "interventions/manual", manual(session_id))
    assert accepted.status_code == 202
    body = accepted.json()
    assert body == {"id": str(UUID(body["id"])), "session_id": session_id, "status": "accepted"}
    assert commands(valkey_url) == [
        {
            "command": "manual",
            "sessionId": session_id,
            "interventionId": body["id"],
            "interventionType": "POLL",
            "reason": "The room is quiet.",
        }
    ]


@pytest.mark.parametrize("changes", [{"event_id": None, "context": None}, {"context": {}}])
def test_an_action_needs_no_more_than_session_type_and_reason(
    live: Any, session_id: str, changes: dict[str, Any]
) -> None:
    body = manual(session_id, **changes)
    assert send(live, "POST", "interventions/manual", body).status_code == 202


def test_an_action_may_have_content_of_its_own(live: Any, valkey_url: str, session_id: str) -> None:
    body = manual(session_id, context={"content": POLL})
    assert send(live, "POST", "interventions/manual", body).status_code == 202
    assert commands(valkey_url)[0]["content"] == POLL


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"session_id": ""}, "invalid_body"),
        ({"session_id": 7}, "invalid_body"),
        ({"session_id": "a\0b"}, "invalid_session"),
        ({"event_id": ""}, "invalid_body"),
        ({"event_id": "a\0b"}, "invalid_event"),
        ({"intervention_type": "HOLD"}, "invalid_body"),
        ({"intervention_type": "poll"}, "invalid_body"),
        ({"reason": ""}, "invalid_body"),
        ({"reason": "  "}, "invalid_reason"),
        ({"reason": "a\nb"}, "invalid_reason"),
        ({"reason": "x" * 501}, "invalid_body"),
        ({"context": []}, "invalid_body"),
        ({"context": {"content": "text"}}, "invalid_content"),
        (
            {"intervention_type": "BROADCAST", "context": {"content": {"message": "{event}"}}},
            "invalid_content",
        ),
        ({"context": {"content": {"message": "of a broadcast"}}}, "invalid_content"),
    ],
)
def test_an_invalid_action_is_refused_with_its_reason(
    live: Any, valkey_url: str, session_id: str, changes: dict[str, Any], code: str
) -> None:
    refused = send(live, "POST", "interventions/manual", manual(session_id) | changes)
    assert error(refused) == (400, code)
    assert commands(valkey_url) == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 9000, b'{"session_id": "s"}'])
def test_an_action_without_its_keys_is_refused(live: Any, body: bytes) -> None:
    assert error(send(live, "POST", "interventions/manual", body)) == (400, "invalid_body")


def test_no_action_is_started_in_a_session_that_is_off_or_not_live(
    live: Any, valkey_url: str, publish: Write, session_id: str
) -> None:
    unknown = send(live, "POST", "interventions/manual", manual("nobody's"))
    assert error(unknown) == (404, "unknown_session")
    publish(row(session_id, this_tick_ms(-1), agent=AgentState("OFF", "IDLE")))
    path = f"agent/sessions/{session_id}/status"
    wait_until(lambda: send(live, "GET", path).json()["mode"] == "OFF")
    refused = send(live, "POST", "interventions/manual", manual(session_id))
    assert error(refused) == (409, "mode_off")
    assert commands(valkey_url) == []


def test_a_large_body_is_refused(live: Any) -> None:
    large = b" " * (1 << 15) + b"{}"
    for method, path in (("POST", "interventions/manual"), ("PUT", "agent/templates")):
        assert error(send(live, method, path, large)) == (413, "too_large")


# ---- histories and numbers


def test_the_history_of_a_session_is_newest_first_and_in_pages(
    serve: Serve, shared_database: str, session_id: str
) -> None:
    dashboard = serve()
    records = [suggestion(ticks_ago=number, event_id=session_id) for number in range(5)]
    records[0] = measured(moved(moved(records[0], "APPROVED"), "SENT"))
    store_interventions(shared_database, *records, session_id=session_id)
    store_interventions(shared_database, suggestion(), session_id="other")
    path = f"interventions/history/{session_id}"
    found = send(dashboard, "GET", path).json()
    assert found == [decision(session_id, one)["data"] for one in records]
    assert {"id", "session_id", "timestamp", "type", "confidence", "reasoning"} < set(found[0])
    assert found[0]["outcome"]["engagement_delta"] == 0.25
    pages = [send(dashboard, "GET", f"{path}?limit=2&offset={at}").json() for at in (0, 2, 4, 6)]
    assert [each for page in pages for each in page] == found
    of_event = f"interventions/history/event/{session_id}"
    assert send(dashboard, "GET", of_event).json() == found
    assert send(dashboard, "GET", f"{of_event}?limit=1&hours=1").json() == found[:1]


def test_a_history_of_an_event_is_of_its_last_hours(
    serve: Serve, shared_database: str, session_id: str
) -> None:
    dashboard = serve()
    store_interventions(
        shared_database, suggestion(3600 // 5 * 2, event_id=session_id), session_id="other"
    )
    path = f"interventions/history/event/{session_id}"
    assert send(dashboard, "GET", f"{path}?hours=1").json() == []
    assert len(send(dashboard, "GET", f"{path}?hours=3").json()) == 1


def test_a_history_has_what_the_token_may_see(
    serve: Serve, shared_database: str, session_id: str
) -> None:
    dashboard = serve(jwt_secret=SECRET)
    for name, tenant in (("a", "acme"), ("b", "acme"), ("a", "globex")):
        store_interventions(
            shared_database,
            suggestion(event_id=session_id),
            session_id=f"{name}-{session_id}",
            tenant_id=tenant,
        )
    path = f"interventions/history/event/{session_id}"

    def seen(show: str) -> list[str]:
        return sorted(
            one["session_id"][0] for one in send(dashboard, "GET", path, show=show).json()
        )

    assert seen(token()) == ["a", "b"]
    assert seen(token(claims={"sessions": [f"b-{session_id}"]})) == ["b"]
    assert seen(token(claims={"sessions": ["\0"]})) == []
    assert seen(token("globex")) == ["a"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("interventions/history/s?limit=0", "invalid_limit"),
        ("interventions/history/s?limit=1001", "invalid_limit"),
        ("interventions/history/s?limit=x", "invalid_limit"),
        ("interventions/history/s?limit=%D9%A1", "invalid_limit"),
        ("interventions/history/s?offset=-1", "invalid_offset"),
        ("interventions/history/s?offset=100001", "invalid_offset"),
        ("interventions/history/s?hours=1", "unknown_parameter"),
        ("interventions/history/event/e?hours=0", "invalid_hours"),
        ("interventions/history/event/e?hours=745", "invalid_hours"),
        ("interventions/history/event/e?offset=1", "unknown_parameter"),
        (f"interventions/history/event/{'x' * 256}", "invalid_event"),
        (f"interventions/history/{'x' * 256}", "invalid_session"),
        ("interventions/history/a%00b", "invalid_session"),
        ("interventions/stats/a%00b", "invalid_session"),
        ("interventions/stats/", "invalid_session"),
        ("effects?days=0", "invalid_days"),
        ("effects?days=367", "invalid_days"),
        ("effects?hours=1", "unknown_parameter"),
    ],
)
def test_invalid_parameters_are_refused(serve: Serve, path: str, code: str) -> None:
    assert error(send(serve(), "GET", path)) == (400, code)


@pytest.mark.parametrize(
    ("path", "session_id"),
    [
        *[("a%2Fb", "a/b"), ("event%2Fe", "event/e"), ("event", "event"), ("a%0Ab", "a\nb")],
        *[("", "."), ("../", "..")],  # as clients resolve these ids
    ],
)
def test_the_history_of_any_session_is_found(
    serve: Serve, shared_database: str, path: str, session_id: str
) -> None:
    store_interventions(shared_database, suggestion(), session_id=session_id)
    found = send(serve(), "GET", f"interventions/history/{path}").json()
    assert {one["session_id"] for one in found} == {session_id}


def test_what_another_program_stored_is_listed(
    serve: Serve, shared_database: str, session_id: str
) -> None:
    import psycopg  # noqa: PLC0415 - this test alone writes what the service does not

    with psycopg.connect(shared_database, autocommit=True) as connection:
        for metadata in ('{"steps": 1}', "[]", '{"origin": "x", "content": 7}', "{}"):
            connection.execute(
                "INSERT INTO interventions VALUES (%s, now(), 'default', %s, 'e', 'DANCE', 'DONE',"
                ' NULL, NULL, \'{"success": "yes", "reward": "much"}\', %s)',
                (str(uuid4()), session_id, metadata),
            )
    dashboard = serve()
    found = send(dashboard, "GET", f"interventions/history/{session_id}").json()
    assert [(one["type"], one["outcome"], one["confidence"]) for one in found] == (
        [("DANCE", None, None)] * 4
    )
    stats = send(dashboard, "GET", f"interventions/stats/{session_id}").json()
    assert (stats["by_type"], stats["measured"]) == ({"DANCE": 4}, 0)


def test_the_numbers_of_a_session_are_counted(
    serve: Serve, shared_database: str, session_id: str
) -> None:
    failed = MeasuredOutcome(0, 0.2, 0.1, -0.125, success=False)
    store_interventions(
        shared_database,
        suggestion(),
        replace(suggestion(), type="POLL", status="HELD"),
        measured(moved(suggestion(), "COMPLETED")),
        replace(moved(suggestion(), "COMPLETED"), outcome=failed),
        replace(moved(suggestion(), "COMPLETED"), outcome=MeasuredOutcome(0, 0.2, censored="gap")),
        session_id=session_id,
    )
    dashboard = serve()
    assert send(dashboard, "GET", f"interventions/stats/{session_id}").json() == {
        "session_id": session_id,
        "total_interventions": 5,
        "by_type": {"BROADCAST": 4, "POLL": 1},
        "by_status": {"COMPLETED": 3, "SUGGESTED": 1, "HELD": 1},
        "measured": 2,
        "successful": 1,
        "success_rate": 0.5,
        "mean_reward": 0.0,
    }
    nothing = send(dashboard, "GET", "interventions/stats/nobody").json()
    assert (nothing["total_interventions"], nothing["success_rate"]) == (0, None)


# ---- effects


def trial(number: int, dice: random.Random, effect: float, at_ms: int) -> Intervention:
    """Return a measured trial: HOLD or a broadcast that adds this to the score."""
    is_held = number % 2 == 0
    before = dice.uniform(0.2, 0.5)
    after = before + dice.gauss(0, 0.02) + (0 if is_held else effect)
    one = suggestion()
    assert one.choice is not None
    shares = {"HOLD": 500_000, "BROADCAST": 500_000}
    choice = Choice(one.choice.anomaly_id, "SUDDEN_DROP", 1, shares, 0.0)  # type: ignore[arg-type] # of types
    return replace(
        one,
        type="HOLD" if is_held else "BROADCAST",
        origin="hold" if is_held else "act",
        before=before,
        choice=choice,
        outcome=MeasuredOutcome(at_ms, before, after, 0.0, success=True),
    )


def store_trials(url: str, tenant: str, count: int, session_id: str = "s") -> None:
    dice = random.Random(7)
    now_ms = int(time.time() * 1000)
    for number in range(count):
        store_trial(url, trial(number, dice, 0.1, now_ms - number * 1000), tenant, session_id)


def test_an_effect_is_told_from_ten_trials_of_each_arm(serve: Serve, shared_database: str) -> None:
    dashboard, tenant = serve(), f"t{uuid4().hex[:12]}"
    store_trials(shared_database, tenant, 16)
    path = f"effects?tenant={tenant}"
    report = send(dashboard, "GET", path).json()
    assert report["trials"] == 16
    assert [each["origin"] for each in report["effects"]] == ["act"] * 4 + ["suggest"] * 4
    [few] = [
        one for one in report["effects"] if (one["type"], one["origin"]) == ("BROADCAST", "act")
    ]
    unknown = {"effect": None, "low": None, "high": None}
    assert few == {
        "type": "BROADCAST",
        "origin": "act",
        "n": 8,
        "n_hold": 8,
        "missing": 4,
        **unknown,
    }
    store_trials(shared_database, tenant, 30)
    found = send(dashboard, "GET", path).json()["effects"][1]
    assert (found["n"], found["n_hold"], found["missing"]) == (23, 23, 0)
    assert found["low"] < 0.1 < found["high"]
    assert abs(found["effect"] - 0.1) < 0.03


def test_effects_are_of_the_sessions_of_the_token(serve: Serve, shared_database: str) -> None:
    dashboard, tenant = serve(jwt_secret=SECRET), f"t{uuid4().hex[:12]}"
    store_trials(shared_database, tenant, 4, "one")
    store_trials(shared_database, tenant, 2, "two")

    def trials(**claims: Any) -> int:
        show = token(tenant, claims=claims)
        return int(send(dashboard, "GET", "effects", show=show).json()["trials"])

    assert trials() == 6
    assert trials(sessions=["two"]) == 2
    assert trials(sessions=[]) == 0


# ---- texts
