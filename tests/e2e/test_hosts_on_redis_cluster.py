"""Hosts share partitions that a Redis Cluster stores: their rows are those of one collector."""

import os
import signal

import pytest

from tests.cluster.requirements import require_ray_installed
from tests.e2e.deployment import Deployment
from tests.e2e.test_hosts import (
    PARTITIONS,
    STARTED_WITHIN_S,
    assert_each_partition_has_the_rows_of_a_replay,
    drain,
    host_pids,
    running_hosts,
)
from tests.support.row_counts import RowCounts
from tests.support.valkey_cluster import call, valkey_cluster

pytestmark = pytest.mark.timeout(300)


def test_hosts_move_partitions_on_a_cluster_of_which_a_slot_moves_and_a_node_is_replaced(
    deployment: Deployment,
) -> None:
    require_ray_installed()
    rows = RowCounts(deployment.settings["DATABASE_URL"], PARTITIONS)
    with valkey_cluster(has_replicas=True) as cluster:
        own = {"CONDUCTOR_PARTITION_REDIS_URLS": cluster.url}
        deployment = deployment._replace(settings=deployment.settings | own)
        with deployment.event_load(), running_hosts(deployment, "collect") as program:
            rows.wait_for_more(*range(PARTITIONS), within_s=STARTED_WITHIN_S)
            stored = [call(node, "DBSIZE") for node in cluster.primaries]
            assert sum(map(bool, stored)) > 1, stored
            cluster.move_slot("{0}", cluster.another_primary("{0}"))
            os.kill(host_pids(program)[0], signal.SIGKILL)
            program.wait_for("host_lost")
            program.wait_for("host_started", STARTED_WITHIN_S)
            program.wait_for("partition_moved", STARTED_WITHIN_S)
            cluster.owner("{1}").kill()
            rows.wait_for_more(*range(PARTITIONS), within_s=STARTED_WITHIN_S)
            drain(program)
        assert_each_partition_has_the_rows_of_a_replay(deployment)
        assert not program.all("gap_detected")
        for number in range(PARTITIONS):
            key = f"conductor:owner:{{{number}}}"
            assert not call(cluster.owner(key), "EXISTS", key)
