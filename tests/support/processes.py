"""Runs of the program: forked from a process that has imported it, or started cold."""

import atexit
import os
import select
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, Protocol

import msgspec

from tests.support.fork_server import MODULE, Request

ROOT: Final = Path(__file__).parent.parent.parent


class Process(Protocol):
    """What tests use of `subprocess.Popen`."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...


# The tests may run in the background or under nohup, where signals are ignored.
PYTHON: Final = ("env", "--default-signal", sys.executable)


def command(*arguments: str) -> list[str]:
    """Return the command that starts the program cold."""
    return [*PYTHON, "-m", MODULE, *arguments]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return a bare environment, in which a warning is an error, far from UTC."""
    inherited = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    ours = {"PYTHONWARNINGS": "error", "PYTHONPATH": str(ROOT), "COLUMNS": "80", "TZ": "FAR-12:45"}
    free_ports = {"CONDUCTOR_HTTP_PORT": "0", "CONDUCTOR_METRICS_PORT": "0"}
    return inherited | ours | free_ports | dict(variables)


def start(
    arguments: Sequence[str], cwd: Path, variables: Mapping[str, str], streams: Sequence[int]
) -> Process:
    """Start the program with these standard streams; cold, if it has a Python path of its own."""
    request = Request(list(arguments), str(cwd), environment(variables))
    return (start_cold if "PYTHONPATH" in variables else _fork)(request, streams)


def start_cold(request: Request, streams: Sequence[int]) -> Process:
    """Start the program as users do."""
    stdin, stdout, stderr = streams
    return subprocess.Popen(
        command(*request.arguments),
        cwd=request.cwd,
        env=request.environment,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


class _Fork:
    """A process that the fork server reports on."""

    def __init__(self, report: int) -> None:
        self._report = os.fdopen(report, encoding="ascii")
        self._exit_code: int | None = None
        self.pid = int(self._report.readline())

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self._exit_code is None:
            if not select.select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(MODULE, timeout or 0)
            with self._report:
                self._exit_code = int(self._report.readline())
        return self._exit_code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)


def _fork(request: Request, streams: Sequence[int]) -> Process:
    ours, theirs = os.pipe()
    try:
        files = [*streams, theirs]
        socket.send_fds(_fork_server(), [msgspec.json.encode(request)], files)
    finally:
        os.close(theirs)
    return _Fork(ours)


@cache
def _fork_server() -> socket.socket:
    """Start the server, which ends with this process; return where it takes requests."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        server = subprocess.Popen(
            [*PYTHON, "-m", "tests.support.fork_server"],
            cwd=ROOT,
            env=environment({}),
            stdin=theirs.fileno(),
            start_new_session=True,
        )

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours
