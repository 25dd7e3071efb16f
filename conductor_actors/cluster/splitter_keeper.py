"""One splitter, always: created, replaced if it has died or failed, and moved."""

import time
from collections.abc import Collection, Sequence
from typing import Final

from conductor_actors.cluster.actor_names import new_splitter_name
from conductor_actors.cluster.host_messages import (
    Engine,
    EngineView,
    Node,
    SplitterCommand,
    SplitterReport,
)
from conductor_actors.cluster.host_table import (
    HOST_TIMEOUT_S,
    REGISTRATION_S,
    START_TIMEOUT_S,
)
from conductor_actors.ports import Clock
from conductor_actors.wire.cluster_status import ClusterSplitter

FIRST_RESTART_PAUSE_S: Final = 0.5
MAX_RESTART_PAUSE_S: Final = 15.0


class SplitterKeeper:
    """The splitter as the coordinator knows it."""

    def __init__(self, engine: Engine, clock: Clock = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self.name = ""
        self.report: SplitterReport | None = None
        self.problem = ""  # of the last that has ended
        self._lost: set[str] = set()  # which a view may still have
        self._created_s = 0.0
        self._answered_s = 0.0
        self._is_called = False
        self._is_drained = False
        self._failures = 0
        self._next_s = 0.0

    @property
    def has_ended(self) -> bool:
        """Whether none is alive."""
        return not self.name

    def status(self) -> ClusterSplitter | None:
        """Return its status; None if there is none that has answered."""
        if not self.name or self.report is None:
            return None
        report = self.report
        return ClusterSplitter(report.node, report.state, report.lag_s, report.events_per_s)

    def drain(self) -> None:
        """Drain it; once it has ended, `keep` creates another."""
        self._is_drained = True

    def follow(self, view: EngineView, names: Collection[str]) -> None:
        """Adopt a splitter that is alive, kill any other, and notice a death."""
        now_s = self._clock()
        if self.name and self.name not in names and view.at_s > self._created_s + REGISTRATION_S:
            self._lose()
        timeout_s = HOST_TIMEOUT_S if self.report else START_TIMEOUT_S
        if self.name and now_s - self._answered_s > timeout_s:
            self._end()
        self._lost &= set(names)
        for name in sorted(set(names) - self._lost):
            if not self.name:
                self.name, self._created_s, self._answered_s = name, now_s, now_s
            elif name != self.name:
                self._engine.kill(name)

    def forgive(self) -> None:
        """Count the time from now on, because this process itself was stopped for a while."""
        self._answered_s = self._clock()

    def keep(self, nodes: Sequence[Node]) -> None:
        """Create a splitter on the node with the most CPUs, if there is none and a node."""
        if not self.name and nodes and self._clock() >= self._next_s:
            node = max(nodes, key=lambda node: (node.cpus, node.id))
            self.name, self.report, self._is_drained = new_splitter_name(), None, False
            self._created_s = self._answered_s = self._clock()
            self._engine.create_splitter(self.name, node)

    def call(self) -> None:
        """Ask for a report, unless one is under way."""
        if self.name and not self._is_called:
            self._is_called = True
            self._engine.send(self.name, SplitterCommand(self._is_drained))

    def receive(self, report: SplitterReport | None, *, is_dead: bool) -> None:
        """Record the reply of a call."""
        self._is_called = False
        if is_dead:
            self._lose()
        elif report is not None:
            self.report, self._answered_s = report, self._clock()
            self.problem = report.problem
            if report.state == "running":
                self._failures = 0
            if report.exit_code is not None:
                self._end()

    def _end(self) -> None:
        self._engine.kill(self.name)
        self._lose()

    def _lose(self) -> None:
        """Forget it; the next is created at once if this one was drained, else after a pause."""
        if not self._is_drained:
            pause_s = FIRST_RESTART_PAUSE_S * 2 ** min(10, self._failures)
            self._next_s = self._clock() + min(MAX_RESTART_PAUSE_S, pause_s) * (self._failures > 0)
            self._failures += 1
        self._lost.add(self.name)
        self.name, self.report, self._is_called = "", None, False
