"""Several hosts on one machine share the sessions: their rows are those of one collector."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from conductor_actors.domain.partitions.partition import partition_of
from tests.cluster.requirements import require_ray_installed
from tests.e2e.deployment import Deployment
from tests.support.processes import ROOT
from tests.support.programs import (
    Program,
    Row,
    assert_refused,
    assert_same_rows,
    replay_rows,
    running,
    select_rows,
)
from tests.support.server_processes import ExitWatch
from tests.support.waiting import wait_until

PARTITIONS = 8
STARTED_WITHIN_S = 60.0

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def _ray() -> None:
    require_ray_installed()


@contextmanager
def running_hosts(deployment: Deployment, command: str) -> Iterator[Program]:
    """Run two hosts; as users do, for Ray starts processes of its own, which may warn."""
    settings = deployment.settings | {
        "CONDUCTOR_PARTITIONS": str(PARTITIONS),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "default",
    }
    with running(command, "--shards", "2", cwd=deployment.cwd, **settings) as program:
        yield program


def partitions_of(program: Program, event: str) -> set[str]:
    return {line["partition"] for line in program.all(event)}


def hosts_of(program: Program, event: str) -> set[str]:
    return {line["host"] for line in program.all(event)}


def wait_for_all(program: Program, event: str) -> None:
    """Wait until every partition has logged an event."""
    wait_until(lambda: len(partitions_of(program, event)) == PARTITIONS, STARTED_WITHIN_S)


def host_pids(program: Program) -> list[int]:
    return [line["pid"] for line in program.all("host_started")]


def assert_each_partition_has_the_rows_of_a_replay(deployment: Deployment) -> None:
    """Compare the rows of each up to its last tick: partitions may stop at different ones."""
    stored = select_rows(deployment.settings["DATABASE_URL"])
    again = replay_rows(deployment.settings["REDIS_URL"], deployment.cwd, **deployment.settings)
    for number in range(PARTITIONS):
        assert assert_same_rows(rows_of(number, stored), rows_of(number, again))


def rows_of(number: int, rows: list[Row]) -> list[Row]:
    return [row for row in rows if partition_of(row[1], row[2], PARTITIONS) == number]


def drain(program: Program) -> None:
    """Terminate it; it must drain all hosts in time."""
    program.signal(signal.SIGTERM)
    assert program.finish().exit_code == 0
    assert program.all("drain_incomplete") == []
    assert program.all("service_stopped")[-1]["exit_code"] == 0


def test_two_hosts_have_the_rows_of_a_replay_also_after_one_was_killed(
    deployment: Deployment,
) -> None:
    with deployment.event_load(), running_hosts(deployment, "collect") as program:
        wait_for_all(program, "partition_started")
        wait_until(lambda: len(hosts_of(program, "checkpoint_committed")) == 2, STARTED_WITHIN_S)
        program.wait_for("batch_written")
        os.kill(host_pids(program)[0], signal.SIGKILL)
        program.wait_for("host_lost")
        lost = len(program.lines)
        program.wait_for("host_started", STARTED_WITHIN_S)
        program.wait_for("partition_moved", STARTED_WITHIN_S)
        wait_until(
            lambda: any(line["event"] == "batch_written" for line in program.lines[lost:]), 30
        )
        drain(program)
    assert_each_partition_has_the_rows_of_a_replay(deployment)
    assert deployment.client.keys("conductor:owner*") == []


def test_nothing_outlives_a_program_that_is_killed(deployment: Deployment) -> None:
    with running_hosts(deployment, "collect") as program:
        wait_for_all(program, "partition_started")
        processes = psutil.Process(program.pid).children(recursive=True)
        assert len(processes) > 5
        program.kill()
        ExitWatch([each.pid for each in processes]).wait(20.0)


def test_ray_listens_on_this_machine_alone(deployment: Deployment) -> None:
    with running_hosts(deployment, "collect") as program:
        wait_for_all(program, "partition_started")
        addresses = {
            connection.laddr.ip
            for process in psutil.Process(program.pid).children(recursive=True)
            for connection in process.net_connections()
            if connection.status == psutil.CONN_LISTEN
        }
        assert addresses == {"127.0.0.1", "::ffff:127.0.0.1"}
        drain(program)


def test_hosts_that_die_too_often_end_all(deployment: Deployment) -> None:
    with running_hosts(deployment, "collect") as program:
        for _ in range(4):
            os.kill(program.wait_for("host_started", STARTED_WITHIN_S)["pid"], signal.SIGKILL)
        assert program.wait_for("restarts_exhausted", STARTED_WITHIN_S)["actor"] == "host"
        assert program.finish(30.0).exit_code == 70


def test_the_end_of_ray_ends_all(deployment: Deployment) -> None:
    with running_hosts(deployment, "collect") as program:
        wait_for_all(program, "partition_started")
        children = psutil.Process(program.pid).children(recursive=True)
        [raylet] = [each for each in children if each.name() == "raylet"]
        raylet.kill()
        assert program.finish(30.0).exit_code == 70
        ExitWatch([each.pid for each in children]).wait(20.0)


def test_a_setting_that_is_wrong_for_all_ends_all_with_2(deployment: Deployment) -> None:
    deployment.settings["DATABASE_URL"] += "-of-nobody"
    with running_hosts(deployment, "collect") as program:
        ended = program.finish(30.0)
    assert_refused(ended, "DATABASE_URL")


def test_ctrl_c_drains_all(deployment: Deployment) -> None:
    with running_hosts(deployment, "collect") as program:
        wait_for_all(program, "partition_started")
        program.press_ctrl_c()
        assert program.finish().exit_code == 0
        assert len(program.all("partition_ended")) == PARTITIONS
    assert deployment.client.keys("conductor:owner*") == []


def test_a_stop_while_the_hosts_start_ends_all(deployment: Deployment) -> None:
    with running_hosts(deployment, "collect") as program:
        program.wait_for("migration_applied")
        program.signal(signal.SIGTERM)
        assert program.finish(30.0).exit_code == 0


def test_the_dashboard_is_served_beside_hosts(deployment: Deployment) -> None:
    with deployment.event_load(), running_hosts(deployment, "run") as program:
        address = program.wait_for("dashboard_started")["address"]
        wait_for_all(program, "partition_started")
        with httpx.Client(base_url=address) as client:
            wait_until(lambda: len(client.get("api/v1/sessions").json()["sessions"]) > 0, 30)
            wait_until(lambda: client.get("ready").status_code == 200, 30)
        drain(program)
