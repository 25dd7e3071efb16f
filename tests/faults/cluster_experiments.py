"""The experiments on a cluster of nodes, one after the other on the same one."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.cluster.nodes.testbed import ClusterTestbed
from tests.faults import cluster_chaos, cluster_faults
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
        "hosts-and-splitter-killed",
        "their nodes live on: 0 rows missing or different, all live again within 10 s",
        partial(cluster_faults.kill_processes, times=1),
        partial(cluster_faults.kill_processes, times=10),
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
        "cluster-broken-at-random",
        "hosts, splitter, coordinator, nodes, head killed, nodes suspended: same rows",
        partial(cluster_chaos.break_at_random, times=4),
        partial(cluster_chaos.break_at_random, times=40),
    ),
    Experiment(
        "coordinator-killed",
        "no partition restarts, the next coordinator finds everything as it was",
        partial(cluster_faults.kill_coordinator, times=1),
        partial(cluster_faults.kill_coordinator, times=10),
    ),
)

# A minute each, so they do not run every day.
LONG_CLUSTER_EXPERIMENTS: Final[Sequence[Experiment[ClusterTestbed]]] = (
    Experiment(
        "node-killed-without-head",
        "others are unharmed; once the head is back, all are live again within 10 s",
        cluster_faults.kill_node_without_head,
        cluster_faults.kill_node_without_head,
    ),
    Experiment(
        "head-lost",
        "its state, too: `cluster up` on new nodes goes on from the checkpoints, same rows",
        cluster_faults.lose_head,
        cluster_faults.lose_head,
    ),
)
