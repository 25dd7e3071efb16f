"""Run several processes as one: start, watch, restart and drain them together.

Each has a pipe from its parent as stdin and drains when that closes, so none outlives a parent
that was killed, and a drain that is requested while it starts is not missed. Its log lines come
through a pipe and are written line by line.
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
from conductor_actors.app.signals import DRAIN_TIMEOUT_S, exit_on_stop_signals
from conductor_actors.domain.failures import RestartBudget
from conductor_actors.log_events import (
    RestartsExhausted,
    ShardKilled,
    ShardStarted,
    ShardStopped,
    emit,
)
from conductor_actors.observability import logs
from conductor_actors.ports import Clock

EXIT_CONFIG: Final = 2
EXIT_POLL_S: Final = 0.1
RELAY_TIMEOUT_S: Final = 1.0

_HAS_PARENT: Final = "CONDUCTOR_HAS_PARENT"


class Worker(NamedTuple):
    """One process: its name in log lines, its command, and variables added to the environment."""

    name: str
    command: Sequence[str]
    variables: Mapping[str, str]


class _WorkerProcess:
    """The process of a worker, restarted as often as its budget allows."""

    def __init__(self, worker: Worker, clock: Clock) -> None:
        self.name = worker.name
        self.budget = RestartBudget()
        self._worker = worker
        self._clock = clock
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "conductor_actors", *self._worker.command],
            env=os.environ | self._worker.variables | {_HAS_PARENT: "true"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,  # Ctrl-C is for the parent, which then drains its workers
        )
        self._relay = threading.Thread(
            target=_relay_lines, args=(self.process.stdout,), daemon=True
        )
        self._relay.start()
        emit(ShardStarted(shard=self.name, pid=self.process.pid))

    def drain(self) -> None:
        """Request a drain, by the end of its stdin."""
        if self.process.stdin:
            self.process.stdin.close()

    def poll(self) -> int | None:
        """Return the exit code once the process has ended; not to be called again after that."""
        exit_code = self.process.poll()
        if exit_code is not None:
            self._relay.join(RELAY_TIMEOUT_S)
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe:
                    pipe.close()
            emit(ShardStopped(shard=self.name, pid=self.process.pid, exit_code=exit_code))
        return exit_code

    def may_restart(self) -> bool:
        return self.budget.spend(self._clock())


class ProcessGroup:
    """Workers, each of which is restarted up to three times a minute, unless `restart` is false."""

    def __init__(
        self, workers: Sequence[Worker], *, restart: bool = True, clock: Clock = time.monotonic
    ) -> None:
        self._workers = workers
        self._check = self._restart_ended if restart else self._remove_ended
        self._clock = clock
        self._stop = threading.Event()
        self._running: list[_WorkerProcess] = []

    def stop(self) -> None:
        """Request a drain; may be called by any thread, and more than once."""
        self._stop.set()

    def run(self) -> int:
        """Run until `stop`, until all have ended, or until one can't be restarted.

        Then drain those that still run. Return the exit code.
        """
        exit_code = EXIT_OK
        try:
            self._running = [_WorkerProcess(each, self._clock) for each in self._workers]
            while self._running and exit_code == EXIT_OK and not self._stop.wait(EXIT_POLL_S):
                exit_code = self._check()
        finally:
            drain_exit_code = self._drain()
        return exit_code or drain_exit_code

    def _remove_ended(self) -> int:
        """Remove the workers that have ended; return an exit code other than 0, if there is one."""
        polled = [(worker, worker.poll()) for worker in self._running]
        self._running = [worker for worker, exit_code in polled if exit_code is None]
        return next((exit_code for _, exit_code in polled if exit_code), EXIT_OK)

    def _restart_ended(self) -> int:
        """Restart the workers that have ended; return an exit code other than 0 if one can't be."""
        for worker in self._running:
            exit_code = worker.poll()
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

    def _drain(self) -> int:
        """Drain all at once; kill and report those that have not ended within the timeout."""
        for worker in self._running:
            worker.drain()
        until_s, has_failed = self._clock() + DRAIN_TIMEOUT_S, False
        while self._running and self._clock() < until_s:
            has_failed |= self._remove_ended() != EXIT_OK
            time.sleep(EXIT_POLL_S)
        for worker in self._running:
            emit(ShardKilled(shard=worker.name, pid=worker.process.pid))
            worker.process.kill()
            worker.process.wait()
            worker.poll()
        return EXIT_FAILED if has_failed or self._running else EXIT_OK


def has_parent() -> bool:
    """Return whether a process group started this process."""
    return _HAS_PARENT in os.environ


def drain_with_parent() -> None:
    """Drain this process when its parent has died, if a process group started it."""
    if has_parent():
        exit_on_stop_signals(EXIT_OK)  # until there is something to drain
        threading.Thread(target=_drain_at_end_of_file, daemon=True).start()


def _drain_at_end_of_file() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _relay_lines(lines: IO[str] | None) -> None:
    for line in lines or ():
        logs.write_line(line.removesuffix("\n"))
