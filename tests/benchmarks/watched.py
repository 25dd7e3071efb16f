"""A process under measurement, watched from outside: its log lines, CPU time, threads, memory.

Nothing of it is changed and nothing is added to it. CPU time is the kernel's, in nanoseconds; the
log stream says how far it is. What is written here is true of the collector and of its peers,
which log the same three lines: `events_routed`, `tick_completed`, `batch_written`.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from threading import Condition, Thread
from typing import Any, Final

QUIET_SHARE: Final = 0.1  # of one core; polling Redis takes less
QUIET_LOOKS: Final = 3
LOOK_S: Final = 0.1
LONGEST_WAIT_S: Final = 90.0

Line = dict[str, Any]


class Watched:
    """A process that logs JSON lines. Every wait has a deadline, and ends when the process does."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        self._process = process
        self._errors = errors
        self._grew = Condition()
        self.lines: dict[str, list[Line]] = {}
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def pids(self) -> list[int]:
        """Give the process and those that it has started."""
        found = [self.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").iterdir():
                with suppress(FileNotFoundError, ProcessLookupError):  # a thread has just ended
                    found += map(int, (task / "children").read_text().split())
        return found

    def all(self, event: str) -> list[Line]:
        with self._grew:
            return list(self.lines.get(event, ()))

    def total(self, event: str, key: str) -> int:
        """Add a number up over all lines of an event."""
        return sum(line[key] for line in self.all(event))

    def cpu_s(self) -> float:
        """Give the CPU time that it has used so far, all processes and threads."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.pids)

    def threads_cpu_s(self, *but: str) -> float:
        """Give the CPU time of its threads but those whose names begin so (see `tidy`)."""
        total_ns = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                if not (task / "comm").read_text().startswith(but):
                    total_ns += int((task / "schedstat").read_text().split()[0])
        return total_ns / 1e9

    def rss_bytes(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def tidy(self) -> None:
        """Let it collect garbage and name its threads."""
        os.kill(self.pid, signal.SIGUSR1)
        time.sleep(2 * LOOK_S)
        self.settle()

    def settle(self) -> None:
        """Wait until it does nothing but wait."""
        looks, until_s = 0, time.monotonic() + LONGEST_WAIT_S
        while looks < QUIET_LOOKS:
            before_s, began_s = self.cpu_s(), time.monotonic()
            time.sleep(LOOK_S)
            share = (self.cpu_s() - before_s) / (time.monotonic() - began_s)
            looks = looks + 1 if share < QUIET_SHARE else 0
            assert time.monotonic() < until_s, f"busy for {LONGEST_WAIT_S:.0f} s: {self._story()}"

    def wait(self, is_there: Callable[[], bool], what: str) -> None:
        """Wait until the log says so."""
        until_s = time.monotonic() + LONGEST_WAIT_S
        with self._grew:
            while not is_there():
                left_s = until_s - time.monotonic()
                assert left_s > 0, f"not within {LONGEST_WAIT_S:.0f} s: {what}: {self._story()}"
                assert self._process.poll() is None, f"ended before {what}: {self._story()}"
                self._grew.wait(min(left_s, 1.0))

    def wait_tick(self, after_ms: float, sessions: int = 0) -> Line:
        """Wait for the first tick after a moment, in which so many sessions were scored."""
        found: list[Line] = []

        def look() -> bool:
            found[:] = [
                line
                for line in self.lines.get("tick_completed", ())
                if line["tick_at_ms"] > after_ms and line["sessions"] >= sessions
            ]
            return bool(found)

        self.wait(look, f"a tick of {sessions} sessions")
        return found[0]

    def kill(self) -> None:
        """End it at once, with all that it has started."""
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
        self._process.wait()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the clock's victim: it uses no CPU, and finds later what came meanwhile."""
        pids = self.pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def _read(self) -> None:
        for text in self._process.stdout or ():
            if '"session":' in text or not text.startswith("{"):
                continue  # of single sessions: as many as there are sessions
            line = json.loads(text)
            with self._grew:
                self.lines.setdefault(line["event"], []).append(line)
                self._grew.notify_all()

    def _story(self) -> str:
        return self._errors.read_text()[-2000:] or str({k: v[-1] for k, v in self.lines.items()})


@contextmanager
def watched(
    command: Sequence[str], variables: Mapping[str, str], folder: Path
) -> Iterator[Watched]:
    """Run a process for as long as the block."""
    errors = folder / "errors"
    with errors.open("w") as file:
        process = subprocess.Popen(
            command,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )
    try:
        yield Watched(process, errors)
    finally:
        process.terminate()
        try:
            process.wait(25)
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


def at_s(line: Line) -> float:
    """Give the moment when a line was written."""
    return datetime.fromisoformat(line["timestamp"]).timestamp()
