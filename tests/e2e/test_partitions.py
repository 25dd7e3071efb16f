"""Partitions in Redis servers of their own: whatever becomes of these, the rows are the same."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import pytest
import redis

from conductor_actors.actors.supervisor import EXIT_FAILED
from conductor_actors.app.split_loop import CHECKPOINT_INTERVAL_S
from conductor_actors.ports import UPDATES
from tests.e2e.deployment import Deployment, terminate
from tests.faults.oracle import difference
from tests.support.processes import PYTHON, environment
from tests.support.programs import Program, replay_rows, select_rows
from tests.support.row_counts import RowCounts
from tests.support.valkey_cluster import ValkeyCluster, valkey_cluster
from tests.support.valkey_servers import valkey_server
from tests.support.waiting import wait_until

PARTITIONS: Final = 6
MODULE: Final = "tests.support.partitions_program"
LIVE_WITHIN_S: Final = 30.0
MIN_ROWS: Final = 200

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def cluster() -> Iterator[ValkeyCluster]:
    with valkey_cluster(has_replicas=True) as cluster:
        yield cluster


@contextmanager
def partitions_program(deployment: Deployment, *urls: str) -> Iterator[Program]:
    """Run the splitter and all partitions, stored in the Redis servers of these URLs."""
    own = {
        "CONDUCTOR_PARTITIONS": str(PARTITIONS),
        "CONDUCTOR_PARTITION_REDIS_URLS": ",".join(urls),
        "CONDUCTOR_TRANSPORT": "streams",
    }
    (stdout, out), (stderr, error) = os.pipe(), os.pipe()
    process = subprocess.Popen(
        [*PYTHON, "-m", MODULE],
        cwd=deployment.cwd,
        env=environment(deployment.settings | own),
        stdout=out,
        stderr=error,
    )
    os.close(out)
    os.close(error)
    program = Program(process, stdout, stderr)
    try:
        yield program
    finally:
        program.kill()


@contextmanager
def recorded_updates(deployment: Deployment) -> Iterator[list[tuple[str, str]]]:
    """Record the session and the time of each update until the block ends."""
    found: list[tuple[str, str]] = []

    def record(message: Any) -> None:
        update = json.loads(message["data"])
        found.append((update["sessionId"], update["timestamp"]))

    with deployment.pubsub() as pubsub:
        pubsub.subscribe(**{UPDATES: record})
        thread = pubsub.run_in_thread(0.1)
        try:
            yield found
        finally:
            thread.stop()
            thread.join()


def require_rows_of_a_replay(deployment: Deployment, program: Program) -> int:
    """Let the program store all, end it, and compare; return the number of rows."""
    expected = replay_rows(deployment.settings["REDIS_URL"], deployment.cwd, **deployment.settings)
    last = expected[-1][0]
    wait_until(lambda: select_rows(deployment.settings["DATABASE_URL"])[-1][0] > last, 30)
    terminate(program)
    stored = [row for row in select_rows(deployment.settings["DATABASE_URL"]) if row[0] <= last]
    found = difference(expected, stored)
    assert found.is_none, found
    return found.rows


def test_on_a_cluster_the_rows_are_those_of_a_replay_whatever_becomes_of_its_nodes(
    deployment: Deployment, cluster: ValkeyCluster
) -> None:
    rows = RowCounts(deployment.settings["DATABASE_URL"], PARTITIONS)
    everyone = range(PARTITIONS)
    with partitions_program(deployment, cluster.url) as program:
        with deployment.event_load():
            rows.wait_for_more(*everyone, within_s=LIVE_WITHIN_S)
            cluster.move_slot("{0}", cluster.another_primary("{0}"))
            rows.wait_for_more(*everyone)
            cluster.fail_over(cluster.primaries[0])
            rows.wait_for_more(*everyone)
            struck = cluster.owner("{1}")
            struck.kill()
            rows.wait_for_more(*everyone)
            struck.start()
            rows.wait_for_more(*everyone)
        assert require_rows_of_a_replay(deployment, program) > MIN_ROWS
        assert not program.all("gap_detected")


def test_while_a_node_without_a_replica_is_away_only_its_partitions_pause(
    deployment: Deployment,
) -> None:
    rows = RowCounts(deployment.settings["DATABASE_URL"], PARTITIONS)
    with (
        valkey_cluster("--appendonly", "yes") as cluster,
        partitions_program(deployment, cluster.url) as program,
    ):
        with deployment.event_load():
            rows.wait_for_more(*range(PARTITIONS), within_s=LIVE_WITHIN_S)
            node = cluster.owner("{1}")
            paused = [n for n in range(PARTITIONS) if cluster.owner(f"{{{n}}}") is node]
            others = sorted({*range(PARTITIONS)} - {*paused})
            node.kill()
            require_pause(rows, paused, others)
            node.start()
            rows.wait_for_more(*range(PARTITIONS))
        assert require_rows_of_a_replay(deployment, program) > MIN_ROWS


def require_pause(rows: RowCounts, paused: list[int], others: list[int]) -> None:
    """Check that these partitions have no new rows while each of the others gets some."""
    rows.wait_for_more(*others)  # those that were on their way are stored now
    before = rows.counts()
    for _ in range(3):
        rows.wait_for_more(*others, within_s=10)
    assert [rows.counts()[each] for each in paused] == [before[each] for each in paused]


def test_a_plain_redis_that_loses_all_it_had_pauses_its_partitions_and_their_rows_are_the_same(
    deployment: Deployment,
) -> None:
    rows = RowCounts(deployment.settings["DATABASE_URL"], PARTITIONS)
    with (
        valkey_server() as first,
        valkey_server() as second,
        partitions_program(deployment, first.url, second.url) as program,
    ):
        with deployment.event_load():
            rows.wait_for_more(*range(PARTITIONS), within_s=LIVE_WITHIN_S)
            second.kill()
            require_pause(rows, [1, 3, 5], [0, 2, 4])
            second.start()
            assert not second.client.keys("conductor:checkpoint*")
            rows.wait_for_more(*range(PARTITIONS))
        assert require_rows_of_a_replay(deployment, program) > MIN_ROWS
        assert {line["partition"] for line in program.all("rewind_requested")} <= {
            f"{number}/{PARTITIONS}" for number in (1, 3, 5)
        }
        assert not program.all("gap_detected")


def test_a_process_that_was_frozen_while_another_took_over_changes_nothing(
    deployment: Deployment,
) -> None:
    rows = RowCounts(deployment.settings["DATABASE_URL"], PARTITIONS)
    with (
        valkey_server() as partitions,
        partitions_program(deployment, partitions.url) as former,
        recorded_updates(deployment) as updates,
        ExitStack() as stack,
    ):
        with deployment.event_load():
            rows.wait_for_more(*range(PARTITIONS), within_s=LIVE_WITHIN_S)
            before = fences(deployment.client)
            assert before == fences(partitions.client)
            owner = stack.enter_context(partitions_program(deployment, partitions.url))
            owner.wait_for("lease_awaited")
            former.signal(signal.SIGSTOP)
            for _ in range(PARTITIONS):
                owner.wait_for("partition_started", LIVE_WITHIN_S)
            after = fences(deployment.client)
            assert after == fences(partitions.client)
            assert all(new > old for new, old in zip(after, before, strict=True))
            former.signal(signal.SIGCONT)
            for _ in range(PARTITIONS):
                former.wait_for("partition_ended", exit_code=EXIT_FAILED)
        former.kill()
        assert require_rows_of_a_replay(deployment, owner) > MIN_ROWS
    assert len(updates) == len(set(updates)) > MIN_ROWS


def fences(client: redis.Redis) -> list[int]:
    """Return the fence token of each partition."""
    keys = [f"conductor:fence:{{{number}}}" for number in range(PARTITIONS)]
    return [int(token) for token in client.mget(keys)]  # type: ignore[arg-type]


def test_while_a_redis_is_full_its_partitions_pause_and_nothing_is_lost(
    deployment: Deployment,
) -> None:
    rows = RowCounts(deployment.settings["DATABASE_URL"], PARTITIONS)
    with (
        valkey_server() as first,
        valkey_server() as second,
        partitions_program(deployment, first.url, second.url) as program,
    ):
        with deployment.event_load():
            rows.wait_for_more(*range(PARTITIONS), within_s=LIVE_WITHIN_S)
            second.client.config_set("maxmemory", "1mb")
            program.wait_for("outage_began", service="redis partitions 1")
            require_pause(rows, [1, 3, 5], [0, 2, 4])
            second.client.config_set("maxmemory", "0")
            rows.wait_for_more(*range(PARTITIONS))
        assert require_rows_of_a_replay(deployment, program) > MIN_ROWS
        assert not program.all("gap_detected")


def test_partitions_whose_redis_lost_all_and_whose_owner_died_begin_again_from_the_streams(
    deployment: Deployment,
) -> None:
    rows = RowCounts(deployment.settings["DATABASE_URL"], PARTITIONS)
    with valkey_server() as first, valkey_server() as second, ExitStack() as stack:
        with deployment.event_load():
            with partitions_program(deployment, first.url, second.url) as former:
                rows.wait_for_more(*range(PARTITIONS), within_s=LIVE_WITHIN_S)
                for _ in range(2 * int(CHECKPOINT_INTERVAL_S)):  # the splitter's first has passed
                    rows.wait_for_more(*range(PARTITIONS))
                former.kill()
            before = fences(deployment.client)
            second.kill()
            second.start()
            program = stack.enter_context(partitions_program(deployment, first.url, second.url))
            rows.wait_for_more(*range(PARTITIONS), within_s=LIVE_WITHIN_S)
        after = fences(deployment.client)
        assert all(new > old for new, old in zip(after, before, strict=True))
        assert require_rows_of_a_replay(deployment, program) > MIN_ROWS
        assert {line["partition"] for line in program.all("rewind_requested")} >= {
            f"{number}/{PARTITIONS}" for number in (1, 3, 5)
        }
        assert not program.all("gap_detected")
