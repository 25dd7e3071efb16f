"""A standby takes over from an owner that is killed, suspended, stopped or replaced."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import pairwise
from typing import Final

import httpx
import pytest
import redis
from redis.client import PubSub

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.redis.key_names import (
    CHECKPOINT_KEY,
)
from conductor_actors.app.signals import DRAIN_TIMEOUT_S
from conductor_actors.app.tick_watchdog import MAX_STALL_S
from tests.e2e.deployment import Deployment, terminate
from tests.support.event_load import SESSIONS
from tests.support.processes import ROOT
from tests.support.programs import (
    Program,
    run_to_end,
    running,
)

TAKEOVER_WITHIN_S: Final = 10.0
INJECTED: Final = ROOT / "tests" / "faults" / "injected"
START_WITHIN_S: Final = 5.0  # of a process on a busy machine


def test_a_standby_takes_over_when_the_owner_is_killed_under_load(deployment: Deployment) -> None:
    with ExitStack() as stack:
        stack.enter_context(deployment.event_load())
        owner = stack.enter_context(deployment.running())
        owner.wait_for("service_started")
        owner.wait_for("tick_completed", sessions=50)
        standby = stack.enter_context(deployment.running())
        assert f":{owner.pid}:" in standby.wait_for("lease_awaited")["owner"]
        owner.wait_for("batch_written")
        number = owner.wait_for("checkpoint_committed")["number"]
        owner.kill()
        assert standby.wait_for("checkpoint_loaded", TAKEOVER_WITHIN_S)["number"] >= number
        standby.wait_for("service_started")
        standby.wait_for("tick_completed", sessions=50)
        standby.wait_for("batch_written")
        terminate(standby)
    deployment.assert_rows_are_those_of_a_replay()


def test_a_standby_takes_over_at_once_when_the_owner_has_drained(deployment: Deployment) -> None:
    with deployment.running() as owner:
        owner.wait_for("service_started")
        with deployment.running() as standby:
            standby.wait_for("lease_awaited")
            deployment.add_reaction()
            owner.wait_for("batch_written")
            terminate(owner)
            standby.wait_for("service_started", START_WITHIN_S)
            deployment.add_reaction()
            standby.wait_for("batch_written")
            terminate(standby)
    deployment.assert_rows_are_those_of_a_replay()


@pytest.mark.timeout(180)
def test_a_standby_takes_over_from_an_owner_that_makes_no_ticks(deployment: Deployment) -> None:
    fault = {"PYTHONPATH": f"{INJECTED}:{ROOT}", "CONDUCTOR_TEST_FAULTS": "ticker"}
    with deployment.running(**fault) as owner:
        owner.wait_for("service_started")
        with deployment.running() as standby:
            standby.wait_for("lease_awaited")
            deployment.add_reaction()
            stalled = owner.wait_for("ticks_stalled", 2 * MAX_STALL_S)
            assert "in broadcast" in stalled["stacks"]
            standby.wait_for("service_started", START_WITHIN_S)
            standby.wait_for("tick_completed")
            assert owner.finish(DRAIN_TIMEOUT_S + START_WITHIN_S).exit_code == 70
            terminate(standby)
    deployment.assert_rows_are_those_of_a_replay()


def test_a_standby_reports_that_it_is_one_and_can_be_stopped(deployment: Deployment) -> None:
    with deployment.running() as owner:
        owner.wait_for("service_started")
        with deployment.running() as standby:
            address = standby.wait_for("dashboard_started")["address"]
            standby.wait_for("lease_awaited")
            health = httpx.get(f"{address}health")
            assert (health.status_code, health.json()["status"]) == (200, "standby")
            ready = httpx.get(f"{address}ready")
            assert ready.status_code == 503
            assert ready.json()["reasons"] == ["standby: another process owns the events"]
            terminate(standby)
            assert standby.all("service_started") == []
        deployment.add_reaction()
        owner.wait_for("batch_written")
        terminate(owner)


def test_a_suspended_owner_publishes_nothing_and_writes_no_checkpoint_after_a_takeover(
    deployment: Deployment,
) -> None:
    with deployment.running() as owner:
        owner.wait_for("service_started")
        with deployment.running() as standby, deployment.pubsub() as pubsub:
            standby.wait_for("lease_awaited")
            deployment.add_reaction()
            owner.wait_for("checkpoint_committed", ended=0, sessions=1)
            owner.signal(signal.SIGSTOP)
            standby.wait_for("service_started", TAKEOVER_WITHIN_S)
            live = standby.wait_for("tick_completed")
            while live["lag_s"] > 1:
                live = standby.wait_for("tick_completed")
            pubsub.psubscribe("*engagement:update")
            owner.signal(signal.SIGCONT)
            assert owner.finish().exit_code == 70
            deployment.add_reaction()
            standby.wait_for("batch_written")
            number = standby.wait_for("checkpoint_committed")["number"]
            terminate(standby)
            published = list(updates(pubsub))
        assert owner.all("ownership_lost") != []
        assert number > max(line["number"] for line in owner.all("checkpoint_committed"))
    assert published == sorted(set(published))
    assert deployment.client.hget(CHECKPOINT_KEY, "fence") == deployment.client.get(
        "conductor:fence"
    )
    deployment.assert_rows_are_those_of_a_replay()


def updates(pubsub: PubSub) -> Iterator[str]:
    """Return the times of the received updates."""
    while message := pubsub.get_message(timeout=0.2):
        if message["type"] == "pmessage":
            yield json.loads(message["data"])["timestamp"]


def test_a_rollout_under_load_loses_nothing_and_every_new_collector_is_ready(
    deployment: Deployment,
) -> None:
    with ExitStack() as stack, deployment.pubsub() as pubsub:
        pubsub.psubscribe("*engagement:update")
        owner, ask_owner = stack.enter_context(running_collector(deployment))
        programs = [owner]
        with deployment.event_load():
            owner.wait_for("tick_completed", sessions=SESSIONS)
            for _ in range(2):
                standby, ask = stack.enter_context(running_collector(deployment))
                programs.append(standby)
                standby.wait_for("lease_awaited")
                # Both are ready, or a rollout would never go on to the owner.
                assert (ask_owner("/ready").status_code, ask("/ready").status_code) == (200, 200)
                assert ask("/health").json()["status"] == "standby"
                owner.wait_for("batch_written")
                terminate(owner)
                standby.wait_for("service_started", START_WITHIN_S)
                standby.wait_for("tick_completed", sessions=SESSIONS)
                assert ask("/health").json()["status"] == "ok"
                owner, ask_owner = standby, ask
            owner.wait_for("batch_written")
        terminate(owner)
        published = sorted(set(tick_times(pubsub)))
    assert_equal_to_a_replay(deployment, programs)
    assert {later - earlier for earlier, later in pairwise(published)} == {1.0}
    sys.stdout.write(f"longest pause {longest_pause_s(programs):.2f} s\n")  # pytest -rP shows it


@contextmanager
def running_collector(
    deployment: Deployment,
) -> Iterator[tuple[Program, Callable[[str], httpx.Response]]]:
    """Run a collector; yield it, and a function that requests a path of its server."""
    port = free_port()
    settings = deployment.settings | {
        "CONDUCTOR_METRICS_PORT": str(port),
        "CONDUCTOR_LOG_LEVEL": "debug",
    }
    with running("collect", cwd=deployment.cwd, **settings) as program:
        yield program, lambda path: httpx.get(f"http://127.0.0.1:{port}{path}")


def assert_equal_to_a_replay(deployment: Deployment, programs: list[Program]) -> None:
    assert [each for program in programs for each in program.all("gap_detected")] == []
    last_ms = max(line["tick_at_ms"] for line in programs[-1].all("tick_completed"))
    source = ("replay", deployment.settings["REDIS_URL"], "--to", str(last_ms))
    compared = run_to_end(
        *source, "--against", "database", cwd=deployment.cwd, **deployment.settings
    )
    assert compared.exit_code == 0, compared.stdout
    rows = sum(line["new_rows"] for program in programs for line in program.all("batch_written"))
    assert compared.stdout.split()[1] == f"{rows}"


def tick_times(pubsub: redis.client.PubSub) -> Iterator[float]:
    """Return the time of the tick of each received update."""
    while message := pubsub.get_message(timeout=0.2):
        if message["type"] == "pmessage":
            yield datetime.fromisoformat(json.loads(message["data"])["timestamp"]).timestamp()


def longest_pause_s(programs: list[Program]) -> float:
    """Return the longest time between two publications, by any process."""
    lines = [line for program in programs for line in program.all("updates_published")]
    at_s = sorted(datetime.fromisoformat(line["timestamp"]).timestamp() for line in lines)
    return max(later - earlier for earlier, later in pairwise(at_s))
