"""Updates as subscribers receive them from a real Valkey."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import redis
from msgspec.structs import asdict

from conductor_actors.adapters.redis.updates.update_publisher import RedisUpdatePublisher
from conductor_actors.domain.anomalies.changes import ExpectedScore
from conductor_actors.domain.conductor.interventions import AgentState
from conductor_actors.errors import OwnershipLost
from conductor_actors.ports import ANOMALIES, ANOMALIES_ENDED, UPDATES
from conductor_actors.wire.anomaly_messages import anomaly_messages_of, encode_anomaly_message
from tests.support.fences import take_ownership
from tests.support.interventions import INTERVENTION_ID, intervention
from tests.support.score_rows import AT_MS, began, ended, row


@pytest.fixture
def publisher(valkey_url: str) -> Iterator[RedisUpdatePublisher]:
    with closing(RedisUpdatePublisher(valkey_url, take_ownership(valkey_url))) as publisher:
        yield publisher


@contextmanager
def subscribed(client: redis.Redis) -> Iterator[Iterator[tuple[str, bytes]]]:
    """Return the messages published on any channel, as channel and body."""
    with client.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.psubscribe("*")
        pubsub.get_message(timeout=5)

        def messages() -> Iterator[tuple[str, bytes]]:
            while message := pubsub.get_message(timeout=5):
                yield message["channel"].decode(), message["data"]

        yield messages()


def take(messages: Iterator[tuple[str, bytes]], count: int) -> list[tuple[str, bytes]]:
    return [next(messages) for _ in range(count)]


def test_an_update_has_the_fields_of_the_contract(
    publisher: RedisUpdatePublisher, client: redis.Redis
) -> None:
    with subscribed(client) as messages:
        publisher.publish([row("s1", event_id="e1")])
        channel, body = next(messages)
    assert channel == UPDATES == "engagement:update"
    assert json.loads(body) == {
        "timestamp": "2026-01-04T12:00:00.000Z",
        "tenantId": "default",
        "sessionId": "s1",
        "eventId": "e1",
        "score": 0.6018,
        "category": "HIGH",
        "signals": {
            "chat_msgs_per_min": 12.0,
            "poll_participation": 0.4,
            "active_users": 31,
            "total_users": 50,
            "reactions_per_min": 9.0,
            "user_leave_rate": 0.02,
        },
        "contributions": {
            "chat": 0.2527,
            "poll": 0.1,
            "active_users": 0.155,
            "reactions": 0.096,
            "leave_rate": -0.002,
        },
    }


@pytest.mark.parametrize(
    ("at_ms", "timestamp"),
    [
        (AT_MS + 5000, "2026-01-04T12:00:05.000Z"),
        (AT_MS + 5007, "2026-01-04T12:00:05.007Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (253_402_300_799_000, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_a_timestamp_is_utc_with_milliseconds(
    publisher: RedisUpdatePublisher, client: redis.Redis, at_ms: int, timestamp: str
) -> None:
    with subscribed(client) as messages:
        publisher.publish([row(at_ms=at_ms)])
        assert json.loads(next(messages)[1])["timestamp"] == timestamp


def test_each_tenants_updates_are_published_on_its_own_channel(
    publisher: RedisUpdatePublisher, client: redis.Redis
) -> None:
    with subscribed(client) as messages:
        publisher.publish([row(tenant_id="acme"), row(), row(tenant_id="globex")])
        received = [(channel, json.loads(body)["tenantId"]) for channel, body in take(messages, 3)]
    assert received == [
        (f"acme:{UPDATES}", "acme"),
        (UPDATES, "default"),
        (f"globex:{UPDATES}", "globex"),
    ]


@pytest.mark.parametrize("text", ['"', "\\", "a\nb", "\u2028", "😀", "</script>", "\x7f"])
def test_ids_with_any_characters_are_published_unchanged(
    publisher: RedisUpdatePublisher, client: redis.Redis, text: str
) -> None:
    with subscribed(client) as messages:
        publisher.publish([row(text, event_id=text)])
        body: dict[str, Any] = json.loads(next(messages)[1])
    assert (body["sessionId"], body["eventId"]) == (text, text)


def test_the_begin_and_the_end_of_an_anomaly_are_published_after_the_updates(
    publisher: RedisUpdatePublisher, client: redis.Redis
) -> None:
    begin = row("s1", tenant_id="acme", anomalies=(began(),))
    end = row("s2", AT_MS + 65_000, anomalies=(ended(),))
    with subscribed(client) as messages:
        publisher.publish([begin, end, row("s3")])
        received = take(messages, 5)
        assert next(messages)[0] == "acme:agent:notifications:event"
        client.publish("mark", b"")
        assert next(messages) == ("mark", b"")
    assert [channel for channel, _ in received] == [
        *(f"acme:{UPDATES}", UPDATES, UPDATES),
        *("acme:anomaly:detected", "anomaly:ended"),
    ]
    assert [body for _, body in received[3:]] == [
        encode_anomaly_message(message)
        for each in (begin, end)
        for message in anomaly_messages_of(each)
    ]


def test_an_anomaly_may_end_at_the_tick_at_which_another_begins(
    publisher: RedisUpdatePublisher, client: redis.Redis
) -> None:
    with subscribed(client) as messages:
        publisher.publish([row(anomalies=(ended(began_ms=AT_MS - 5000), began("2")))])
        channels = [channel for channel, _ in take(messages, 3)]
    assert channels == [UPDATES, ANOMALIES_ENDED, ANOMALIES]


def test_a_range_of_expected_scores_is_published(
    publisher: RedisUpdatePublisher, client: redis.Redis
) -> None:
    with subscribed(client) as messages:
        publisher.publish([row(expected=ExpectedScore(0.5, 0.75))])
        assert json.loads(next(messages)[1])["expected"] == [0.5, 0.75]


def test_ten_thousand_updates_are_published_in_one_call_and_in_order(
    publisher: RedisUpdatePublisher, client: redis.Redis
) -> None:
    sessions = [f"s{number}" for number in range(10_000)]
    with subscribed(client) as messages:
        publisher.publish([row(session) for session in sessions])
        received = [json.loads(body)["sessionId"] for _, body in take(messages, 10_000)]
    assert received == sessions


def test_a_former_owner_publishes_nothing(
    publisher: RedisUpdatePublisher, client: redis.Redis, valkey_url: str
) -> None:
    with subscribed(client) as messages:
        take_ownership(valkey_url, 8)
        with pytest.raises(OwnershipLost):
            publisher.publish([row()])
        client.publish("mark", b"")
        assert next(messages) == ("mark", b"")


def test_no_rows_publish_nothing(publisher: RedisUpdatePublisher, client: redis.Redis) -> None:
    with subscribed(client) as messages:
        publisher.publish([])
        client.publish("mark", b"")
        assert next(messages) == ("mark", b"")


def test_signals_and_contributions_are_those_of_the_row(
    publisher: RedisUpdatePublisher, client: redis.Redis
) -> None:
    with subscribed(client) as messages:
        publisher.publish([row()])
        body = json.loads(next(messages)[1])
    assert body["signals"] == asdict(row().signals)
    assert body["contributions"] == asdict(row().contributions)


def test_interventions_are_published_to_session_and_event_after_updates_and_anomalies(
    publisher: RedisUpdatePublisher, client: redis.Redis
) -> None:
    executed = intervention(status="EXECUTED", steps={"EXECUTED": AT_MS})
    state = AgentState("SEMI_AUTO", "INTERVENING", INTERVENTION_ID)
    rows = [
        row("a", tenant_id="acme", interventions=(executed,), agent=state),
        row("b", tenant_id="acme", anomalies=(began(),)),
    ]
    with subscribed(client) as messages:
        publisher.publish(rows)
        published = take(messages, 8)
    bodies = [json.loads(body) for _, body in published]
    assert [
        (channel, body.get("type")) for (channel, _), body in zip(published, bodies, strict=True)
    ] == [
        ("acme:engagement:update", None),
        ("acme:engagement:update", None),
        ("acme:anomaly:detected", "SUDDEN_DROP"),
        ("acme:session:a:events", "agent.decision"),
        ("acme:session:a:events", "agent.intervention.executed"),
        ("acme:agent:notifications:event", "intervention_executed"),
        ("acme:agent:notifications:event", "anomaly_detected"),
        ("acme:session:a:events", "agent.status"),
    ]


def test_a_status_that_could_not_be_published_is_published_at_the_next_tick(
    publisher: RedisUpdatePublisher, client: redis.Redis, valkey_url: str
) -> None:
    watched = row("a", agent=AgentState("MANUAL", "MONITORING"))
    take_ownership(valkey_url, 8)
    with pytest.raises(OwnershipLost):
        publisher.publish([watched])
    take_ownership(valkey_url, 7)
    with subscribed(client) as messages:
        publisher.publish([watched])
        publisher.publish([watched, row("b")])
        published = [channel for channel, _ in take(messages, 4)]
    assert published == [UPDATES, "session:a:events", UPDATES, UPDATES]


def test_a_successor_does_not_publish_updates_again(
    publisher: RedisUpdatePublisher, client: redis.Redis, valkey_url: str
) -> None:
    publisher.publish([row(at_ms=AT_MS), row("s2", at_ms=AT_MS)])
    successor = RedisUpdatePublisher(valkey_url, take_ownership(valkey_url))
    with closing(successor), subscribed(client) as messages:
        successor.publish([row(at_ms=AT_MS - 5000), row(at_ms=AT_MS)])
        successor.publish([row(at_ms=AT_MS + 5000)])
        _, body = next(messages)
        assert json.loads(body)["timestamp"] == "2026-01-04T12:00:05.000Z"


def test_a_clock_that_went_back_does_not_silence_the_successor(
    publisher: RedisUpdatePublisher, client: redis.Redis, valkey_url: str
) -> None:
    publisher.publish([row(at_ms=AT_MS + 3_600_000)])
    successor = RedisUpdatePublisher(valkey_url, take_ownership(valkey_url))
    with closing(successor), subscribed(client) as messages:
        successor.publish([row(at_ms=AT_MS)])
        _, body = next(messages)
        assert json.loads(body)["timestamp"] == "2026-01-04T12:00:00.000Z"
