import json
from typing import Any

import pytest

from conductor_actors.domain.conductor.interventions import AgentState
from conductor_actors.wire.intervention_bodies import (
    AnomalyNotification,
    ExecutionNotification,
    decision_body,
)
from conductor_actors.wire.intervention_messages import (
    decision_of,
    decode_action,
    decode_notification,
    decode_session_event,
    encode_action,
    messages_of,
    status_message_of,
)
from tests.support.interventions import (
    CENSORED,
    INTERVENTION_ID,
    MEASURED,
    MEASURED_MS,
    MESSAGE,
    intervention,
)
from tests.support.score_rows import ANOMALY_ID, AT_MS, began, row

EXECUTED = intervention(status="EXECUTED", steps={"APPROVED": AT_MS - 5000, "EXECUTED": AT_MS})
FAILED = intervention(
    status="FAILED", steps={"APPROVED": AT_MS - 5000, "FAILED": AT_MS}, note="no such room"
)
COMPLETED = intervention(status="COMPLETED", outcome=MEASURED, steps={"COMPLETED": MEASURED_MS})


def bodies_of(*interventions: object, at_ms: int = AT_MS) -> list[tuple[str, Any]]:
    messages = messages_of(row("keynote", at_ms, interventions=interventions))
    return [(message.channel, json.loads(message.body)) for message in messages]


def test_an_action_is_sent_with_its_content_beside_the_common_keys() -> None:
    assert json.loads(encode_action("keynote", intervention())) == {
        "type": "agent.intervention.broadcast",
        "intervention_id": INTERVENTION_ID,
        "session_id": "keynote",
        "event_id": "event",
        "timestamp": "2026-01-04T12:00:00.000Z",
        "metadata": {
            "reason": "2 events in 9 s, 14 were expected.",
            "confidence": 0.8,
            "priority": "high",
            "estimated_impact": 0.0,
        },
        "message": MESSAGE,
    }


def test_content_replaces_no_common_key() -> None:
    forged = intervention(content={"intervention_id": "other", "type": "x", "message": MESSAGE})
    body = json.loads(encode_action("keynote", forged))
    assert (body["intervention_id"], body["type"]) == (
        INTERVENTION_ID,
        "agent.intervention.broadcast",
    )


def test_an_action_has_the_time_of_its_approval() -> None:
    approved = intervention(steps={"SUGGESTED": AT_MS, "APPROVED": AT_MS + 60_000})
    assert json.loads(encode_action("s", approved))["timestamp"] == "2026-01-04T12:01:00.000Z"


def test_each_change_of_a_decision_is_published_to_its_session() -> None:
    [(channel, body)] = bodies_of(intervention())
    assert channel == "session:keynote:events"
    assert body == {
        "type": "agent.decision",
        "session_id": "keynote",
        "timestamp": "2026-01-04T12:00:00.000Z",
        "data": {
            "id": INTERVENTION_ID,
            "session_id": "keynote",
            "event_id": "event",
            "timestamp": "2026-01-04T12:00:00.000Z",
            "type": "BROADCAST",
            "status": "APPROVED",
            "confidence": 0.8,
            "reasoning": "2 events in 9 s, 14 were expected.",
            "outcome": None,
            "metadata": {
                "event_id": "event",
                "origin": "act",
                "engagement_before": 0.25,
                "estimated_impact": 0.0,
                "steps": {"APPROVED": "2026-01-04T12:00:00.000Z"},
                "anomaly_id": ANOMALY_ID,
                "anomaly_type": "SUDDEN_DROP",
                "policy_version": 3,
                "probabilities": {"HOLD": 100_000, "POLL": 300_000, "BROADCAST": 600_000},
                "draw": 0.75,
                "content": {"message": MESSAGE},
                "send_by": "2026-01-04T12:00:15.000Z",
            },
        },
    }


@pytest.mark.parametrize(
    ("record", "is_success", "error"), [(EXECUTED, True, None), (FAILED, False, "no such room")]
)
def test_an_executed_action_is_published_to_its_session_and_its_event(
    record: object, *, is_success: bool, error: str | None
) -> None:
    decision, executed, notification = bodies_of(record)
    assert decision[1]["type"] == "agent.decision"
    assert executed[1]["type"] == "agent.intervention.executed"
    assert executed[1]["data"] == {
        "intervention_id": INTERVENTION_ID,
        "type": "BROADCAST",
        "success": is_success,
        "error": error,
    }
    assert notification[0] == "agent:notifications:event"
    assert notification[1]["type"] == "intervention_executed"
    assert notification[1]["success"] is is_success


def test_an_action_is_reported_as_executed_once() -> None:
    [(_, decision)] = bodies_of(EXECUTED, at_ms=AT_MS + 5000)
    assert decision["type"] == "agent.decision"
    closed = intervention(status="COMPLETED", steps={"EXECUTED": AT_MS, "COMPLETED": AT_MS})
    assert [body["type"] for _, body in bodies_of(closed)] == [
        "agent.decision",
        "agent.intervention.executed",
        "intervention_executed",
    ]


def test_an_outcome_is_published_once_at_the_tick_of_its_measurement() -> None:
    _, (_, measured) = bodies_of(COMPLETED, at_ms=MEASURED_MS)
    assert measured["type"] == "agent.reward.measured"
    assert measured["data"] == {
        "intervention_id": INTERVENTION_ID,
        "type": "BROADCAST",
        "outcome": {
            "success": True,
            "reward": 0.125,
            "engagement_before": 0.25,
            "engagement_after": 0.5,
            "engagement_delta": 0.25,
            "pre_engagement": 0.25,
            "post_engagement": 0.5,
            "measured_at": "2026-01-04T12:02:00.000Z",
        },
    }
    assert len(bodies_of(COMPLETED, at_ms=MEASURED_MS + 5000)) == 1


def test_an_outcome_that_could_not_be_measured_says_why() -> None:
    _, (_, measured) = bodies_of(intervention(outcome=CENSORED), at_ms=MEASURED_MS)
    outcome = measured["data"]["outcome"]
    assert outcome["censored"] == "gap"
    assert (outcome["success"], outcome["reward"], outcome["engagement_after"]) == (None,) * 3


def test_an_event_is_notified_of_an_anomaly_that_begins() -> None:
    [message] = messages_of(row("keynote", anomalies=(began(),)))
    assert message.channel == "agent:notifications:event"
    assert decode_notification(message.body) == AnomalyNotification(
        event_id="event",
        session_id="keynote",
        timestamp="2026-01-04T12:00:00.000Z",
        anomaly_id=ANOMALY_ID,
        anomaly_type="SUDDEN_DROP",
        severity="CRITICAL",
        current_engagement=0.6018,
        expected_engagement=0.7,
        reason="2 events in 9 s, 14 were expected.",
    )


def test_the_status_of_a_session_has_its_mode_and_its_open_decision() -> None:
    state = AgentState("MANUAL", "WAITING_APPROVAL", INTERVENTION_ID)
    channel, body = status_message_of(row("keynote"), state)
    assert channel == "session:keynote:events"
    assert json.loads(body) == {
        "type": "agent.status",
        "session_id": "keynote",
        "timestamp": "2026-01-04T12:00:00.000Z",
        "data": {
            "mode": "MANUAL",
            "status": "WAITING_APPROVAL",
            "decision_id": INTERVENTION_ID,
        },
    }


def test_what_is_published_reads_back_as_it_was() -> None:
    message, *_, notification = messages_of(row("keynote", interventions=(EXECUTED,)))
    event = decode_session_event(message.body)
    assert event is not None
    assert decision_of(event) == decision_body("keynote", EXECUTED)
    assert isinstance(decode_notification(notification.body), ExecutionNotification)
    action = decode_action(encode_action("keynote", intervention()))
    assert action is not None
    assert action.metadata.confidence == 0.8


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"type":"agent.other"}', b"[" * 100_000])
def test_an_invalid_message_is_none(body: bytes) -> None:
    assert decode_action(body) is None
    assert decode_session_event(body) is None
    assert decode_notification(body) is None


def test_a_decision_with_other_keys_is_none() -> None:
    [message] = messages_of(row("keynote", interventions=(intervention(),)))
    event = decode_session_event(message.body)
    assert event is not None
    del event.data["metadata"]
    assert decision_of(event) is None
    event.type = "agent.status"
    assert decision_of(event) is None
