"""Ray's autoscaler starts and ends nodes as the hosts' own figures request."""

from collections.abc import Iterator

import pytest

from tests.cluster.nodes.conftest import require_cluster
from tests.cluster.nodes.testbed import PARTITIONS, ClusterTestbed, new_cluster, now_ms
from tests.faults.report import Report
from tests.faults.samples import pause
from tests.support.waiting import wait_until

SETTINGS = {
    "CONDUCTOR_MIN_HOSTS": "1",
    "CONDUCTOR_MAX_HOSTS": "3",
    "CONDUCTOR_HOST_CPU": "0.2",
}
WITHIN_S = 90.0


@pytest.fixture(scope="module")
def autoscaled() -> Iterator[ClusterTestbed]:
    require_cluster()
    from tests.cluster.nodes.autoscaled_nodes import autoscaling_head  # noqa: PLC0415 - imports Ray

    with new_cluster(lambda folder, storage: autoscaling_head(folder, storage, 3)) as testbed:
        testbed.settings |= SETTINGS
        yield testbed


@pytest.mark.timeout(300)
def test_load_adds_nodes_and_its_end_removes_them(autoscaled: ClusterTestbed) -> None:
    def has_nodes(count: int) -> bool:
        status = autoscaled.status()
        nodes = [node for node in status.nodes if node.hosts and not node.leaving]
        return len(nodes) == count and not status.without_owner

    autoscaled.start()
    autoscaled.succeed("up")
    wait_until(lambda: has_nodes(1), WITHIN_S)
    since_ms, report = now_ms(), Report()
    with autoscaled.load():
        wait_until(lambda: has_nodes(3), WITHIN_S)
        pause(4)
    wait_until(lambda: has_nodes(1), WITHIN_S)
    autoscaled.settle(report, since_ms)
    assert not report.broken, report
    assert autoscaled.owned() == [True] * PARTITIONS
