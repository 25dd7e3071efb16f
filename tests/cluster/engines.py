"""An engine in memory, with hosts that do at once, or at the next call, what they are commanded."""

from collections.abc import Sequence

from conductor_actors.cluster.coordinator import Coordinator
from conductor_actors.cluster.host_messages import (
    ActorCommand,
    ActorReply,
    EngineView,
    HostCommand,
    HostReport,
    LeaveReason,
    Node,
    PartitionFigures,
    SplitterCommand,
    SplitterReport,
)
from conductor_actors.settings.cluster import ClusterSettings
from conductor_actors.wire.cluster_status import ClusterStatus, SplitterState
from tests.support.fakes.fake_clock import FakeClock


class MemoryHost:
    """A host; a partition runs at the call after its start, ends at the call after its drain."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.states: dict[int, str] = {}
        self.leaving: LeaveReason = ""
        self.is_silent = False
        self.cpu = 0.1
        self.refused: dict[int, str] = {}

    def exchange(self, command: HostCommand) -> HostReport:
        ended = [number for number, state in self.states.items() if state == "draining"]
        for number in ended:
            del self.states[number]
        self.states |= dict.fromkeys(self.states.keys() - set(command.drains), "running")
        self.states |= dict.fromkeys(set(command.starts) - self.states.keys(), "starting")
        self.states |= dict.fromkeys(set(command.drains) & self.states.keys(), "draining")
        self.leaving = command.leaving or self.leaving
        failed = [number for number in self.states if number in self.refused]
        figures = [PartitionFigures(number, "ended", exit_code=0) for number in ended]
        figures += [
            PartitionFigures(number, "ended", obstacles=(self.refused[number],), exit_code=2)
            for number in failed
        ]
        for number in failed:
            del self.states[number]
        figures += [PartitionFigures(*each, sessions=10) for each in self.states.items()]
        return HostReport(self.node, 1, figures, self.leaving, self.cpu)


class MemorySplitter:
    def __init__(self, node: str) -> None:
        self.node = node
        self.state: SplitterState = "running"
        self.leaving: LeaveReason = ""
        self.is_silent = False

    def exchange(self, command: SplitterCommand) -> SplitterReport:
        exit_code = 0 if command.is_drained else None
        return SplitterReport(
            self.node, 1, "ended" if command.is_drained else self.state, exit_code=exit_code
        )


class MemoryEngine:
    """An `Engine` whose nodes and actors a test changes."""

    def __init__(self, clock: FakeClock, *nodes: Node) -> None:
        self._clock = clock
        self.nodes = list(nodes)
        self.actors: dict[str, MemoryHost | MemorySplitter] = {}
        self.is_away = False
        self.requested = 0
        self.created: list[str] = []
        self._view = EngineView(float("-inf"), frozenset(), ())
        self._calls: list[tuple[str, ActorCommand]] = []

    def view(self) -> EngineView:
        if not self.is_away:
            self._view = EngineView(self._clock(), frozenset(self.actors), tuple(self.nodes))
        return self._view

    def create_host(self, name: str, node: Node, cpus: float) -> None:
        assert cpus <= 1
        self.created.append(name)
        self.actors[name] = MemoryHost(node.id)

    def create_splitter(self, name: str, node: Node) -> None:
        self.created.append(name)
        self.actors[name] = MemorySplitter(node.id)

    def send(self, name: str, command: ActorCommand) -> None:
        assert name not in {called for called, _ in self._calls}
        self._calls.append((name, command))

    def replies(self) -> Sequence[ActorReply]:
        calls, self._calls = self._calls, []
        return [reply for name, command in calls for reply in self._reply(name, command)]

    def kill(self, name: str) -> None:
        self.actors.pop(name, None)

    def request_cpus(self, count: int) -> None:
        self.requested = count

    def hosts(self) -> dict[str, MemoryHost]:
        return {name: host for name, host in self.actors.items() if isinstance(host, MemoryHost)}

    def splitter(self) -> MemorySplitter:
        [found] = [each for each in self.actors.values() if isinstance(each, MemorySplitter)]
        return found

    def kill_node(self, node: str) -> None:
        self.nodes = [each for each in self.nodes if each.id != node]
        self.actors = {name: each for name, each in self.actors.items() if each.node != node}

    def forget_calls(self) -> None:
        """Forget the calls under way, of a coordinator that has died."""
        self._calls.clear()

    def _reply(self, name: str, command: ActorCommand) -> list[ActorReply]:
        actor = self.actors.get(name)
        if actor is None:
            return [ActorReply(name, None, is_dead=True)]
        if actor.is_silent:
            self._calls.append((name, command))
            return []
        if isinstance(actor, MemoryHost):
            assert isinstance(command, HostCommand)
            return [ActorReply(name, actor.exchange(command))]
        assert isinstance(command, SplitterCommand)
        return [ActorReply(name, actor.exchange(command))]


class MemoryCluster:
    """A coordinator on an engine in memory; a step passes a tenth of a second."""

    def __init__(self, settings: ClusterSettings, *nodes: Node) -> None:
        self.clock = FakeClock()
        self.engine = MemoryEngine(self.clock, *nodes)
        self._settings = settings
        self.statuses: list[ClusterStatus] = []
        self.replace_coordinator()

    def replace_coordinator(self) -> None:
        self.engine.forget_calls()
        self.coordinator = Coordinator(
            self._settings, self.engine, self.statuses.append, self.clock
        )

    def steps(self, seconds: float = 10.0) -> None:
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            self.coordinator.step()

    def shares(self) -> dict[str, int]:
        """Return how many partitions each node's hosts run."""
        shares = {node.id: 0 for node in self.engine.nodes}
        for host in self.engine.hosts().values():
            shares[host.node] += len([each for each in host.states.values() if each == "running"])
        return shares
