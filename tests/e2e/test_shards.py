"""Several collectors share the sessions: their rows are those of one, whatever happens to them."""

import os
import select
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx

from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.shards import owner_of
from tests.e2e.test_takeovers import Plant, plant, stop
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

__all__ = ["plant"]

FIRST, SECOND = "0/2", "1/2"


def both(program: Program, event: str) -> None:
    """Wait until both shards have said something, in any order."""
    said = program.wait_for(event)["shard"]
    program.wait_for(event, shard=SECOND if said == FIRST else FIRST)


def pids(program: Program) -> dict[str, int]:
    return {line["shard"]: line["pid"] for line in program.all("shard_started")}


def must_have_the_rows_of_a_replay(plant: Plant) -> None:
    """Compare each shard's rows as far as it came: they need not stop at the same tick."""
    rows = select_rows(plant.settings["DATABASE_URL"])
    again = replay_rows(plant.settings["REDIS_URL"], plant.cwd, **plant.settings)
    for shard in range(2):
        assert assert_same_rows(of(shard, rows), of(shard, again))


def of(shard: int, rows: list[Row]) -> list[Row]:
    return [row for row in rows if owner_of(SessionKey(row[1], row[2]), 2) == shard]


def ended(pid: int) -> None:
    """Wait for the end of a process that is not a child."""
    with suppress(ProcessLookupError):
        watched = os.pidfd_open(pid)
        try:
            assert select.select([watched], [], [], 20.0)[0]
        finally:
            os.close(watched)


def test_two_shards_have_the_rows_of_a_replay(plant: Plant) -> None:
    with (
        plant.load(),
        running("collect", "--shards", "2", cwd=plant.cwd, **plant.settings) as group,
    ):
        both(group, "service_started")
        for _ in range(3):
            both(group, "batch_written")
        stop(group)
    assert {line["shard"] for line in group.all("service_stopped")} == {FIRST, SECOND}
    must_have_the_rows_of_a_replay(plant)


def test_a_shard_that_is_killed_comes_back_and_the_other_goes_on(plant: Plant) -> None:
    with (
        plant.load(),
        running("collect", "--shards", "2", cwd=plant.cwd, **plant.settings) as group,
    ):
        both(group, "checkpoint_committed")
        os.kill(pids(group)[FIRST], signal.SIGKILL)
        assert group.wait_for("shard_stopped", shard=FIRST)["exit_code"] == -signal.SIGKILL
        group.wait_for("batch_written", shard=SECOND)
        group.wait_for("checkpoint_loaded", shard=FIRST)
        group.wait_for("batch_written", shard=FIRST)
        stop(group)
    assert [line["shard"] for line in group.all("checkpoint_loaded")] == [FIRST]
    must_have_the_rows_of_a_replay(plant)


def test_no_shard_outlives_a_parent_that_is_killed(plant: Plant) -> None:
    with running("collect", "--shards", "2", cwd=plant.cwd, **plant.settings) as group:
        both(group, "service_started")
        children = pids(group)
        group.kill()  # and its output is read to the end: of every process that writes to it
        for pid in children.values():
            ended(pid)
    assert not plant.client.exists("conductor:owner:0-of-2", "conductor:owner:1-of-2")


def test_what_is_no_event_is_counted_once(plant: Plant) -> None:
    with running("collect", "--shards", "2", cwd=plant.cwd, **plant.settings) as group:
        both(group, "service_started")
        for body in (b"no json", b'{"sessionId":"room"}', b'{"sessionId":"hall"}', b"\xff", b"{}"):
            plant.client.xadd(CHAT, {"data": body})
        plant.client.xadd("sync-events", {"data": b'{"resource":"polls","action":"x","payload":1}'})
        plant.react()
        group.wait_for("batch_written")
        stop(group)
    assert plant.client.xlen("conductor:dead-letters") == 5
    assert sum(line["events"] for line in group.all("events_invalid")) == 5
    routed = group.all("events_routed")
    assert sum(line["skipped"] for line in routed) == sum(line["events"] for line in routed) == 1


def test_a_stop_while_the_shards_start_drains_them(plant: Plant) -> None:
    with running("collect", "--shards", "2", cwd=plant.cwd, **plant.settings) as group:
        group.wait_for("shard_started")
        stop(group)
    assert {line["exit_code"] for line in group.all("shard_stopped")} == {0}
    assert group.all("shard_killed") == []


def test_a_shard_that_dies_too_often_ends_all(plant: Plant) -> None:
    with running("collect", "--shards", "2", cwd=plant.cwd, **plant.settings) as group:
        for _ in range(4):
            pid = group.wait_for("shard_started", shard=SECOND)["pid"]
            os.kill(pid, signal.SIGKILL)
        assert group.wait_for("restarts_exhausted")["actor"] == SECOND
        assert group.finish().exit_code == 70
    assert group.all("shard_stopped")[-1]["shard"] == FIRST


def test_a_setting_that_is_wrong_for_all_ends_all_with_2(plant: Plant) -> None:
    wrong = plant.settings | {"DATABASE_URL": plant.settings["DATABASE_URL"] + "-of-nobody"}
    ended = run_to_end("collect", "--shards", "2", cwd=plant.cwd, **wrong)
    assert ended.exit_code == 2
    assert "DATABASE_URL" in ended.stderr


def test_another_number_of_shards_goes_on_where_the_last_were(plant: Plant) -> None:
    with plant.load():
        for old, count in ((None, 1), (1, 2), (2, 3), (3, 1)):
            with running(
                "collect", "--shards", str(count), cwd=plant.cwd, **plant.settings
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
                    stop(program)
    assert plant.client.keys("conductor:checkpoint*:*-of-*") == []
    plant.must_have_the_rows_of_a_replay()


def test_the_dashboard_beside_shards_is_ready_when_each_has_an_owner(plant: Plant) -> None:
    with running("run", "--shards", "2", cwd=plant.cwd, **plant.settings) as group:
        address = group.wait_for("dashboard_started")["address"]
        said = {shard: f"collector: nobody has shard {shard}" for shard in (FIRST, SECOND)}
        at_first = {*said.values(), "redis: updates can't be heard"}
        while (ready := httpx.get(f"{address}ready")).status_code == 503:
            assert set(ready.json()["reasons"]) <= at_first
        assert httpx.get(f"{address}health").json()["collector"] == "running"
        os.kill(pids(group)[SECOND], signal.SIGSTOP)
        while (ready := httpx.get(f"{address}ready")).status_code == 200:
            assert group.all("shard_stopped") == []
        assert ready.json()["reasons"] == [said[SECOND]]
        assert httpx.get(f"{address}health").json()["collector"] == "stalled"
        os.kill(pids(group)[SECOND], signal.SIGCONT)
        while httpx.get(f"{address}ready").status_code == 503:
            assert group.all("shard_stopped") == []
        stop(group)


def test_collectors_of_another_number_are_refused_while_there_are_some(plant: Plant) -> None:
    with running("collect", "--shards", "2", cwd=plant.cwd, **plant.settings) as group:
        both(group, "checkpoint_committed")
        wanted = [{"CONDUCTOR_SHARDS": "3"}, {"CONDUCTOR_SHARD": "0/3"}, dict[str, str]()]

        def collected(variables: dict[str, str]) -> Completed:
            return run_to_end("collect", cwd=plant.cwd, **plant.settings | variables)

        with ThreadPoolExecutor() as pool:  # each waits for 10 s
            for ended in pool.map(collected, wanted):
                assert ended.exit_code == 2
                assert "are shared by 2" in ended.stderr
        stop(group)
    assert len(group.all("shard_started")) == 2
    ended = run_to_end("reshard", "--shards", "3", cwd=plant.cwd, **plant.settings)
    assert ended.exit_code == 0, ended.stderr
    assert plant.client.get("conductor:shards") == b"3"


def test_the_first_to_share_waits_for_no_collector_that_has_all(plant: Plant) -> None:
    with plant.running() as alone:
        alone.wait_for("checkpoint_committed")
        ended = run_to_end("collect", "--shards", "2", cwd=plant.cwd, **plant.settings)
        assert (ended.exit_code, "are shared by 1" in ended.stderr) == (2, True)
        stop(alone)
