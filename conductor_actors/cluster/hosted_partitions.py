"""The partitions of a host: started, drained and reported as the coordinator commands."""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from conductor_actors.cluster.host_messages import PartitionFigures


class RunningPartition(Protocol):
    """A partition's collector: it runs on threads of its own, and no method waits but `wait`."""

    def start(self) -> None:
        """Start."""

    def stop(self) -> None:
        """Request a drain."""

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end; return whether it has come."""

    def figures(self) -> PartitionFigures:
        """Return the state of this moment."""

    def entries(self) -> int:
        """Return how many entries were read since the start."""


class HostedPartitions:
    """Starts partitions once the host is prepared; until then they are starting.

    A partition that has ended is reported once, then forgotten.
    """

    def __init__(self, open_partition: Callable[[int], RunningPartition]) -> None:
        self._open = open_partition
        self._lock = threading.Lock()
        self._running: dict[int, RunningPartition] = {}
        self._waiting: set[int] = set()
        self._is_prepared = False
        self._failure: str | None = None
        self._entries_of_ended = 0

    def prepared(self) -> None:
        """Start what waits; from now on partitions start at once."""
        with self._lock:
            self._is_prepared = True
            self._start_waiting()

    def fail(self, reason: str) -> None:
        """Fail whatever shall start, because the host can't be prepared."""
        with self._lock:
            self._failure = reason

    def command(self, starts: Iterable[int], drains: Iterable[int]) -> None:
        """Start and drain partitions. A partition that runs or drains is not started again."""
        with self._lock:
            self._waiting |= set(starts) - self._running.keys()
            if self._is_prepared:
                self._start_waiting()
            for number in drains:
                self._waiting.discard(number)
                if number in self._running:
                    self._running[number].stop()

    def drain(self) -> None:
        """Drain all."""
        with self._lock:
            self._waiting.clear()
            for partition in self._running.values():
                partition.stop()

    def wait(self, timeout_s: float) -> bool:
        """Wait until all have ended; return whether they have, with the time for each."""
        with self._lock:
            running = list(self._running.values())
        return sum(not partition.wait(timeout_s) for partition in running) == 0

    def report(self) -> Sequence[PartitionFigures]:
        """Return the state of each; those that have ended are forgotten."""
        with self._lock:
            figures = [partition.figures() for partition in self._running.values()]
            for number in [each.number for each in figures if each.exit_code is not None]:
                self._entries_of_ended += self._running.pop(number).entries()
            waiting, reason = sorted(self._waiting), self._failure
            if reason is None:
                return figures + [PartitionFigures(number, "starting") for number in waiting]
            self._waiting.clear()
            failed = [_failed(number, reason) for number in waiting]
            return figures + failed

    def entries(self) -> int:
        """Return how many entries all partitions have read."""
        with self._lock:
            now = sum(partition.entries() for partition in self._running.values())
            return now + self._entries_of_ended

    def _start_waiting(self) -> None:
        for number in sorted(self._waiting):
            self._running[number] = self._open(number)
            self._running[number].start()
        self._waiting.clear()


def _failed(number: int, reason: str) -> PartitionFigures:
    return PartitionFigures(number, "ended", obstacles=(reason,), exit_code=2)
