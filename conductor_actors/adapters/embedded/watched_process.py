"""A process that ends when this program does, however this program ends (see `watchdog`).

It runs in its own session (setsid), so that Ctrl-C in the terminal reaches only this program, which
drains before it stops its servers.
"""

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Final, NamedTuple

from conductor_actors.adapters.embedded.state_directory import StateDirectory

_WATCHDOG: Final = str(Path(__file__).with_name("watchdog.py"))
_WATCHDOG_TIMEOUT_S: Final = 5.0

# Sent in this order, each with the time to wait for the process to end.
SHUTDOWN_SIGNALS: Final = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 3.0))

# Not the program's environment, which may have secrets: PostgreSQL may run as another user.
_ENVIRONMENT: Final = {"LC_ALL": "C"}


class Account(NamedTuple):
    """The user that a process runs as."""

    uid: int
    gid: int


class WatchedProcess:
    """One process, which runs from `__init__` until it ends or is stopped."""

    def __init__(
        self,
        command: list[str],
        account: Account | None,
        directory: StateDirectory,
        output: int | IO[bytes],
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        """Start the process in the directory, as the account or else as this program's user."""
        user = "" if account is None else f"{account.uid}:{account.gid}"
        with ExitStack() as on_failure:
            self._lifeline, theirs = map(on_failure.enter_context, socket.socketpair())
            with theirs:
                self._watchdog = subprocess.Popen(  # noqa: S603 - our own command
                    [sys.executable, "-I", "-S", _WATCHDOG, str(theirs.fileno()), user, *command],
                    cwd=directory.path,
                    env=_ENVIRONMENT,
                    stdin=stdin,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(theirs.fileno(), directory.inherited_lock()),
                )
            on_failure.callback(self._end)
            self.pid = int(self._lifeline.recv(16) or 0)
            on_failure.pop_all()

    def run(self, text: str) -> tuple[int, bytes]:
        """Pass `text` as input and wait for the end; return the exit code and the output."""
        try:
            output, _ = self._watchdog.communicate(text.encode())
        finally:
            self._end()
        return self._watchdog.returncode, output

    def has_ended_within(self, seconds: float) -> bool:
        """Wait for the end; return whether the process has ended."""
        with suppress(subprocess.TimeoutExpired):
            self._watchdog.wait(seconds)
            return True
        return False

    def stop(self) -> signal.Signals | None:
        """Stop the process; return the signal that ended it, or None if it had ended before."""
        try:
            for number, wait_s in SHUTDOWN_SIGNALS:
                if self._watchdog.poll() is not None:
                    return None
                with suppress(ProcessLookupError):  # the watchdog ends a moment after the process
                    os.kill(self.pid, number)
                if self.has_ended_within(wait_s):
                    return number
        finally:
            self._end()
        return None

    def _end(self) -> None:
        """Make the watchdog stop the process, if it still runs, and wait for that."""
        self._lifeline.close()
        if not self.has_ended_within(_WATCHDOG_TIMEOUT_S):
            self._watchdog.kill()
        with self._watchdog:  # closes its pipes
            pass
