"""The watchdog between a program and its server, run as a separate process."""

import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil  # type: ignore[import-untyped]
import pytest

from conductor_actors.adapters.embedded import watchdog

ENDS_WITHIN_S = 5.0
READY = "echo ready >&2; exec sleep 100"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run it as another user")


class RunningWatchdog:
    """A watchdog, its server, and the program's end of the lifeline."""

    def __init__(self, process: subprocess.Popen[str], lifeline: socket.socket) -> None:
        self.process = process
        self.lifeline = lifeline
        self.errors = process.stderr or ()

    def wait_until_ready(self) -> psutil.Process:
        assert next(iter(self.errors)) == "ready\n"
        return psutil.Process(int(self.lifeline.recv(16)))


@contextmanager
def run_watchdog(*command: str, account: str = "") -> Iterator[RunningWatchdog]:
    lifeline, theirs = socket.socketpair()
    number = str(theirs.fileno())
    with (
        theirs,
        subprocess.Popen(
            [sys.executable, "-I", "-S", watchdog.__file__, number, account, *command],
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=(theirs.fileno(),),
        ) as process,
        lifeline,
    ):
        theirs.close()
        yield RunningWatchdog(process, lifeline)


def test_a_server_ends_with_its_program() -> None:
    with run_watchdog("/bin/sh", "-c", READY) as running:
        server = running.wait_until_ready()
        running.lifeline.close()
        server.wait(ENDS_WITHIN_S)
        assert running.process.wait(ENDS_WITHIN_S) == -signal.SIGINT % 256


def test_a_server_ends_if_its_program_ends_while_it_starts() -> None:
    with run_watchdog("/bin/sh", "-c", READY) as starting:
        starting.lifeline.close()
        assert starting.process.wait(ENDS_WITHIN_S) == -signal.SIGINT % 256
        assert set(starting.errors) <= {"ready\n"}


def test_a_server_that_ignores_signals_is_killed_in_time() -> None:
    with run_watchdog("/bin/sh", "-c", f"trap '' INT QUIT; {READY}") as running:
        server = running.wait_until_ready()
        running.lifeline.close()
        server.wait(ENDS_WITHIN_S)
        assert running.process.wait(ENDS_WITHIN_S) == -signal.SIGKILL % 256


@pytest.mark.parametrize("account", ["", pytest.param("nobody", marks=needs_root)])
def test_a_server_ends_with_its_watchdog(account: str) -> None:
    user = pwd.getpwnam(account) if account else None
    identity = f"{user.pw_uid}:{user.pw_gid}" if user else ""
    with run_watchdog("/bin/sh", "-c", READY, account=identity) as running:
        server = running.wait_until_ready()
        assert user is None or server.uids().real == user.pw_uid
        running.process.kill()
        server.wait(ENDS_WITHIN_S)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_is_meant_for_the_program_does_not_end_the_watchdog(
    number: signal.Signals,
) -> None:
    with run_watchdog("/bin/sh", "-c", f"{READY}") as running:
        server = running.wait_until_ready()
        running.process.send_signal(number)
        server.send_signal(signal.SIGKILL)
        assert running.process.wait(ENDS_WITHIN_S) == -signal.SIGKILL % 256


def test_the_watchdog_ends_with_its_server_and_the_same_exit_code() -> None:
    with run_watchdog("/bin/sh", "-c", "exit 7") as running:
        assert running.process.wait(ENDS_WITHIN_S) == 7


def test_the_error_of_a_server_that_cannot_be_started_is_printed() -> None:
    with run_watchdog("/missing/server") as running:
        assert list(running.errors) == ["/missing/server: No such file or directory\n"]
        assert running.process.wait(ENDS_WITHIN_S) == 127
