"""The directory of the embedded servers' data, which one program at a time uses.

It holds `valkey`, `postgres`, the servers' logs and two locks: `lock`, held by the program, names
its pid; `servers`, held by each running server too, has a line per server: its name and its URL.
"""

import errno
import fcntl
import os
import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TextIO

from conductor_actors.errors import ConfigError

# The servers of a program that was killed need up to 5 s to end.
_SERVERS_END_TIMEOUT_S: Final = 8.0
_LOCK_POLL_INTERVAL_S: Final = 0.05
_MIN_FREE_BYTES: Final = 1_000_000


class StateDirectory:
    """The directory, which this program holds from `acquire` to `release`."""

    def __init__(self, path: Path) -> None:
        self._given = path
        self.path = path.resolve()
        self._open = ExitStack()
        self._servers: TextIO | None = None

    @property
    def is_acquired(self) -> bool:
        """Whether this program holds the directory."""
        return self._servers is not None

    def acquire(self) -> None:
        """Create the directory and lock it.

        Raise `ConfigError` while another program uses it. If that was killed, its servers are about
        to end: wait for them.
        """
        require_home(self._given)
        self.path.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            program = opened.enter_context((self.path / "lock").open("a+"))
            if not _lock(program):
                program.seek(0)
                raise self._in_use(f"process {program.read()}")
            servers = opened.enter_context(_servers_file(self.path).open("a+"))
            until_s = time.monotonic() + _SERVERS_END_TIMEOUT_S
            while not _lock(servers):
                if time.monotonic() > until_s:
                    raise self._in_use("a server that an earlier program started")
                time.sleep(_LOCK_POLL_INTERVAL_S)
            for file, text in ((program, str(os.getpid())), (servers, "")):
                file.truncate(0)
                file.write(text)
                file.flush()
            self._servers = servers
            self._open = opened.pop_all()

    def release(self) -> None:
        """Unlock the directory. May be called twice."""
        self._open.close()
        self._servers = None

    def inherited_lock(self) -> int:
        """Return the descriptor that each process in the directory inherits, to keep it locked."""
        if self._servers is None:
            raise RuntimeError("the state directory is not acquired")
        return self._servers.fileno()

    def add_server(self, name: str, url: str) -> None:
        """Record where a server listens, for `running_url`."""
        if self._servers is not None:
            self._servers.write(f"{name} {url}\n")
            self._servers.flush()

    def require_space(self) -> None:
        """Raise `OSError` if the disk is full; a server could not even log that."""
        if shutil.disk_usage(self.path).free < _MIN_FREE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _in_use(self, holder: str) -> ConfigError:
        return ConfigError(
            f"CONDUCTOR_STATE_DIR={self.path} is in use by {holder}: "
            "stop that process, or set CONDUCTOR_STATE_DIR to another directory"
        )


def require_home(state_dir: Path) -> None:
    """Raise `ConfigError` if the directory is below a home directory that the user lacks."""
    if state_dir.parts[:1] == ("~",):
        raise ConfigError(
            "CONDUCTOR_STATE_DIR: this user has no home directory; set it, e.g. "
            "CONDUCTOR_STATE_DIR=/var/lib/conductor, or set REDIS_URL and DATABASE_URL"
        )


def running_url(state_dir: Path, server: str) -> str | None:
    """Return the URL of the server of this name that runs in a directory; None if none does."""
    try:
        with _servers_file(state_dir).open() as servers:
            urls = dict(line.split(maxsplit=1) for line in servers.read().splitlines())
            if _lock(servers, fcntl.LOCK_SH):
                return None
    except OSError:
        return None
    return urls.get(server)


def _servers_file(state_dir: Path) -> Path:
    return state_dir / "servers"


def _lock(file: TextIO, how: int = fcntl.LOCK_EX) -> bool:
    """Try to lock a file until it is closed; return whether it is locked."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
