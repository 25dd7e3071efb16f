"""How many hosts a cluster needs, by what they use; and where hosts are added and removed."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Final, NamedTuple

SESSIONS_PER_HOST: Final = 50_000


class HostUse(NamedTuple):
    """What a host uses: the share of a core, and how many sessions it has."""

    cpu: float
    sessions: int


class HostBounds(NamedTuple):
    """The fewest and the most hosts, and the share of a core that each may use."""

    least: int
    most: int
    cpu: float


def needed_hosts(uses: Sequence[HostUse], bounds: HostBounds) -> int:
    """Return the number of hosts that would use no more than allowed, within the bounds."""
    by_cpu = sum(use.cpu for use in uses) / bounds.cpu
    by_sessions = sum(use.sessions for use in uses) / SESSIONS_PER_HOST
    needed = ceil(round(max(by_cpu, by_sessions), 6))
    return max(bounds.least, min(bounds.most, needed))


def nodes_to_fill(
    wanted: int, capacity: Mapping[str, int], hosts: Mapping[str, int]
) -> Sequence[str]:
    """Return the node of each host that is missing, so that there are `wanted` if nodes suffice.

    `capacity` is how many hosts a node may have, `hosts` how many it has. The fullest nodes are
    filled first, so that the engine can remove the others.
    """
    missing = max(0, wanted - sum(hosts.values()))
    by_use = sorted(capacity, key=lambda node: (-hosts.get(node, 0), node))
    places = [node for node in by_use for _ in range(capacity[node] - hosts.get(node, 0))]
    return places[:missing]


def hosts_to_empty(wanted: int, nodes: Mapping[str, str]) -> Sequence[str]:
    """Return the hosts to remove, so that `wanted` are left: those on the nodes with the fewest.

    `nodes` has the node of each host that is not leaving.
    """
    on_node: dict[str, int] = {}
    for node in nodes.values():
        on_node[node] = on_node.get(node, 0) + 1
    by_use = sorted(nodes, key=lambda host: (on_node[nodes[host]], nodes[host], host))
    return by_use[: max(0, len(nodes) - wanted)]
