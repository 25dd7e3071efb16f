"""A process that ends when this program does, however this program ends (see `watchdog`).

It runs in a session of its own, so that Ctrl-C in the terminal reaches this program alone, which
drains to the servers before it stops them.
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

# In this order, each with the time that it has, until the process is gone.
STOP_SIGNALS: Final = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 3.0))

# Not the program's: that may hold secrets, and as root PostgreSQL runs as another user.
_ENVIRONMENT: Final = {"LC_ALL": "C"}


class Account(NamedTuple):
    """The user that a process runs as."""

    uid: int
    gid: int


class WatchedProcess:
    """One process, from `__init__` until it has ended."""

    def __init__(
        self,
        command: list[str],
        account: Account | None,
        directory: StateDirectory,
        output: int | IO[bytes],
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        """Start it in the directory, as an account or else as this program's user."""
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
        """Wait for its end; return its exit code and output. `text` is its input."""
        try:
            output, _ = self._watchdog.communicate(text.encode())
        finally:
            self._end()
        return self._watchdog.returncode, output

    def has_ended_within(self, seconds: float) -> bool:
        """Wait for its end; return whether it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self._watchdog.wait(seconds)
            return True
        return False

    def stop(self) -> signal.Signals | None:
        """Stop it, finally with SIGKILL; return the signal that ended it, None if it had ended."""
        try:
            for number, wait_s in STOP_SIGNALS:
                if self._watchdog.poll() is not None:
                    return None
                with suppress(ProcessLookupError):  # the watchdog ends a little later than it
                    os.kill(self.pid, number)
                if self.has_ended_within(wait_s):
                    return number
        finally:
            self._end()
        return None

    def _end(self) -> None:
        """Make the watchdog end it, if it still runs, and wait for that."""
        self._lifeline.close()
        if not self.has_ended_within(_WATCHDOG_TIMEOUT_S):
            self._watchdog.kill()
        with self._watchdog:  # closes its pipes
            pass
