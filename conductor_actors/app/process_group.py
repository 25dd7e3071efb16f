"""Run several processes as one: start, watch, restart and drain them together.

Each has a pipe from its parent as stdin and drains when that closes, so none outlives a parent
that was killed. Its log lines come through a pipe and are written line by line.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, Final, NamedTuple

from conductor_actors.actors.supervisor import EXIT_FAILED, EXIT_OK
from conductor_actors.app.signals import DRAIN_WITHIN_S
from conductor_actors.domain.failures import RestartBudget
from conductor_actors.log_events import (
    RestartsExhausted,
    ShardKilled,
    ShardStarted,
    ShardStopped,
    emit,
)
from conductor_actors.observability.logs import LineWriter
from conductor_actors.ports import Clock

HAS_PARENT: Final = "CONDUCTOR_HAS_PARENT"
EXIT_CONFIG: Final = 2
EXIT_POLL_S: Final = 0.1
RELAY_WITHIN_S: Final = 1.0


class Worker(NamedTuple):
    """One process: its name in log lines, its command, and its environment on top of ours."""

    name: str
    command: Sequence[str]
    variables: Mapping[str, str]


class _Running:
    """A worker's process, restarted as often as its budget allows."""

    def __init__(self, worker: Worker, clock: Clock) -> None:
        self.name = worker.name
        self.budget = RestartBudget()
        self._worker = worker
        self._clock = clock
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "conductor_actors", *self._worker.command],
            env=os.environ | self._worker.variables | {HAS_PARENT: "true"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,  # Ctrl-C is the parent's to hear
        )
        self._relay = threading.Thread(target=_relayed, args=(self.process.stdout,), daemon=True)
        self._relay.start()
        emit(ShardStarted(shard=self.name, pid=self.process.pid))

    def ended(self) -> int | None:
        """Return the exit code once the process has ended; call it no more after that."""
        exit_code = self.process.poll()
        if exit_code is not None:
            self._relay.join(RELAY_WITHIN_S)
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe:
                    pipe.close()
            emit(ShardStopped(shard=self.name, pid=self.process.pid, exit_code=exit_code))
        return exit_code

    def may_restart(self) -> bool:
        return self.budget.spend(self._clock())


class ProcessGroup:
    """Workers, each with a restart budget of three a minute; with `they_end` none is restarted."""

    def __init__(
        self, workers: Sequence[Worker], *, they_end: bool = False, clock: Clock = time.monotonic
    ) -> None:
        self._workers = workers
        self._they_end = they_end
        self._clock = clock
        self._stop = threading.Event()
        self._running: list[_Running] = []

    def stop(self) -> None:
        """Request a drain; may be called by any thread, and more than once."""
        self._stop.set()

    @property
    def is_stopped(self) -> bool:
        """Whether a drain was requested."""
        return self._stop.is_set()

    def run(self) -> int:
        """Run until `stop`, until all have ended, or until one can't be restarted.

        Then drain those that still run. Return the exit code.
        """
        poll, exit_code = self._poll if self._they_end else self._restart_dead, EXIT_OK
        try:
            self._running = [_Running(each, self._clock) for each in self._workers]
            while self._running and exit_code == EXIT_OK and not self._stop.wait(EXIT_POLL_S):
                exit_code = poll()
        finally:
            drained = self._drain()
        return exit_code or drained

    def _poll(self) -> int:
        return next(filter(None, self._ended()), EXIT_OK)

    def _restart_dead(self) -> int:
        """Restart those that have died; return an exit code other than 0 if that can't help."""
        for worker in self._running:
            exit_code = worker.ended()
            if exit_code == EXIT_CONFIG:
                self._running.remove(worker)
                return EXIT_CONFIG
            if exit_code is not None and not worker.may_restart():
                emit(RestartsExhausted(actor=worker.name, restarts=worker.budget.limit))
                self._running.remove(worker)
                return EXIT_FAILED
            if exit_code is not None:
                worker.start()
        return EXIT_OK

    def _ended(self) -> list[int]:
        """Remove those that have ended; return their exit codes."""
        polled = [(worker, worker.ended()) for worker in self._running]
        self._running = [worker for worker, exit_code in polled if exit_code is None]
        return [exit_code for _, exit_code in polled if exit_code is not None]

    def _drain(self) -> int:
        """Drain all at once; kill and report those that have not ended within 20 s."""
        for worker in self._running:
            worker.process.send_signal(signal.SIGTERM)
        until_s, has_failed = self._clock() + DRAIN_WITHIN_S, False
        while self._running and self._clock() < until_s:
            has_failed |= any(self._ended())
            time.sleep(EXIT_POLL_S)
        for worker in self._running:
            emit(ShardKilled(shard=worker.name, pid=worker.process.pid))
            worker.process.kill()
            worker.process.wait()
            worker.ended()
        return EXIT_FAILED if has_failed or self._running else EXIT_OK


def drain_with_parent() -> None:
    """Drain this process when its parent has died, if it was started by a process group."""
    if os.environ.pop(HAS_PARENT, None):
        threading.Thread(target=_drain_at_end_of_file, daemon=True).start()


def _drain_at_end_of_file() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _relayed(lines: IO[str] | None) -> None:
    writer = LineWriter(sys.stdout)
    for line in lines or ():
        writer.msg(line.removesuffix("\n"))
