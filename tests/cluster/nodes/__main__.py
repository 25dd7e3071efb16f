"""Measure what a cluster takes: `python -m tests.cluster.nodes`."""

import sys
from importlib.metadata import distribution
from io import StringIO
from pathlib import Path
from time import monotonic

from conductor_actors.observability import logs
from tests.cluster.nodes.ray_nodes import RayNode
from tests.cluster.nodes.testbed import (
    EVENTS_PER_S,
    ClusterTestbed,
    missing_for_cluster,
    new_cluster,
)
from tests.faults.samples import pause

LOADED_S = 20.0


def main() -> None:
    if missing := missing_for_cluster():
        sys.exit(f"needs {missing}")
    logs.configure(stream=StringIO())  # what our own servers say
    print(f"Ray is installed in {_installed_mb('ray'):.0f} MB, without what it needs")
    with new_cluster() as cluster:
        _measure(cluster)


def _measure(cluster: ClusterTestbed) -> None:
    began_s = monotonic()
    cluster.start()
    _print_since("start of the head", began_s)
    began_s = monotonic()
    cluster.start(2, 3, 4)
    _print_since("start of three nodes at once", began_s)
    _print_memory("head", cluster.head)
    _print_memory("node without a host", cluster.nodes[2])
    print(f"cluster up: {cluster.succeed('up'):.1f} s, again: {cluster.succeed('up'):.1f} s")
    with cluster.load():
        pause(LOADED_S)
        for host in cluster.status().hosts:
            figures = f"{len(host.partitions)} partitions, {host.sessions} sessions"
            figures += f", {host.events_per_s:.0f} events/s, {host.cpu:.2f} of a core"
            print(f"host: {figures}, {host.memory_bytes / 1e6:.0f} MB")
        _print_memory(f"head, at {EVENTS_PER_S} events/s", cluster.head)
        for number, node in cluster.nodes.items():
            if node.is_running:
                has = " with the splitter" * (number == cluster.splitter_node())
                _print_memory(f"node{has}", node)
    print(f"cluster down: {cluster.succeed('down'):.1f} s")


def _print_since(what: str, began_s: float) -> None:
    print(f"{what}: {monotonic() - began_s:.1f} s", flush=True)


def _print_memory(what: str, node: RayNode) -> None:
    found = node.memory_mb()
    parts = ", ".join(f"{name} {mb:.0f}" for name, mb in found.items())
    print(f"{what}: {sum(found.values()):.0f} MB: {parts}", flush=True)


def _installed_mb(name: str) -> float:
    found = [Path(str(file.locate())) for file in distribution(name).files or []]
    return sum(path.stat().st_size for path in found if path.exists()) / 1e6


if __name__ == "__main__":
    main()
