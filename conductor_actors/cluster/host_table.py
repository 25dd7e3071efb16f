"""The hosts as the coordinator knows them: what they reported, and what they were commanded since.

A host has one call under way at most. What it is commanded meanwhile waits for the reply, and
counts as done in `load`.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from conductor_actors.cluster.host_messages import (
    EngineView,
    HostCommand,
    HostReport,
    LeaveReason,
    PartitionFigures,
)
from conductor_actors.domain.partitions.balance import HostLoad

HOST_TIMEOUT_S: Final = 7.0  # a host that is silent for so long is killed
START_TIMEOUT_S: Final = 60.0  # one that has never reported: its process may wait for a CPU
EXPECTED_START_S: Final = 5.0
REGISTRATION_S: Final = 1.0  # until the engine lists an actor that was created


class HostChanges(NamedTuple):
    """The hosts that have died, with the partitions they had, and those that do not answer."""

    died: Sequence[tuple[str, Collection[int]]]
    silent: Sequence[str]


class HostState:
    """One host. Its last report is None until it has answered."""

    def __init__(self, node: str, created_s: float, *, is_adopted: bool) -> None:
        self.node = node
        self.created_s = created_s
        self.answered_s = created_s
        self.is_adopted = is_adopted
        self.report: HostReport | None = None
        self.leaving: LeaveReason = ""
        self._starts: set[int] = set()
        self._drains: set[int] = set()
        self._sent: HostCommand | None = None
        self._new_reason: LeaveReason | None = None

    @property
    def timeout_s(self) -> float:
        """How long it may be silent."""
        return HOST_TIMEOUT_S if self.report or self.is_adopted else START_TIMEOUT_S

    @property
    def may_have_partitions(self) -> bool:
        """Whether it may run partitions that are not known: no coordinator may start any then."""
        return self.is_adopted and self.report is None

    def start(self, number: int) -> None:
        """Command to start a partition."""
        self._starts.add(number)

    def drain(self, number: int) -> None:
        """Command to drain a partition."""
        self._drains.add(number)

    def leave(self, reason: LeaveReason) -> None:
        """Command to leave; it is emptied from now on."""
        if self.leaving != "node":
            self.leaving = self._new_reason = reason

    def load(self) -> HostLoad:
        """Return what it will run and drain, once it has done what it was commanded."""
        held = {each.number: each.state for each in self.figures()}
        sent = self._sent or HostCommand()
        drains = {number for number, state in held.items() if state == "draining"}
        drains |= (self._drains | set(sent.drains)) & (held.keys() | set(sent.starts))
        runs = (held.keys() | self._starts | set(sent.starts)) - drains
        return HostLoad(runs, drains, bool(self.leaving))

    def figures(self) -> Sequence[PartitionFigures]:
        """Return the partitions of the last report that have not ended."""
        reported = self.report.partitions if self.report else ()
        return [each for each in reported if each.exit_code is None]

    def next_command(self) -> HostCommand:
        """Return what to send now."""
        self._sent = HostCommand(sorted(self._starts), sorted(self._drains), self._new_reason)
        self._starts, self._drains, self._new_reason = set(), set(), None
        return self._sent

    def receive(self, report: HostReport | None, now_s: float) -> None:
        """Record the reply of a call; without a report, its command is sent again."""
        sent, self._sent = self._sent or HostCommand(), None
        if report is None:
            self._starts |= set(sent.starts)
            self._drains |= set(sent.drains)
            self._new_reason = self._new_reason or sent.leaving
            return
        self.report, self.node, self.answered_s = report, report.node, now_s
        self.leaving = self.leaving or report.leaving

    @property
    def is_called(self) -> bool:
        """Whether a call is under way."""
        return self._sent is not None


class HostTable:
    """All hosts that are alive, by name."""

    def __init__(self) -> None:
        self.hosts: dict[str, HostState] = {}
        self._removed: set[str] = set()  # which a view may still have

    def add(self, name: str, node: str, now_s: float) -> None:
        """Add a host that was created now."""
        self.hosts[name] = HostState(node, now_s, is_adopted=False)

    def follow(self, view: EngineView, names: Collection[str], now_s: float) -> HostChanges:
        """Adopt the hosts that another coordinator created, and remove those that have died."""
        self._removed &= set(names)
        for name in sorted(set(names) - self.hosts.keys() - self._removed):
            self.hosts[name] = HostState("", now_s, is_adopted=True)
        gone = [
            name
            for name, host in self.hosts.items()
            if name not in names and view.at_s > host.created_s + REGISTRATION_S
        ]
        silent = [
            name for name, host in self.hosts.items() if now_s - host.answered_s > host.timeout_s
        ]
        return HostChanges([(name, self.remove(name)) for name in gone], silent)

    def forgive(self, now_s: float) -> None:
        """Count the time from now on, because this process itself was stopped for a while."""
        for host in self.hosts.values():
            host.answered_s = now_s

    def remove(self, name: str) -> Collection[int]:
        """Remove a host that has died; return the partitions that it had."""
        self._removed.add(name)
        load = self.hosts.pop(name).load()
        return {*load.runs, *load.drains}

    def on_node(self, node: str) -> Sequence[HostState]:
        """Return the hosts of a node."""
        return [host for host in self.hosts.values() if host.node == node]

    def leaving_nodes(self) -> frozenset[str]:
        """Return the nodes that are emptied: of one of its hosts that is enough."""
        return frozenset(host.node for host in self.hosts.values() if host.leaving == "node")

    def are_known(self) -> bool:
        """Return whether it is known what every host runs."""
        return not any(host.may_have_partitions for host in self.hosts.values())

    def are_starting(self, now_s: float) -> bool:
        """Return whether a host that has not answered yet should do so soon."""
        return any(
            host.report is None and now_s - host.created_s < EXPECTED_START_S
            for host in self.hosts.values()
        )

    def loads(self) -> dict[str, HostLoad]:
        """Return the load of each host that has answered."""
        return {name: host.load() for name, host in self.hosts.items() if host.report}

    def figures(self) -> Iterator[tuple[str, PartitionFigures]]:
        """Return each partition that runs, with its host."""
        for name, host in self.hosts.items():
            for figures in host.figures():
                yield name, figures
