"""The embedded Valkey and PostgreSQL: they run where `REDIS_URL` or `DATABASE_URL` is not set."""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from conductor_actors.adapters.embedded.postgresql import PostgreSQL
from conductor_actors.adapters.embedded.server_process import (
    EmbeddedServer,
    PortInUse,
    ServerProcess,
    free_port,
)
from conductor_actors.adapters.embedded.state_directory import StateDirectory
from conductor_actors.adapters.embedded.valkey import Valkey
from conductor_actors.errors import ConfigError

_MAX_PORT_ATTEMPTS: Final = 3


class EmbeddedServers:
    """Runs servers on free loopback ports, from their start until `stop`.

    Their data stays in the state directory, which one program at a time may use. They end within
    5 s of this program, however it ends.
    """

    def __init__(self, state_dir: Path, pick_port: Callable[[], int] = free_port) -> None:
        self._directory = StateDirectory(state_dir)
        self._pick_port = pick_port
        self._urls: dict[str, str] = {}
        self._running = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start_valkey(self) -> str:
        """Start Valkey, if it does not run yet; return its URL.

        Raise `ConfigError` if the operator must act, `Unavailable` if it does not get ready.
        """
        return self._start(Valkey)

    def start_postgres(self) -> str:
        """Start PostgreSQL, if it does not run yet; return the URL for the database's owner.

        Raise `ConfigError` if the operator must act, `Unavailable` if it does not get ready.
        """
        return self._start(PostgreSQL)

    def stop(self) -> None:
        """Stop the servers in reverse order and unlock the directory. May be called twice."""
        self._running.close()
        self._urls.clear()

    def _start(self, kind: type[Valkey] | type[PostgreSQL]) -> str:
        if kind.name not in self._urls:
            try:
                self._urls[kind.name] = self._start_server(kind(self._directory))
            except OSError as error:
                raise ConfigError(
                    f"{kind.name} can't be started in {self._directory.path}: {error}; "
                    f"set CONDUCTOR_STATE_DIR to another directory, or set {kind.setting}"
                ) from error
        return self._urls[kind.name]

    def _start_server(self, server: EmbeddedServer) -> str:
        if not self._directory.is_acquired:
            self._directory.acquire()
            self._running.callback(self._directory.release)
        self._directory.require_space()
        server.prepare()
        for _ in range(_MAX_PORT_ATTEMPTS - 1):
            with suppress(PortInUse):
                return self._start_process(server)
        return self._start_process(server)

    def _start_process(self, server: EmbeddedServer) -> str:
        process = ServerProcess(server, self._directory, self._pick_port())
        self._running.callback(process.stop)
        url = process.wait_until_ready()
        self._directory.add_server(server.name, url)
        return url
