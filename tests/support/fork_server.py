"""A process that has imported the program, and forks for each run of it.

An import takes a second of CPU time, a fork some milliseconds. A run is otherwise what
`python -m conductor_actors` is: a process in a session of its own with the given arguments,
folder, environment and standard streams, which ends as the interpreter ends.

A request is a datagram: JSON, and four open files (the standard streams, and one for a report).
The report is two lines: the process id, and the exit code as `subprocess` has it.
"""

import fcntl
import gc
import importlib
import os
import runpy
import select
import signal
import socket
import sys
import termios
import time
import warnings
from typing import Final

import msgspec

MODULE: Final = "conductor_actors"
REQUEST_BYTES: Final = 1 << 17
MOST_FILES: Final = 1 << 16


class Request(msgspec.Struct):
    """What to run."""

    arguments: list[str]
    cwd: str
    environment: dict[str, str]


def main() -> None:
    importlib.import_module(f"{MODULE}.cli")
    gc.freeze()  # or each run's end would go through all of it, and so copy its memory
    request = _served(socket.socket(fileno=os.dup(0)))
    _become(request)
    runpy.run_module(MODULE, run_name="__main__", alter_sys=True)


def _served(requests: socket.socket) -> Request:
    """Serve until the client is gone; return in each fork, which has the standard streams."""
    runs: dict[int, tuple[int, int]] = {}
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready != requests.fileno():
                poll.unregister(ready)
                _report_end(ready, *runs.pop(ready))
                continue
            text, files, _, _ = socket.recv_fds(requests, REQUEST_BYTES, 4)
            if not text:
                _end(runs)
            *streams, report = files
            pid = os.fork()
            if not pid:
                for number, stream in enumerate(streams):
                    os.dup2(stream, number)
                requests.detach()
                os.closerange(3, MOST_FILES)
                return msgspec.json.decode(text, type=Request)
            os.write(report, b"%d\n" % pid)
            watched = os.pidfd_open(pid)
            runs[watched] = pid, report
            poll.register(watched, select.POLLIN)
            for stream in streams:
                os.close(stream)


def _report_end(watched: int, pid: int, report: int) -> None:
    _, status = os.waitpid(pid, 0)
    os.write(report, b"%d\n" % os.waitstatus_to_exitcode(status))
    os.close(report)
    os.close(watched)


def _end(runs: dict[int, tuple[int, int]]) -> None:
    for pid, _ in runs.values():
        os.kill(pid, signal.SIGKILL)
    os._exit(0)


def _become(request: Request) -> None:
    """Be the process that the request describes."""
    os.setsid()
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    if request.environment.get("PYTHONWARNINGS") == "error":
        warnings.simplefilter("error")
    sys.path[0] = request.cwd
    sys.argv[1:] = request.arguments
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    sys.stdin = os.fdopen(0, "r", encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


if __name__ == "__main__":
    main()
