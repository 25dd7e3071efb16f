"""The whole loop, with a platform that carries actions out: suggested, approved, sent, measured."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from conductor_actors.domain.commands import (
    encode_approval,
    encode_dismissal,
    encode_event_mode,
    encode_manual,
    encode_session_mode,
    encode_templates,
)
from conductor_actors.domain.conductor.templates import MAX_CONTENT_CHARS
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.instants import from_iso, to_ms
from tests.e2e.deployment import Deployment, terminate
from tests.faults.clocks import RedisClock
from tests.faults.proxy import Proxy
from tests.support.dropping_sessions import add_dropping_sessions, redis_time_ms
from tests.support.event_samples import COMMANDS, POLICY, SENT, VOTE
from tests.support.programs import Program, run_to_end
from tests.support.replayed_interventions import (
    Records,
    expected_interventions,
    expected_performance,
    first_difference,
    measured_trials,
    replay_streams,
    stored_interventions,
    stored_performance,
    sums_of,
)
from tests.support.stand_in_platform import StandInPlatform, standing_in
from tests.support.waiting import becomes_true, wait_until

ROOMS: Final = tuple(f"room-{number}" for number in range(6))  # one may HOLD, but hardly all
DECIDED_WITHIN_S: Final = 30.0
LATER_S: Final = 130.0  # when every outcome is known
SEVERAL_TICKS_S: Final = 3.0
SETTINGS: Final = {
    "CONDUCTOR_WINDOW_S": "60",
    "CONDUCTOR_SESSION_TIMEOUT_S": "1800",
    "CONDUCTOR_PRESENCE_TIMEOUT_S": "1800",
}
EDITED: Final = {"message": "Who has tried this at home?"}


class Rooms:
    """Sessions that drop, the service that conducts them, and what it has stored and sent."""

    def __init__(self, deployment: Deployment, platform: StandInPlatform) -> None:
        self.deployment = deployment
        self.client = deployment.client
        self.platform = platform
        self.url = deployment.settings["DATABASE_URL"]

    def command(self, *bodies: bytes) -> None:
        """Add commands, of which no tick comes between."""
        with self.client.pipeline(transaction=True) as pipeline:
            for body in bodies:
                pipeline.xadd(COMMANDS, {"data": body})
            pipeline.execute()

    def stored(self) -> Records:
        return stored_interventions(self.url)

    def with_status(self, *statuses: str) -> list[dict[str, Any]]:
        return [each for each in self.stored().values() if each["status"] in statuses]

    def await_decisions(self, program: Program) -> list[dict[str, Any]]:
        """Return the actions that were decided, once there is a decision in each room."""
        program.wait_for("service_started", DECIDED_WITHIN_S)
        wait_until(lambda: len(self.stored()) == len(ROOMS), DECIDED_WITHIN_S)
        decisions = [each for each in self.stored().values() if each["type"] != "HOLD"]
        assert decisions
        return decisions

    def await_status(self, identity: str, status: str) -> dict[str, Any]:
        wait_until(lambda: status in self.steps(identity))
        return self.stored()[identity]

    def steps(self, identity: str) -> dict[str, str]:
        found = self.stored().get(identity)
        return {} if found is None else found["metadata"]["steps"]

    def sent(self) -> list[str]:
        entries: Any = self.client.xrange(SENT)
        return [json.loads(fields[b"data"])["interventionId"] for _, fields in entries]

    def received(self) -> list[str]:
        return [each.id for each in self.platform.executed]

    def assert_nothing_is_sent(self) -> None:
        assert not becomes_true(lambda: bool(self.sent() or self.received()), SEVERAL_TICKS_S)


@pytest.fixture
def rooms(deployment: Deployment) -> Iterator[Rooms]:
    deployment = deployment._replace(settings=deployment.settings | SETTINGS)
    add_dropping_sessions(deployment.client, ROOMS)
    with standing_in(deployment.settings["REDIS_URL"], never_fails=True) as platform:
        yield Rooms(deployment, platform)


@contextmanager
def through_a_clock(rooms: Rooms) -> Iterator[RedisClock]:
    """Let programs see a clock of Redis that can be set."""
    url = rooms.deployment.settings["REDIS_URL"]
    port, clock = urlsplit(url).port or 0, RedisClock()
    with Proxy(port) as proxy:
        proxy.filter = clock
        rooms.deployment.settings["REDIS_URL"] = url.replace(f":{port}", f":{proxy.port}")
        yield clock


def test_a_suggestion_is_approved_sent_executed_measured_and_learnt_from_once(rooms: Rooms) -> None:
    with through_a_clock(rooms) as clock:
        with rooms.deployment.running(CONDUCTOR_AGENT_MODE="MANUAL") as program:
            suggested = rooms.await_decisions(program)
            assert rooms.sent() == []
            approved = [each["id"] for each in suggested[1:]] or [suggested[0]["id"]]
            for each in suggested:
                unusable = {"message": "x" * (MAX_CONTENT_CHARS + 1), "poll": {}}
                rooms.command(encode_approval(each["session_id"], each["id"], unusable))
            for each in suggested:
                if each["id"] in approved:
                    rooms.command(*[encode_approval(each["session_id"], each["id"])] * 2)
                else:
                    rooms.command(encode_dismissal(each["session_id"], each["id"], "not now"))
            for identity in approved:
                rooms.await_status(identity, "EXECUTED")
            terminate(program)
        assert sorted(rooms.sent()) == sorted(rooms.received()) == sorted(approved)
        for done in rooms.platform.executed:
            kind = rooms.stored()[done.id]["type"].lower()
            assert done.body["type"] == f"agent.intervention.{kind}"
        pass_time(rooms, clock)
        with rooms.deployment.running(CONDUCTOR_AGENT_MODE="MANUAL") as program:
            wait_until(lambda: len(rooms.with_status("COMPLETED")) == len(ROOMS), DECIDED_WITHIN_S)
            wait_until(lambda: rooms.client.xlen(POLICY) > 1)
            terminate(program)
        assert sorted(rooms.sent()) == sorted(rooms.received()) == sorted(approved)
        for record in rooms.stored().values():
            assert record["outcome"].keys() >= {"success", "reward", "engagement_delta"}
            assert "censored" not in record["outcome"]
        assert len(stored_performance(rooms.url)) == len(ROOMS)
        assert_equal_to_a_replay(rooms)


def pass_time(rooms: Rooms, clock: RedisClock) -> None:
    """Let it be later than every outcome, for programs, and for the ids of entries to come."""
    clock.ahead_s = LATER_S
    entry_id = f"{redis_time_ms(rooms.client) + int(LATER_S - 2) * 1000}-0"
    rooms.client.xadd(POLICY, {"data": b'{"version":0,"cells":{}}'}, entry_id)
    rooms.client.xadd(VOTE, {"data": b'{"sessionId":"later","pollId":"p"}'}, entry_id)


def assert_equal_to_a_replay(rooms: Rooms) -> list[ScoreRow]:
    """Check rows, interventions, trials and policy; return the rows of the replay."""
    settings = rooms.deployment.settings | {"CONDUCTOR_AGENT_MODE": "MANUAL"}
    ended = run_to_end(
        *("replay", settings["REDIS_URL"], "--against", "database"),
        cwd=rooms.deployment.cwd,
        **settings,
    )
    assert ended.exit_code == 0, ended
    rows = replay_streams(settings["REDIS_URL"], settings)
    assert first_difference(expected_interventions(rows), rooms.stored()) == ""
    assert first_difference(expected_performance(rows), stored_performance(rooms.url)) == ""
    fields: Any = rooms.client.hgetall(f"{POLICY}:sums")
    sums = {name.decode(): int(value) for name, value in fields.items()}
    expected = sums_of([*measured_trials(rows).values()])
    assert {name: sums[name] for name in expected} == expected
    return rows


def test_what_a_tenant_does_has_its_names(deployment: Deployment) -> None:
    settings = SETTINGS | {"CONDUCTOR_TENANTS": "acme", "CONDUCTOR_AGENT_MODE": "AUTO"}
    add_dropping_sessions(deployment.client, ROOMS, "acme")
    with (
        standing_in(deployment.settings["REDIS_URL"]) as platform,
        deployment.running(**settings) as program,
    ):
        rooms = Rooms(deployment, platform)
        decided = {each["id"] for each in rooms.await_decisions(program)}
        wait_until(lambda: {*rooms.received()} == decided)
        assert {each.prefix for each in platform.executed} == {"acme:"}
        assert {each["tenant_id"] for each in rooms.stored().values()} == {"acme"}
        for each in platform.executed:
            rooms.await_status(each.id, "EXECUTED" if each.is_success else "FAILED")
        assert deployment.client.xlen(f"acme:{SENT}") == len(decided)
        assert rooms.sent() == []


def test_over_http_a_suggestion_is_answered_once_and_all_is_shown(rooms: Rooms) -> None:
    with rooms.deployment.running(CONDUCTOR_AGENT_MODE="MANUAL") as program:
        address = program.wait_for("dashboard_started", DECIDED_WITHIN_S)["address"] + "api/v1/"
        suggested = rooms.await_decisions(program)
        decision = suggested[0]
        session, identity = decision["session_id"], decision["id"]
        path = f"{address}agent/sessions/{session}"
        wait_until(lambda: httpx.get(f"{path}/status").json()["status"] == "WAITING_APPROVAL")
        one = f"{path}/decisions/{identity}"
        assert [httpx.post(f"{one}/approve").status_code for _ in range(2)] == [200, 409]
        assert httpx.post(f"{one}/reject", json={"reason": "too late"}).status_code == 409
        rooms.await_status(identity, "EXECUTED")
        assert rooms.sent() == rooms.received() == [identity]
        history = httpx.get(f"{address}interventions/history/{session}").json()
        assert [(each["id"], each["status"]) for each in history] == [(identity, "EXECUTED")]
        explained = httpx.get(one).json()
        [drawn] = [each for each in explained["shares"] if each["is_drawn"]]
        assert drawn["type"] == decision["type"]
        assert drawn["low"] <= explained["metadata"]["draw"] / 1_000_000 < drawn["high"]
        assert httpx.put(f"{path}/mode", json={"mode": "OFF"}).status_code == 200
        wait_until(lambda: httpx.get(f"{path}/status").json()["mode"] == "OFF")
        effects = httpx.get(f"{address}effects").json()["effects"]
        assert all(each["effect"] is None and each["missing"] > 0 for each in effects)


@pytest.mark.parametrize(
    "off",
    [
        lambda session: encode_session_mode(session, "OFF"),
        lambda session: encode_event_mode(session, "OFF"),  # the event of a session without one
    ],
    ids=["session", "event"],
)
def test_off_stops_what_is_suggested_or_approved_within_one_tick(
    rooms: Rooms, off: Callable[[str], bytes]
) -> None:
    with rooms.deployment.running(CONDUCTOR_AGENT_MODE="MANUAL") as program:
        suggested = rooms.await_decisions(program)
        for each in suggested:
            session = each["session_id"]
            is_approved = each is not suggested[0]
            approval = [encode_approval(session, each["id"])] * is_approved
            rooms.command(*approval, off(session))
            commanded_ms = redis_time_ms(rooms.client)
            steps = rooms.await_status(each["id"], "EXPIRED")["metadata"]["steps"]
            assert "SENT" not in steps
            assert to_ms(from_iso(steps["EXPIRED"])) <= commanded_ms + 1000
        rooms.assert_nothing_is_sent()


def test_what_redis_does_not_take_is_not_sent_after_off(rooms: Rooms) -> None:
    rooms.client.set(SENT, "is no stream")
    with rooms.deployment.running(CONDUCTOR_AGENT_MODE="AUTO") as program:
        decided = rooms.await_decisions(program)
        assert all("APPROVED" in rooms.steps(each["id"]) for each in decided)
        rooms.command(*(encode_session_mode(room, "OFF") for room in ROOMS))
        for each in decided:
            rooms.await_status(each["id"], "EXPIRED")
        rooms.client.delete(SENT)
        rooms.assert_nothing_is_sent()


def test_the_kill_switch_stops_what_is_decided_and_all_that_follows(rooms: Rooms) -> None:
    rooms.client.set(SENT, "is no stream")
    with rooms.deployment.running(CONDUCTOR_AGENT_MODE="AUTO") as program:
        decided = rooms.await_decisions(program)
        program.wait_for("checkpoint_committed")
        program.kill()
    rooms.client.delete(SENT)
    rooms.client.delete("conductor:owner")
    with rooms.deployment.running(
        CONDUCTOR_AGENT_MODE="AUTO", CONDUCTOR_INTERVENTIONS="false"
    ) as program:
        program.wait_for("service_started", DECIDED_WITHIN_S)
        manual = encode_manual(ROOMS[0], str(uuid4()), "BROADCAST", "now")
        rooms.command(manual, encode_event_mode(ROOMS[1], "AUTO"))
        for each in decided:
            rooms.await_status(each["id"], "EXPIRED")
        rooms.assert_nothing_is_sent()
        assert len(rooms.stored()) == len(ROOMS) + 1  # what a person started has expired, too
        assert {each["status"] for each in rooms.stored().values()} <= {"HELD", "EXPIRED"}


def test_what_is_sent_is_bounded_plain_text(rooms: Rooms) -> None:
    too_long = {"message": "x" * (MAX_CONTENT_CHARS + 1)}
    template = {"message": "{people} of you: {reason}"}
    rooms.command(encode_templates({"BROADCAST": too_long}))
    with rooms.deployment.running(CONDUCTOR_AGENT_MODE="OFF") as program:
        program.wait_for("service_started", DECIDED_WITHIN_S)
        rooms.command(encode_templates({"BROADCAST": template}))
        start(rooms, ROOMS[0], "\N{RIGHT-TO-LEFT OVERRIDE}one\nline\x1b" + "y" * 450)
        start(rooms, ROOMS[1], "x", too_long)
        start(rooms, ROOMS[2], "x", {"message": "<b>{nobody}</b>"})
        start(rooms, ROOMS[3], "x", EDITED)
        wait_until(lambda: len(rooms.platform.executed) == 2)
        [filled_in] = rooms.platform.of_session(ROOMS[0])
        [edited] = rooms.platform.of_session(ROOMS[3])
        assert filled_in.body["message"].startswith("30 of you:  one line yyy")
        assert len(filled_in.body["message"]) <= MAX_CONTENT_CHARS
        assert edited.body["message"] == EDITED["message"]
        wait_until(lambda: rooms.client.xlen("conductor:dead-letters") == 3)
    assert len(rooms.received()) == 2


def start(rooms: Rooms, room: str, reason: str, content: dict[str, str] | None = None) -> None:
    """Start an action in a room, in a mode that allows it."""
    rooms.command(
        encode_session_mode(room, "MANUAL"),
        encode_manual(room, str(uuid4()), "BROADCAST", reason, content),
    )
