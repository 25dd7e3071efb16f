"""The coordinator: creates hosts and the splitter, and moves partitions until shares are equal.

It has no state of its own that matters: a new one adopts the actors that are alive and asks what
they run. While the engine or the coordinator is away, hosts go on, and nothing moves.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, NamedTuple

from conductor_actors.cluster.actor_names import HOST_PREFIX, SPLITTER_PREFIX
from conductor_actors.cluster.host_messages import (
    Engine,
    EngineView,
    HostReport,
    SplitterReport,
)
from conductor_actors.cluster.host_scaling import HostScaling
from conductor_actors.cluster.host_table import HostTable
from conductor_actors.cluster.living_actors import VIEW_MAX_AGE_S
from conductor_actors.cluster.partition_history import PartitionHistory
from conductor_actors.cluster.splitter_keeper import SplitterKeeper
from conductor_actors.domain.partitions.balance import plan_moves
from conductor_actors.log_events import emit
from conductor_actors.log_events.cluster_events import HostLost
from conductor_actors.ports import Clock
from conductor_actors.settings.cluster import ClusterSettings
from conductor_actors.wire.cluster_status import ClusterHost, ClusterNode, ClusterStatus

STATUS_INTERVAL_S: Final = 1.0
IDLE_STEP_S: Final = 0.25
BUSY_STEP_S: Final = 0.1  # while something moves: each move waits for several steps
FROZEN_S: Final = 2.0  # between steps: this process stood still, so nobody else was silent
OWNED: Final = frozenset(("running", "stalled", "draining"))  # states of a partition with an owner


class Progress(NamedTuple):
    """How far the cluster has come: what lacks an owner, what it waits for, and why parts fail."""

    without_owner: Sequence[int]
    waits_for: str
    problems: Sequence[str]

    @property
    def is_complete(self) -> bool:
        """Whether every session is scored."""
        return not (self.without_owner or self.waits_for)


class Coordinator:
    """Call `step` several times a second, from one thread. No method waits."""

    def __init__(
        self,
        settings: ClusterSettings,
        engine: Engine,
        publish: Callable[[ClusterStatus], None],
        clock: Clock = time.monotonic,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._publish = publish
        self._clock = clock
        self._hosts = HostTable()
        self._history = PartitionHistory(settings.partitions, clock)
        self._splitter = SplitterKeeper(engine, clock)
        self._scaling = HostScaling(engine, self._hosts, settings.host_rules(), clock)
        self._published: ClusterStatus | None = None
        self._published_s = self._stepped_s = float("-inf")
        self._is_down = False
        self.lost_hosts = 0

    def step(self) -> None:
        """Do what is due."""
        if self._clock() - self._stepped_s > FROZEN_S:
            self._hosts.forgive(self._clock())
            self._splitter.forgive()
        self._stepped_s = self._clock()
        view = self._engine.view()
        self._receive()
        self._follow(view)
        if self._clock() - view.at_s <= VIEW_MAX_AGE_S and self._hosts.are_known():
            if not self._is_down:
                self._scaling.follow(view.nodes)
                self._keep_splitter(view)
            self._move()
        self._call()
        is_known = view.nodes and self._hosts.are_known()  # else nothing would seem to run
        if is_known and self._clock() - self._published_s >= STATUS_INTERVAL_S:
            self._published_s = self._clock()
            self._published = self.status()
            self._publish(self._published)

    def interval_s(self) -> float:
        """Return when the next step is due."""
        is_busy = self._is_down or bool(self._without_owner())
        return BUSY_STEP_S if is_busy else IDLE_STEP_S

    def has_no_node(self) -> bool:
        """Return whether the engine says that no node is alive."""
        view = self._engine.view()
        return view.at_s > float("-inf") and not view.nodes

    def leave(self, node: str) -> int:
        """Empty a node; return how many partitions and splitters have not left it for another.

        There are none once the published status says so, too.
        """
        hosts = self._hosts.on_node(node)
        for host in hosts:
            host.leave("node")
        left = sum(len(load.runs) + len(load.drains) for load in (host.load() for host in hosts))
        report = self._splitter.report
        left += self._history.under_way(())
        left += bool(hosts) and report is not None and report.node == node
        return max(left, self._shows_partitions_on(node))

    def drain(self) -> int:
        """Drain everything; return how many partitions and splitters are left."""
        self._is_down = True
        for host in self._hosts.hosts.values():
            host.leave("node")
        self._splitter.drain()
        left = sum(len(load.runs) + len(load.drains) for load in self._hosts.loads().values())
        return left + (not self._splitter.has_ended)

    def kill_all(self) -> None:
        """Kill every host and splitter."""
        for name in [*self._hosts.hosts, self._splitter.name]:
            if name:
                self._engine.kill(name)

    def progress(self) -> Progress:
        """Return how far the cluster has come."""
        problems = {*self._history.problems(), self._splitter.problem} - {""}
        return Progress(self._without_owner(), self._waits_for(), sorted(problems))

    def status(self) -> ClusterStatus:
        """Return the status of this moment."""
        nodes, leaving = self._engine.view().nodes, self._hosts.leaving_nodes()
        return ClusterStatus(
            at_ms=int(time.time() * 1000),
            partitions=self._settings.partitions,
            nodes=[
                ClusterNode(
                    node.id,
                    node.address,
                    node.cpus,
                    len(self._hosts.on_node(node.id)),
                    node.id in leaving,
                )
                for node in nodes
            ],
            hosts=list(self._host_statuses()),
            without_owner=self._without_owner(),
            splitter=self._splitter.status(),
            moves=self._history.moves(),
        )

    def _shows_partitions_on(self, node: str) -> bool:
        hosts = self._published.hosts if self._published else ()
        return any(host.node == node and host.partitions for host in hosts)

    def _receive(self) -> None:
        for name, report, is_dead in self._engine.replies():
            if name == self._splitter.name:
                found = report if isinstance(report, SplitterReport) else None
                self._splitter.receive(found, is_dead=is_dead)
            elif is_dead and name in self._hosts.hosts:
                self._lose(name)
            elif name in self._hosts.hosts:
                self._receive_host(name, report if isinstance(report, HostReport) else None)

    def _receive_host(self, name: str, report: HostReport | None) -> None:
        self._hosts.hosts[name].receive(report, self._clock())
        for figures in report.partitions if report else ():
            self._history.record(name, figures)

    def _follow(self, view: EngineView) -> None:
        """Bring hosts and splitter in line with what the engine says is alive."""
        if view.at_s == float("-inf"):
            return
        hosts = {name for name in view.names if name.startswith(HOST_PREFIX)}
        changes = self._hosts.follow(view, hosts, self._clock())
        for name, partitions in changes.died:
            self._record_loss(name, partitions)
        if self._clock() - view.at_s <= VIEW_MAX_AGE_S:
            for name in changes.silent:
                self._engine.kill(name)
                self._lose(name)
        splitters = {name for name in view.names if name.startswith(SPLITTER_PREFIX)}
        self._splitter.follow(view, splitters)

    def _lose(self, name: str) -> None:
        self._record_loss(name, self._hosts.remove(name))

    def _record_loss(self, name: str, partitions: Collection[int]) -> None:
        self.lost_hosts += 1
        emit(HostLost(host=name, partitions=len(partitions)))
        for number in partitions:
            self._history.depart(number, "")

    def _keep_splitter(self, view: EngineView) -> None:
        leaving = self._hosts.leaving_nodes()
        report = self._splitter.report
        if report is not None and report.node in leaving:
            self._splitter.drain()
        self._splitter.keep([node for node in view.nodes if node.id not in leaving])

    def _move(self) -> None:
        """Start orphans and drain what is to move, once there are hosts to choose from."""
        loads = self._hosts.loads()
        is_new = not any(load.runs or load.drains for load in loads.values())
        if is_new and self._hosts.are_starting(self._clock()):
            return
        drains = {number for load in loads.values() for number in load.drains}
        plan = plan_moves(
            self._settings.partitions,
            loads,
            moves=self._history.under_way(drains),
            paused=self._history.paused(),
            avoided=self._history.avoided(),
        )
        for number, name in plan.starts:
            self._hosts.hosts[name].start(number)
        for number, name in plan.drains:
            self._hosts.hosts[name].drain(number)
            self._history.depart(number, name)
        self._scaling.remove_empty()

    def _call(self) -> None:
        for name, host in self._hosts.hosts.items():
            if not host.is_called:
                self._engine.send(name, host.next_command())
        self._splitter.call()

    def _waits_for(self) -> str:
        if not any(node.cpus for node in self._engine.view().nodes):
            return "a node with a CPU"
        splitter = self._splitter.status()
        if splitter is not None and splitter.state == "standby":
            return "another collector to end, or its lease to expire"
        if splitter is None or splitter.state != "running":
            return "the splitter"
        return ""

    def _without_owner(self) -> Sequence[int]:
        running = {each.number for _, each in self._hosts.figures() if each.state in OWNED}
        return sorted(set(range(self._settings.partitions)) - running)

    def _host_statuses(self) -> Iterator[ClusterHost]:
        for name, host in sorted(self._hosts.hosts.items()):
            if host.report is not None:
                figures = host.figures()
                lags_s = [each.lag_s for each in figures if each.lag_s is not None]
                yield ClusterHost(
                    name,
                    host.node,
                    sorted(each.number for each in figures),
                    sum(each.sessions for each in figures),
                    host.report.events_per_s,
                    max(lags_s, default=None),
                    host.report.cpu,
                    host.report.memory_bytes,
                    bool(host.leaving),
                )
