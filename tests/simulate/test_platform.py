"""The platform of a demo, which carries out what the conductor sends, and answers."""

import json
import time
from typing import Any, cast

import pytest
import redis

from conductor_actors.domain.conductor.reports import decode_reported
from conductor_actors.domain.conductor.requests import InterventionReported
from conductor_actors.simulate import Simulation
from conductor_actors.simulate.platform import SimulatedPlatform

OUTCOMES = "platform.agent.intervention-outcomes.v1"
CHANNEL = "agent.interventions"
AT_S = 1_767_528_000.0


@pytest.fixture
def client(redis_client: redis.Redis) -> redis.Redis:
    redis_client.flushall()
    return redis_client


def message(kind: str = "broadcast", session_id: str = "panel-open-data", **more: Any) -> bytes:
    body = {
        "type": f"agent.intervention.{kind}",
        "intervention_id": "i-1",
        "session_id": session_id,
        "event_id": "summit",
        "timestamp": "2026-01-04T12:00:00.000Z",
        "metadata": {"reason": "r", "confidence": 0.5, "priority": "normal"},
    }
    return json.dumps(body | more).encode()


def begun(**options: Any) -> Simulation:
    simulation = Simulation(sessions=4, **options)
    simulation.step(AT_S - 5, 5)
    return simulation


def answers(client: redis.Redis, name: str = OUTCOMES) -> list[bytes]:
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(name))
    return [fields[b"data"] for _, fields in entries]


def carry_out(platform: SimulatedPlatform, client: redis.Redis, *bodies: bytes) -> None:
    """Publish actions to the platform, and let it carry them out."""
    platform.carry_out_actions(AT_S)
    for body in bodies:
        assert client.publish(CHANNEL, body) == 1
    deadline_s = time.monotonic() + 10
    before = client.xlen(OUTCOMES)
    while bodies and client.xlen(OUTCOMES) - before < len(bodies):
        assert time.monotonic() < deadline_s
        platform.carry_out_actions(AT_S)


def test_what_was_carried_out_is_answered_on_the_stream(client: redis.Redis) -> None:
    platform = SimulatedPlatform(client, begun())
    carry_out(platform, client, message(message="What would you ask?"))
    session_id, report = decode_reported(answers(client)[0], 5)
    assert session_id == "panel-open-data"
    assert report == InterventionReported(5, "i-1", is_success=True)
    assert json.loads(answers(client)[0])["event_id"] == "summit"


def test_a_poll_is_opened_with_its_question(client: redis.Redis) -> None:
    simulation = begun()
    platform = SimulatedPlatform(client, simulation)
    poll = {"question": "Too fast?", "options": ["Yes", "No"], "type": "x", "duration": 60}
    carry_out(platform, client, message("poll", poll=poll))
    assert any(b'"question":"Too fast?"' in body for _, body in simulation.step(AT_S, 1))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (message(session_id="nowhere"), "there is no such session"),
        (message("fireworks"), "agent.intervention.fireworks is unknown"),
    ],
)
def test_what_cannot_be_carried_out_is_answered_with_an_error(
    client: redis.Redis, body: bytes, error: str
) -> None:
    carry_out(SimulatedPlatform(client, begun()), client, body)
    _, report = decode_reported(answers(client)[0], 5)
    assert report == InterventionReported(5, "i-1", is_success=False, error=error)


def test_what_is_no_action_is_ignored(client: redis.Redis) -> None:
    platform = SimulatedPlatform(client, begun())
    carry_out(platform, client)
    client.publish(CHANNEL, b"{}")
    client.publish(CHANNEL, b"\xff")
    carry_out(platform, client, message())
    assert len(answers(client)) == 1


def test_each_tenant_is_answered_in_its_own_stream(client: redis.Redis) -> None:
    platform = SimulatedPlatform(client, begun(tenants=["default", "acme"]))
    carry_out(platform, client)
    assert client.publish(f"acme:{CHANNEL}", message()) == 1
    deadline_s = time.monotonic() + 10
    while not client.xlen(f"acme:{OUTCOMES}"):
        assert time.monotonic() < deadline_s
        platform.carry_out_actions(AT_S)
    assert not client.xlen(OUTCOMES)


def test_after_an_outage_the_platform_subscribes_again(client: redis.Redis) -> None:
    platform = SimulatedPlatform(client, begun())
    carry_out(platform, client)
    client.client_kill_filter(_type="pubsub")
    time.sleep(0.2)  # until the end of the connection has arrived
    with pytest.raises(redis.ConnectionError):
        platform.carry_out_actions(AT_S)
    carry_out(platform, client, message())
    platform.close()
    assert client.pubsub_numsub(CHANNEL) == [(CHANNEL.encode(), 0)]
