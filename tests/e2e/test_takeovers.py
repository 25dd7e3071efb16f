"""The running service is killed, stopped, doubled: its rows are those of a replay, bit for bit."""

import json
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec
import psycopg
import pytest
import redis
from redis.client import PubSub

from conductor_actors.adapters.redis.key_names import CHECKPOINT_KEY, CHECKPOINT_SESSIONS_KEY
from tests.e2e.test_shutdown import load
from tests.support.databases import temporary_database
from tests.support.event_samples import CHAT, REACTION
from tests.support.programs import (
    QUICK,
    Program,
    assert_same_rows,
    replay_rows,
    run_to_end,
    running,
    select_rows,
)
from tests.support.servers import client_of_valkey, temporary_state_dir

REACTED = b'{"sessionId":"room","userId":"ada"}'
TAKEN_OVER_WITHIN_S = 10.0
AT_ONCE_S = 5.0  # to start, which on a busy machine takes its time


class Plant(NamedTuple):
    """Real servers, the settings of a service on them, and a folder to run it in."""

    client: redis.Redis
    settings: dict[str, str]
    cwd: Path

    @contextmanager
    def running(self, **settings: str) -> Iterator[Program]:
        with running(cwd=self.cwd, **self.settings | settings) as program:
            yield program

    def react(self) -> None:
        self.client.xadd(REACTION, {"data": REACTED})

    def load(self) -> AbstractContextManager[None]:
        """Add thousands of events a second, as long as the block runs."""
        return load(self.settings["REDIS_URL"])

    def must_have_the_rows_of_a_replay(self) -> None:
        rows = select_rows(self.settings["DATABASE_URL"])
        again = replay_rows(self.settings["REDIS_URL"], self.cwd, **self.settings)
        assert assert_same_rows(rows, again)


@pytest.fixture
def plant(valkey_url: str, postgres_url: str, tmp_path: Path) -> Iterator[Plant]:
    with redis.Redis.from_url(valkey_url) as client, temporary_database(postgres_url) as url:
        often = {"REDIS_URL": valkey_url, "DATABASE_URL": url, "CONDUCTOR_CHECKPOINT_S": "0.5"}
        yield Plant(client, QUICK | often, tmp_path)


def stop(program: Program) -> None:
    program.signal(signal.SIGTERM)
    ended = program.finish()
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert program.all("drain_incomplete") == []


def test_a_standby_goes_on_when_the_owner_is_killed_under_load(plant: Plant) -> None:
    with ExitStack() as stack:
        stack.enter_context(plant.load())
        owner = stack.enter_context(plant.running())
        owner.wait_for("service_started")
        for _ in range(2):
            owner.wait_for("tick_completed", sessions=50)
            standby = stack.enter_context(plant.running())
            assert f":{owner.pid}:" in standby.wait_for("lease_awaited")["owner"]
            owner.wait_for("batch_written")
            number = owner.wait_for("checkpoint_committed")["number"]
            owner.kill()
            assert standby.wait_for("checkpoint_loaded", TAKEN_OVER_WITHIN_S)["number"] >= number
            standby.wait_for("service_started")
            standby.wait_for("tick_completed", sessions=50)
            standby.wait_for("batch_written")
            owner = standby
        stop(owner)
    plant.must_have_the_rows_of_a_replay()


def test_a_standby_goes_on_at_once_when_the_owner_has_ended(plant: Plant) -> None:
    with plant.running() as owner:
        owner.wait_for("service_started")
        with plant.running() as standby:
            standby.wait_for("lease_awaited")
            plant.react()
            owner.wait_for("batch_written")
            stop(owner)
            standby.wait_for("service_started", AT_ONCE_S)
            plant.react()
            standby.wait_for("batch_written")
            stop(standby)
    plant.must_have_the_rows_of_a_replay()


def test_a_standby_says_that_it_is_one_and_ends_at_once_when_asked(plant: Plant) -> None:
    with plant.running() as owner:
        owner.wait_for("service_started")
        with plant.running() as standby:
            address = standby.wait_for("dashboard_started")["address"]
            standby.wait_for("lease_awaited")
            health = httpx.get(f"{address}health")
            assert (health.status_code, health.json()["status"]) == (200, "standby")
            ready = httpx.get(f"{address}ready")
            assert ready.status_code == 503
            assert ready.json()["reasons"] == ["standby: another process owns the events"]
            stop(standby)
            assert standby.all("service_started") == []
        plant.react()
        owner.wait_for("batch_written")
        stop(owner)


def test_an_owner_that_slept_and_wakes_up_announces_nothing_and_writes_no_checkpoint(
    plant: Plant,
) -> None:
    with plant.running() as owner:
        owner.wait_for("service_started")
        with plant.running() as standby, listening(plant) as pubsub:
            standby.wait_for("lease_awaited")
            plant.react()
            owner.wait_for("checkpoint_committed", ended=0, sessions=1)
            owner.signal(signal.SIGSTOP)
            standby.wait_for("service_started", TAKEN_OVER_WITHIN_S)
            live = standby.wait_for("tick_completed")
            while live["lag_s"] > 1:
                live = standby.wait_for("tick_completed")
            pubsub.psubscribe("*engagement:update")
            owner.signal(signal.SIGCONT)
            assert owner.finish().exit_code == 70
            plant.react()
            standby.wait_for("batch_written")
            number = standby.wait_for("checkpoint_committed")["number"]
            stop(standby)
            announced = list(updates(pubsub))
        assert owner.all("ownership_lost") != []
        assert number > max(line["number"] for line in owner.all("checkpoint_committed"))
    assert announced == sorted(set(announced))
    assert plant.client.hget(CHECKPOINT_KEY, "fence") == plant.client.get("conductor:fence")
    plant.must_have_the_rows_of_a_replay()


def listening(plant: Plant) -> PubSub:
    pubsub: PubSub = plant.client.pubsub()  # type: ignore[no-untyped-call]
    return pubsub


def updates(pubsub: PubSub) -> Iterator[str]:
    """Give the times of the updates that were heard."""
    while message := pubsub.get_message(timeout=0.2):
        if message["type"] == "pmessage":
            yield json.loads(message["data"])["timestamp"]


def test_after_kill_9_the_next_start_goes_on_with_own_servers_too(tmp_path: Path) -> None:
    with temporary_state_dir(initialised=True) as state_dir:
        settings = QUICK | {"CONDUCTOR_STATE_DIR": str(state_dir)}
        with running(cwd=tmp_path, **settings) as killed:
            with client_of_valkey(killed) as client:
                killed.wait_for("service_started")
                client.xadd(REACTION, {"data": REACTED})
            killed.wait_for("batch_written")
            killed.kill()
        with running(cwd=tmp_path, **settings) as successor:
            assert f":{killed.pid}:" in successor.wait_for("lease_awaited")["owner"]
            successor.wait_for("checkpoint_loaded", TAKEN_OVER_WITHIN_S)
            successor.wait_for("batch_written")
            stop(successor)


def test_ends_under_load_orderly_or_not_cost_no_row(plant: Plant) -> None:
    with plant.load():
        for ending in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
            with plant.running() as program:
                program.wait_for("service_started", TAKEN_OVER_WITHIN_S)
                program.wait_for("tick_completed", sessions=50)
                program.signal(ending)
                program.finish()
            assert program.all("gap_detected") == []
        with plant.running() as program:
            program.wait_for("checkpoint_loaded")
            program.wait_for("tick_completed")
            stop(program)
    plant.must_have_the_rows_of_a_replay()


def test_without_a_checkpoint_it_begins_as_told_and_with_one_where_it_was(plant: Plant) -> None:
    plant.react()
    with plant.running(CONDUCTOR_START="latest") as program:
        program.wait_for("service_started")
        plant.react()
        program.wait_for("events_routed", events=1)
        stop(program)
    plant.react()
    with plant.running(CONDUCTOR_START="earliest") as program:
        program.wait_for("events_routed", events=1)
        stop(program)


def test_what_was_trimmed_away_unread_is_counted_marked_and_shown(plant: Plant) -> None:
    with plant.running() as program:
        program.wait_for("service_started")
        plant.react()
        program.wait_for("batch_written")
        stop(program)
    for _ in range(20):
        plant.react()
    plant.client.xtrim(REACTION, maxlen=5, approximate=False)
    with plant.running() as program:
        address = program.wait_for("dashboard_started")["address"]
        gap = program.wait_for("gap_detected")
        assert (gap["tenant"], gap["reason"], gap["lost_events"]) == ("default", "trimmed", 15)
        program.wait_for("checkpoint_committed")
        health = httpx.get(f"{address}health").json()
        assert health["gaps"] == {"trimmed": {"gaps": 1, "lost_events": 15}}
        assert health["checkpoint_age_s"] is not None
        assert health["lag_s"] is not None
        program.wait_for("tick_completed")
        stop(program)
    with psycopg.connect(plant.settings["DATABASE_URL"]) as connection:
        marks = connection.execute("SELECT metadata FROM engagement_metrics ORDER BY time")
        found = [metadata for (metadata,) in marks]
    assert found[0] == {}
    assert found[-1] == {"gap": {"reason": "trimmed", "lost_events": 15}}


def test_what_pubsub_said_during_a_restart_is_lost_and_said_to_be(plant: Plant) -> None:
    with plant.running() as program:
        program.wait_for("service_started")
        plant.client.publish(CHAT, b'{"sessionId":"room","message":{"authorId":"ada"}}')
        program.wait_for("tick_completed")
        stop(program)
    with plant.running() as program:
        gap = program.wait_for("gap_detected")
        assert (gap["tenant"], gap["reason"], gap["lost_events"]) == ("*", "restarted", None)
        program.wait_for("tick_completed")
        stop(program)
    assert len({row[2] for row in select_rows(plant.settings["DATABASE_URL"])}) == 1


def test_a_checkpoint_of_an_unknown_version_is_a_clear_error_that_names_the_way_out(
    plant: Plant,
) -> None:
    plant.client.hset(CHECKPOINT_KEY, "header", msgspec.msgpack.encode((2, b"of the future")))
    for _ in range(2):
        ended = run_to_end(cwd=plant.cwd, **plant.settings)
        assert ended.exit_code == 2
        assert ended.stderr.count("\n") == 1
        assert "format 2" in ended.stderr
        assert f"delete {CHECKPOINT_KEY} and {CHECKPOINT_SESSIONS_KEY}" in ended.stderr
    plant.client.delete(CHECKPOINT_KEY, CHECKPOINT_SESSIONS_KEY)
    with plant.running() as program:
        program.wait_for("service_started", AT_ONCE_S)  # who refused has no lease
        stop(program)


def test_a_redis_that_was_emptied_is_gone_on_with(plant: Plant) -> None:
    with plant.running() as program:
        program.wait_for("service_started")
        plant.react()
        program.wait_for("checkpoint_committed", sessions=1)
        plant.client.flushall()
        program.wait_for("checkpoint_committed", sessions=1)  # a whole one
        assert plant.client.hlen(CHECKPOINT_SESSIONS_KEY) == 1
        tick = program.wait_for("tick_completed")
        assert tick["sessions"] == 1
        stop(program)
