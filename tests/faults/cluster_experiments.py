"""The experiments on a cluster of nodes, one after the other on the same one."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.cluster.nodes.testbed import ClusterTestbed
from tests.faults import cluster_faults
from tests.faults.experiments import Experiment

CLUSTER_EXPERIMENTS: Final[Sequence[Experiment[ClusterTestbed]]] = (
    Experiment(
        "node-killed",
        "0 rows missing or different, all live again within 10 s, others 2 ticks late at most",
        partial(cluster_faults.kill_node, times=1),
        partial(cluster_faults.kill_node, times=5),
    ),
    Experiment(
        "splitter-node-killed",
        "0 rows missing or different, all live again within 10 s",
        partial(cluster_faults.kill_splitter_node, times=1),
        partial(cluster_faults.kill_splitter_node, times=5),
    ),
    Experiment(
        "node-suspended",
        "suspended, and woken when others have its sessions: same rows, no update twice",
        partial(cluster_faults.suspend_node, seconds=20.0),
        partial(cluster_faults.suspend_node, seconds=60.0),
    ),
    Experiment(
        "node-joined",
        "balanced within 15 s, ceil(P/n) moves at most, no session more than 4 s late",
        cluster_faults.join_node,
        cluster_faults.join_node,
    ),
    Experiment(
        "node-left",
        "nothing is left there, the others have equal shares, same rows",
        cluster_faults.leave_node,
        cluster_faults.leave_node,
    ),
    Experiment(
        "head-killed",
        "away for 20 s: scoring goes on, nothing moves; then a killed node is replaced",
        partial(cluster_faults.kill_head, seconds=20.0),
        partial(cluster_faults.kill_head, seconds=45.0),
    ),
    Experiment(
        "coordinator-killed",
        "no partition restarts, the next coordinator finds everything as it was",
        partial(cluster_faults.kill_coordinator, times=1),
        partial(cluster_faults.kill_coordinator, times=10),
    ),
)
