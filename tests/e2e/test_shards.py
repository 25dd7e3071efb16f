"""Several collectors share the sessions: their rows are those of one, whatever happens to them."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import httpx

from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.shards import owner_of
from tests.e2e.deployment import Deployment, terminate
from tests.support.event_samples import CHAT
from tests.support.programs import (
    Completed,
    Program,
    Row,
    assert_same_rows,
    replay_rows,
    run_to_end,
    running,
    select_rows,
)
from tests.support.server_processes import ExitWatch
from tests.support.waiting import wait_until

FIRST, SECOND = "0/2", "1/2"


def wait_for_both(program: Program, event: str) -> None:
    """Wait until both shards have logged an event, in any order."""
    shard = program.wait_for(event)["shard"]
    program.wait_for(event, shard=SECOND if shard == FIRST else FIRST)


def pids(program: Program) -> dict[str, int]:
    return {line["shard"]: line["pid"] for line in program.all("shard_started")}


def assert_each_shard_has_the_rows_of_a_replay(deployment: Deployment) -> None:
    """Compare the rows of each shard up to its last tick: shards may stop at different ones."""
    rows = select_rows(deployment.settings["DATABASE_URL"])
    again = replay_rows(deployment.settings["REDIS_URL"], deployment.cwd, **deployment.settings)
    for shard in range(2):
        assert assert_same_rows(rows_of(shard, rows), rows_of(shard, again))


def rows_of(shard: int, rows: list[Row]) -> list[Row]:
    return [row for row in rows if owner_of(SessionKey(row[1], row[2]), 2) == shard]


def test_two_shards_have_the_rows_of_a_replay(deployment: Deployment) -> None:
    with (
        deployment.event_load(),
        running("collect", "--shards", "2", cwd=deployment.cwd, **deployment.settings) as group,
    ):
        wait_for_both(group, "service_started")
        for _ in range(3):
            wait_for_both(group, "batch_written")
        terminate(group)
    assert {line["shard"] for line in group.all("service_stopped")} == {FIRST, SECOND}
    assert_each_shard_has_the_rows_of_a_replay(deployment)


def test_a_shard_that_is_killed_comes_back_and_the_other_goes_on(deployment: Deployment) -> None:
    with (
        deployment.event_load(),
        running("collect", "--shards", "2", cwd=deployment.cwd, **deployment.settings) as group,
    ):
        wait_for_both(group, "checkpoint_committed")
        os.kill(pids(group)[FIRST], signal.SIGKILL)
        assert group.wait_for("shard_stopped", shard=FIRST)["exit_code"] == -signal.SIGKILL
        group.wait_for("batch_written", shard=SECOND)
        group.wait_for("checkpoint_loaded", shard=FIRST)
        group.wait_for("batch_written", shard=FIRST)
        terminate(group)
    assert [line["shard"] for line in group.all("checkpoint_loaded")] == [FIRST]
    assert_each_shard_has_the_rows_of_a_replay(deployment)


def test_no_shard_outlives_a_parent_that_is_killed(deployment: Deployment) -> None:
    with running("collect", "--shards", "2", cwd=deployment.cwd, **deployment.settings) as group:
        wait_for_both(group, "service_started")
        children = pids(group)
        group.kill()  # and its output is read to the end: of every process that writes to it
        ExitWatch(children.values()).wait(20.0)
    assert not deployment.client.exists("conductor:owner:0-of-2", "conductor:owner:1-of-2")


def test_what_is_no_event_is_counted_once(deployment: Deployment) -> None:
    with running("collect", "--shards", "2", cwd=deployment.cwd, **deployment.settings) as group:
        wait_for_both(group, "service_started")
        for body in (b"no json", b'{"sessionId":"room"}', b'{"sessionId":"hall"}', b"\xff", b"{}"):
            deployment.client.xadd(CHAT, {"data": body})
        deployment.client.xadd(
            "sync-events", {"data": b'{"resource":"polls","action":"x","payload":1}'}
        )
        deployment.add_reaction()
        group.wait_for("batch_written")
        terminate(group)
    assert deployment.client.xlen("conductor:dead-letters") == 5
    assert sum(line["events"] for line in group.all("events_invalid")) == 5
    routed = group.all("events_routed")
    assert sum(line["skipped"] for line in routed) == sum(line["events"] for line in routed) == 1


def test_a_stop_while_the_shards_start_drains_them(deployment: Deployment) -> None:
    with running("collect", "--shards", "2", cwd=deployment.cwd, **deployment.settings) as group:
        group.wait_for("shard_started")
        terminate(group)
    assert {line["exit_code"] for line in group.all("shard_stopped")} == {0}
    assert group.all("shard_killed") == []


def test_a_shard_that_dies_too_often_ends_all(deployment: Deployment) -> None:
    with running("collect", "--shards", "2", cwd=deployment.cwd, **deployment.settings) as group:
        for _ in range(4):
            pid = group.wait_for("shard_started", shard=SECOND)["pid"]
            os.kill(pid, signal.SIGKILL)
        assert group.wait_for("restarts_exhausted")["actor"] == SECOND
        assert group.finish().exit_code == 70
    assert group.all("shard_stopped")[-1]["shard"] == FIRST


def test_a_setting_that_is_wrong_for_all_ends_all_with_2(deployment: Deployment) -> None:
    wrong = deployment.settings | {
        "DATABASE_URL": deployment.settings["DATABASE_URL"] + "-of-nobody"
    }
    ended = run_to_end("collect", "--shards", "2", cwd=deployment.cwd, **wrong)
    assert ended.exit_code == 2
    assert "DATABASE_URL" in ended.stderr


def test_another_number_of_shards_goes_on_where_the_last_were(deployment: Deployment) -> None:
    with deployment.event_load():
        for old, count in ((None, 1), (1, 2), (2, 3), (3, 1)):
            with running(
                "collect", "--shards", str(count), cwd=deployment.cwd, **deployment.settings
            ) as program:
                if old:
                    line = program.wait_for("sessions_reshared")
                    assert (line["old_shards"], line["sessions"]) == (old, 50)
                program.wait_for("checkpoint_committed")
                for _ in range(2 * count):
                    program.wait_for("batch_written")
                if count > 1:  # they stop at different moments
                    program.kill()
                else:
                    terminate(program)
    assert deployment.client.keys("conductor:checkpoint*:*-of-*") == []
    deployment.assert_rows_are_those_of_a_replay()


def test_the_dashboard_beside_shards_is_ready_when_each_has_an_owner(
    deployment: Deployment,
) -> None:
    with running("run", "--shards", "2", cwd=deployment.cwd, **deployment.settings) as group:
        address = group.wait_for("dashboard_started")["address"]
        said = {shard: f"collector: nobody has shard {shard}" for shard in (FIRST, SECOND)}
        at_first = {*said.values(), "redis: updates can't be heard"}
        with httpx.Client(base_url=address) as client:

            def reasons() -> list[str]:
                ready = client.get("ready")
                return ready.json()["reasons"] if ready.status_code == 503 else []

            def has_only_reasons_of_a_start() -> bool:
                found = reasons()
                assert set(found) <= at_first
                return bool(found)

            wait_until(lambda: not has_only_reasons_of_a_start())
            assert client.get("health").json()["collector"] == "running"
            os.kill(pids(group)[SECOND], signal.SIGSTOP)
            wait_until(lambda: reasons() == [said[SECOND]])
            assert client.get("health").json()["collector"] == "stalled"
            os.kill(pids(group)[SECOND], signal.SIGCONT)
            wait_until(lambda: not reasons())
        assert group.all("shard_stopped") == []
        terminate(group)


def test_collectors_of_another_number_are_refused_while_there_are_some(
    deployment: Deployment,
) -> None:
    with running("collect", "--shards", "2", cwd=deployment.cwd, **deployment.settings) as group:
        wait_for_both(group, "checkpoint_committed")
        wanted = [{"CONDUCTOR_SHARDS": "3"}, {"CONDUCTOR_SHARD": "0/3"}, dict[str, str]()]

        def collected(variables: dict[str, str]) -> Completed:
            return run_to_end("collect", cwd=deployment.cwd, **deployment.settings | variables)

        with ThreadPoolExecutor() as pool:  # each waits for 10 s
            for ended in pool.map(collected, wanted):
                assert ended.exit_code == 2
                assert "are shared by 2" in ended.stderr
        terminate(group)
    assert len(group.all("shard_started")) == 2
    ended = run_to_end("reshard", "--shards", "3", cwd=deployment.cwd, **deployment.settings)
    assert ended.exit_code == 0, ended.stderr
    assert deployment.client.get("conductor:shards") == b"3"


def test_the_first_to_share_waits_for_no_collector_that_has_all(deployment: Deployment) -> None:
    with deployment.running() as alone:
        alone.wait_for("checkpoint_committed")
        ended = run_to_end("collect", "--shards", "2", cwd=deployment.cwd, **deployment.settings)
        assert (ended.exit_code, "are shared by 1" in ended.stderr) == (2, True)
        terminate(alone)
