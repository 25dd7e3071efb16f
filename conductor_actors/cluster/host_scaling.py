"""How many hosts there are: as many as nodes have CPUs, or, with autoscaling, as are needed."""

import time
from collections.abc import Mapping, Sequence
from typing import Final

from conductor_actors.cluster.actor_names import new_host_name
from conductor_actors.cluster.host_messages import Engine, Node
from conductor_actors.cluster.host_table import HostTable
from conductor_actors.domain.partitions.host_count import (
    HostBounds,
    HostUse,
    hosts_to_empty,
    needed_hosts,
    nodes_to_fill,
)
from conductor_actors.log_events import emit
from conductor_actors.log_events.cluster_events import HostsRequested
from conductor_actors.ports import Clock
from conductor_actors.settings.cluster import HostRules

SHRINK_AFTER_S: Final = 30.0  # so long fewer hosts must do
REQUEST_INTERVAL_S: Final = 10.0  # a head that restarted has forgotten what was requested


class HostScaling:
    """Creates hosts where they are missing, and empties those that are too many."""

    def __init__(
        self, engine: Engine, table: HostTable, rules: HostRules, clock: Clock = time.monotonic
    ) -> None:
        self._engine = engine
        self._table = table
        self._rules = rules
        self._clock = clock
        self._wanted = 0
        self._requested_s = float("-inf")
        self._enough_since_s = 0.0  # since when fewer would do

    def follow(self, nodes: Sequence[Node]) -> None:
        """Create hosts on these nodes, which are alive; with autoscaling request or empty some."""
        capacity = {node.id: self._capacity(node) for node in nodes}
        for leaving in self._table.leaving_nodes():
            capacity.pop(leaving, None)
        if self._rules.most:
            self._scale()
            wanted = self._wanted
        else:
            wanted = sum(capacity.values())
        self._create(wanted, {node.id: node for node in nodes}, capacity)

    def remove_empty(self) -> None:
        """Kill the hosts that were too many and have been emptied."""
        for name, host in list(self._table.hosts.items()):
            if host.leaving == "surplus" and host.report and not any(host.load()[:2]):
                self._engine.kill(name)
                self._table.remove(name)

    def _capacity(self, node: Node) -> int:
        return self._rules.per_node if self._rules.per_node and node.cpus else int(node.cpus)

    def _create(self, wanted: int, nodes: Mapping[str, Node], capacity: Mapping[str, int]) -> None:
        hosts = {node: len(self._table.on_node(node)) for node in capacity}
        for node in nodes_to_fill(wanted, capacity, hosts):
            name = new_host_name()
            self._table.add(name, node, self._clock())
            self._engine.create_host(name, nodes[node], min(1.0, nodes[node].cpus / capacity[node]))

    def _scale(self) -> None:
        """Grow at once, shrink once fewer hosts would have done for a while."""
        stays = {name: host for name, host in self._table.hosts.items() if not host.leaving}
        reports = [host.report for host in stays.values() if host.report]
        uses = [HostUse(each.cpu, sum(one.sessions for one in each.partitions)) for each in reports]
        bounds = HostBounds(self._rules.least, self._rules.most, self._rules.cpu)
        needed, now_s = needed_hosts(uses, bounds), self._clock()
        if needed >= max(self._wanted, len(stays)):
            self._enough_since_s = now_s
        if needed > self._wanted or now_s - self._enough_since_s > SHRINK_AFTER_S:
            self._request(needed)
            for name in hosts_to_empty(needed, {name: host.node for name, host in stays.items()}):
                stays[name].leave("surplus")
        elif now_s - self._requested_s > REQUEST_INTERVAL_S:
            self._request(self._wanted)

    def _request(self, hosts: int) -> None:
        if hosts != self._wanted:
            emit(HostsRequested(hosts=hosts, before=self._wanted))
        self._wanted, self._requested_s = hosts, self._clock()
        self._engine.request_cpus(hosts)
