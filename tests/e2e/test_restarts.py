"""The next start goes on where the last one ended, and reports what was lost between them."""

import signal
from pathlib import Path
from typing import Final

import httpx
import msgspec
import psycopg

from conductor_actors.adapters.redis.key_names import (
    CHECKPOINT_KEY,
    CHECKPOINT_SESSIONS_KEY,
)
from tests.e2e.deployment import REACTION_BODY, Deployment, terminate
from tests.support.event_samples import CHAT, REACTION
from tests.support.programs import QUICK, run_to_end, running, select_rows
from tests.support.servers import client_of_valkey, temporary_state_dir

TAKEOVER_WITHIN_S: Final = 10.0
START_WITHIN_S: Final = 5.0  # of a process on a busy machine


def test_after_kill_9_the_next_start_goes_on_with_the_embedded_servers(tmp_path: Path) -> None:
    with temporary_state_dir(initialised=True) as state_dir:
        settings = QUICK | {"CONDUCTOR_STATE_DIR": str(state_dir)}
        with running(cwd=tmp_path, **settings) as killed:
            with client_of_valkey(killed) as client:
                killed.wait_for("service_started")
                client.xadd(REACTION, {"data": REACTION_BODY})
            killed.wait_for("batch_written")
            killed.kill()
        with running(cwd=tmp_path, **settings) as successor:
            assert f":{killed.pid}:" in successor.wait_for("lease_awaited")["owner"]
            successor.wait_for("checkpoint_loaded", TAKEOVER_WITHIN_S)
            successor.wait_for("batch_written")
            terminate(successor)


def test_no_row_is_lost_whether_it_is_terminated_or_killed_under_load(
    deployment: Deployment,
) -> None:
    with deployment.event_load():
        for ending in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
            with deployment.running() as program:
                program.wait_for("service_started", TAKEOVER_WITHIN_S)
                program.wait_for("tick_completed", sessions=50)
                program.signal(ending)
                program.finish()
            assert program.all("gap_detected") == []
        with deployment.running() as program:
            program.wait_for("checkpoint_loaded")
            program.wait_for("tick_completed")
            terminate(program)
    deployment.assert_rows_are_those_of_a_replay()


def test_the_start_setting_applies_only_without_a_checkpoint(deployment: Deployment) -> None:
    deployment.add_reaction()
    with deployment.running(CONDUCTOR_START="latest") as program:
        program.wait_for("service_started")
        deployment.add_reaction()
        program.wait_for("events_routed", events=1)
        terminate(program)
    deployment.add_reaction()
    with deployment.running(CONDUCTOR_START="earliest") as program:
        program.wait_for("events_routed", events=1)
        terminate(program)


def test_entries_that_were_trimmed_unread_are_counted_and_rows_are_marked(
    deployment: Deployment,
) -> None:
    with deployment.running() as program:
        program.wait_for("service_started")
        deployment.add_reaction()
        program.wait_for("batch_written")
        terminate(program)
    for _ in range(20):
        deployment.add_reaction()
    deployment.client.xtrim(REACTION, maxlen=5, approximate=False)
    with deployment.running() as program:
        address = program.wait_for("dashboard_started")["address"]
        gap = program.wait_for("gap_detected")
        assert (gap["tenant"], gap["reason"], gap["lost_events"]) == ("default", "trimmed", 15)
        program.wait_for("checkpoint_committed")
        health = httpx.get(f"{address}health").json()
        assert health["gaps"] == {"trimmed": {"gaps": 1, "lost_events": 15}}
        assert health["checkpoint_age_s"] is not None
        assert health["lag_s"] is not None
        program.wait_for("tick_completed")
        terminate(program)
    with psycopg.connect(deployment.settings["DATABASE_URL"]) as connection:
        marks = connection.execute("SELECT metadata FROM engagement_metrics ORDER BY time")
        found = [metadata for (metadata,) in marks]
    assert found[0] == {"audience": "unknown"}  # nobody joined
    assert found[-1] == found[0] | {"gap": {"reason": "trimmed", "lost_events": 15}}


def test_a_restart_after_a_pubsub_message_reports_a_gap(deployment: Deployment) -> None:
    with deployment.running() as program:
        program.wait_for("service_started")
        deployment.client.publish(CHAT, b'{"sessionId":"room","message":{"authorId":"ada"}}')
        program.wait_for("tick_completed")
        terminate(program)
    with deployment.running() as program:
        gap = program.wait_for("gap_detected")
        assert (gap["tenant"], gap["reason"], gap["lost_events"]) == ("*", "restarted", None)
        program.wait_for("tick_completed")
        terminate(program)
    assert len({row[2] for row in select_rows(deployment.settings["DATABASE_URL"])}) == 1


def test_a_checkpoint_of_an_unknown_version_is_refused_with_the_way_out(
    deployment: Deployment,
) -> None:
    deployment.client.hset(CHECKPOINT_KEY, "header", msgspec.msgpack.encode((9, b"of the future")))
    for _ in range(2):
        ended = run_to_end(cwd=deployment.cwd, **deployment.settings)
        assert ended.exit_code == 2
        assert ended.stderr.count("\n") == 1
        assert "format 9" in ended.stderr
        assert f"delete {CHECKPOINT_KEY} and {CHECKPOINT_SESSIONS_KEY}" in ended.stderr
    deployment.client.delete(CHECKPOINT_KEY, CHECKPOINT_SESSIONS_KEY)
    with deployment.running() as program:
        program.wait_for("service_started", START_WITHIN_S)  # the refused starts have no lease
        terminate(program)


def test_it_goes_on_after_redis_was_emptied(deployment: Deployment) -> None:
    with deployment.running() as program:
        program.wait_for("service_started")
        deployment.add_reaction()
        program.wait_for("checkpoint_committed", sessions=1)
        deployment.client.flushall()
        program.wait_for("checkpoint_committed", sessions=1)  # a whole one
        assert deployment.client.hlen(CHECKPOINT_SESSIONS_KEY) == 1
        tick = program.wait_for("tick_completed")
        assert tick["sessions"] == 1
        terminate(program)
