"""Our own Valkey and PostgreSQL, for whoever has none: `REDIS_URL` or `DATABASE_URL` unset.

The state folder holds `lock` (the pid of who uses it), `valkey`, `postgres`, and their logs.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

from conductor_actors.adapters.embedded.postgresql import PostgreSQL
from conductor_actors.adapters.embedded.server_process import (
    EmbeddedServer,
    PortTaken,
    ServerProcess,
    free_port,
)
from conductor_actors.adapters.embedded.valkey import Valkey
from conductor_actors.errors import ConfigError

_PORTS_TRIED: Final = 3
_SPACE_BYTES: Final = 1_000_000


class EmbeddedServers:
    """Run the servers that are asked for on free loopback ports, until `stop`.

    Their data stays under `state_dir`, which one process at a time may use. A process that is
    killed leaves its servers running; the next start on the folder stops them first.
    """

    def __init__(self, state_dir: Path, pick_port: Callable[[], int] = free_port) -> None:
        self._state_dir = state_dir.resolve()
        self._pick_port = pick_port
        self._urls: dict[str, str] = {}
        self._to_undo = ExitStack()
        self._holds_folder = False

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
        """Return the URL of a Valkey that answers.

        Raises `ConfigError` when the operator must act, `Unavailable` when it does not answer.
        """
        return self._start(Valkey)

    def start_postgres(self) -> str:
        """Return the URL of a PostgreSQL that answers, for a role that owns its database.

        Raises `ConfigError` when the operator must act, `Unavailable` when it does not answer.
        """
        return self._start(PostgreSQL)

    def stop(self) -> None:
        """Stop what was started, the last first, and let go of the folder. Harmless twice."""
        self._to_undo.close()
        self._urls.clear()
        self._holds_folder = False

    def _start(self, kind: type[Valkey] | type[PostgreSQL]) -> str:
        if kind.name not in self._urls:
            try:
                self._urls[kind.name] = self._prepared(kind(self._state_dir))
            except OSError as error:
                raise ConfigError(
                    f"{kind.name} can't be started under {self._state_dir}: {error}; "
                    f"set CONDUCTOR_STATE_DIR to another folder, or set {kind.setting}"
                ) from error
        return self._urls[kind.name]

    def _prepared(self, server: EmbeddedServer) -> str:
        if not self._holds_folder:
            self._take_folder()
        _require_space(self._state_dir)
        server.prepare()
        for _ in range(_PORTS_TRIED - 1):
            with suppress(PortTaken):
                return self._running(server)
        return self._running(server)

    def _running(self, server: EmbeddedServer) -> str:
        process = ServerProcess(server, self._state_dir / f"{server.name}.log", self._pick_port())
        self._to_undo.callback(process.stop)
        return process.wait_until_ready()

    def _take_folder(self) -> None:
        # Only now: it needs psutil, which comes with the servers' wheels.
        from conductor_actors.adapters.embedded.orphans import stop_orphans  # noqa: PLC0415

        self._state_dir.mkdir(parents=True, exist_ok=True)
        self._to_undo.enter_context(_lock(self._state_dir))
        stop_orphans(self._state_dir)
        self._holds_folder = True


def _require_space(state_dir: Path) -> None:
    """Refuse a full disk: a server would die without a word, its log being on that disk."""
    if shutil.disk_usage(state_dir).free < _SPACE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _lock(state_dir: Path) -> TextIO:
    """Return the lock file, locked until it is closed; the kernel closes it when we are killed."""
    lock = (state_dir / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with lock:
            lock.seek(0)
            holder = lock.read()
        raise ConfigError(
            f"CONDUCTOR_STATE_DIR={state_dir} is in use by process {holder}: "
            "stop that process, or set CONDUCTOR_STATE_DIR to another folder"
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
