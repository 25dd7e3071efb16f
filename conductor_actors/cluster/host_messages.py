"""What the coordinator and its hosts send each other. One call of a host is both ways."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

from conductor_actors.app.startup import ServerUrls
from conductor_actors.settings import Settings
from conductor_actors.wire.cluster_status import SplitterState

# Why a host is emptied: its node goes away, or there are more hosts than needed.
LeaveReason: TypeAlias = Literal["", "node", "surplus"]
MayBreakOwner: TypeAlias = Callable[[str], bool]


class ServiceParameters(NamedTuple):
    """What a host or splitter needs to run. It has passwords: never log or show it.

    It travels as the argument of an actor, which the state API of Ray and its logs do not show, as
    they show environment variables of actors. Ray's head holds it in memory, and in its Redis if it
    has one, to be able to restart an actor. `log_socket` is where log lines are written instead of
    stdout, if not empty.
    """

    settings: Settings
    urls: ServerUrls
    log_socket: str = ""


class HostCommand(NamedTuple):
    """The partitions to start and to drain, and whether the host is leaving (None: as before)."""

    starts: Sequence[int] = ()
    drains: Sequence[int] = ()
    leaving: LeaveReason | None = None


class PartitionFigures(NamedTuple):
    """A partition that a host has, or has had since its last report.

    Once it has ended, `exit_code` is 0 if it was drained; else `obstacles` say why it failed.
    """

    number: int
    state: str
    sessions: int = 0
    lag_s: float | None = None
    obstacles: Sequence[str] = ()
    exit_code: int | None = None


class HostReport(NamedTuple):
    """The state of a host after a command. `cpu` is the share of a core that it used."""

    node: str
    pid: int
    partitions: Sequence[PartitionFigures]
    leaving: LeaveReason
    cpu: float = 0.0
    memory_bytes: int = 0
    events_per_s: float = 0.0


class SplitterCommand(NamedTuple):
    """Whether the splitter shall drain and end."""

    is_drained: bool = False


class SplitterReport(NamedTuple):
    """The state of the splitter. `problem` is what the operator must change, if it has ended so."""

    node: str
    pid: int
    state: SplitterState
    lag_s: float | None = None
    events_per_s: float = 0.0
    exit_code: int | None = None
    problem: str = ""


Report: TypeAlias = HostReport | SplitterReport
ActorCommand: TypeAlias = HostCommand | SplitterCommand


class Node(NamedTuple):
    """A node of the cluster that is alive."""

    id: str
    address: str
    cpus: float


class EngineView(NamedTuple):
    """The actors and nodes that are alive, as the engine knew at `at_s` of the monotonic clock."""

    at_s: float
    names: frozenset[str]
    nodes: Sequence[Node]


class ActorReply(NamedTuple):
    """The reply of an actor; None if the call failed, `is_dead` if no call can succeed."""

    name: str
    report: Report | None
    is_dead: bool = False


class Engine(Protocol):
    """Starts actors on nodes, calls them, and knows which are alive. No method waits."""

    def view(self) -> EngineView:
        """Return what was alive when the engine last answered."""

    def create_host(self, name: str, node: Node, cpus: float) -> None:
        """Create a host on a node; it takes this part of the node's CPUs."""

    def create_splitter(self, name: str, node: Node) -> None:
        """Create a splitter on a node."""

    def send(self, name: str, command: ActorCommand) -> None:
        """Call an actor; at most one call of each is under way."""

    def replies(self) -> Sequence[ActorReply]:
        """Return the replies that have come."""

    def kill(self, name: str) -> None:
        """Kill an actor and its process."""

    def request_cpus(self, count: int) -> None:
        """Request that there be nodes with so many CPUs."""
