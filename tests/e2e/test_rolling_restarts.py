"""A rollout under load: collectors are replaced one after the other, and nothing is missing."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
import redis

from conductor_actors.adapters.embedded.server_process import free_port
from tests.e2e.test_takeovers import AT_ONCE_S, Plant, listening, stop
from tests.support.databases import temporary_database
from tests.support.programs import QUICK, Program, run_to_end, running

SESSIONS = 50  # of the load


@pytest.fixture
def plant(valkey_url: str, postgres_url: str, tmp_path: Path) -> Iterator[Plant]:
    with redis.Redis.from_url(valkey_url) as client, temporary_database(postgres_url) as url:
        settings = {"REDIS_URL": valkey_url, "DATABASE_URL": url, "CONDUCTOR_LOG_LEVEL": "debug"}
        yield Plant(client, QUICK | settings, tmp_path)


@contextmanager
def collecting(plant: Plant) -> Iterator[tuple[Program, Callable[[str], httpx.Response]]]:
    """Run a collector alone; give it, and what it answers."""
    port = free_port()
    settings = plant.settings | {"CONDUCTOR_METRICS_PORT": str(port)}
    with running("collect", cwd=plant.cwd, **settings) as program:
        yield program, lambda path: httpx.get(f"http://127.0.0.1:{port}{path}")


def test_a_rollout_under_load_loses_nothing_and_never_waits_for_a_standby(plant: Plant) -> None:
    with ExitStack() as stack, listening(plant) as pubsub:
        pubsub.psubscribe("*engagement:update")
        owner, ask_owner = stack.enter_context(collecting(plant))
        programs = [owner]
        with plant.load():
            owner.wait_for("tick_completed", sessions=SESSIONS)
            for _ in range(2):
                standby, ask = stack.enter_context(collecting(plant))
                programs.append(standby)
                standby.wait_for("lease_awaited")
                # Both are ready, or a rollout would never go on to the owner.
                assert (ask_owner("/ready").status_code, ask("/ready").status_code) == (200, 200)
                assert ask("/health").json()["status"] == "standby"
                owner.wait_for("batch_written")
                stop(owner)
                standby.wait_for("service_started", AT_ONCE_S)
                standby.wait_for("tick_completed", sessions=SESSIONS)
                assert ask("/health").json()["status"] == "ok"
                owner, ask_owner = standby, ask
            owner.wait_for("batch_written")
        stop(owner)
        announced = sorted(set(ticks(pubsub)))
    must_be_equal_to_a_replay(plant, programs)
    assert {later - earlier for earlier, later in pairwise(announced)} == {1.0}
    sys.stdout.write(f"longest pause {longest_pause_s(programs):.2f} s\n")  # pytest -rP shows it


def must_be_equal_to_a_replay(plant: Plant, programs: list[Program]) -> None:
    assert [each for program in programs for each in program.all("gap_detected")] == []
    last_ms = max(line["tick_at_ms"] for line in programs[-1].all("tick_completed"))
    source = ("replay", plant.settings["REDIS_URL"], "--to", str(last_ms))
    compared = run_to_end(*source, "--against", "database", cwd=plant.cwd, **plant.settings)
    assert compared.exit_code == 0, compared.stdout
    rows = sum(line["new_rows"] for program in programs for line in program.all("batch_written"))
    assert compared.stdout.split()[1] == f"{rows}"


def ticks(pubsub: redis.client.PubSub) -> Iterator[float]:
    """Give the time of the tick of each update that was heard."""
    while message := pubsub.get_message(timeout=0.2):
        if message["type"] == "pmessage":
            yield datetime.fromisoformat(json.loads(message["data"])["timestamp"]).timestamp()


def longest_pause_s(programs: list[Program]) -> float:
    """Give the longest time between two announcements, whoever made them."""
    lines = [line for program in programs for line in program.all("updates_published")]
    at_s = sorted(datetime.fromisoformat(line["timestamp"]).timestamp() for line in lines)
    return max(later - earlier for earlier, later in pairwise(at_s))
