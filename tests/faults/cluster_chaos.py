"""Faults of a cluster one after the other at random moments, before it has got over the last."""

from random import Random
from typing import Final

from tests.cluster.nodes.lateness import published_twice, timed
from tests.cluster.nodes.testbed import ClusterTestbed, now_ms
from tests.faults.cluster_faults import COORDINATOR, HOST, SPLITTER
from tests.faults.report import Report
from tests.faults.samples import pause

SEED: Final = 4
NODES: Final = (2, 3, 4)
LONGEST_PAUSE_S: Final = 6.0
SUSPENDED_S: Final = (1.0, 2.5, 8.0)  # shorter and longer than a node may be silent


def break_at_random(cluster: ClusterTestbed, report: Report, times: int, seed: int = SEED) -> None:
    """Kill or suspend something so many times, then compare the rows."""
    chance = Random(seed)
    cluster.ensure(*NODES)
    since_ms, done = now_ms(), []
    with cluster.load() as samples:
        for _ in range(times):
            pause(chance.uniform(0.0, LONGEST_PAUSE_S))
            done.append(_break_something(cluster, chance))
        cluster.ensure(*NODES)
        pause(LONGEST_PAUSE_S)
        seen = timed(samples)
    report.record(faults=" ".join(done), updates=len(seen), twice=len(published_twice(seen)))
    cluster.settle(report, since_ms)


def _break_something(cluster: ClusterTestbed, chance: Random) -> str:
    """Do one of the faults; return its name. What was killed before is started again."""
    cluster.start(*NODES)
    node = cluster.nodes[chance.choice(NODES)]
    fault = chance.choice((HOST, SPLITTER, COORDINATOR, "node", "head", "suspend"))
    if fault == "node":
        node.kill()
    elif fault == "head":
        cluster.head.kill()
    elif fault == "suspend":
        node.suspend()
        pause(chance.choice(SUSPENDED_S))
        node.resume()
    else:
        cluster.kill_actor(fault, most=1)
    return fault.lower()
