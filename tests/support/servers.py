"""Servers of a single test, which may stop, start, kill or overload them."""

import atexit
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal, TypeAlias

import redis

from conductor_actors.adapters.embedded.postgresql import PostgreSQL
from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.adapters.embedded.state_directory import StateDirectory
from tests.support.programs import Program

ServerName: TypeAlias = Literal["redis", "database"]

_CLUSTER: Final = "postgres"


@contextmanager
def temporary_state_dir(*, initialised: bool = False) -> Iterator[Path]:
    """Make a state directory, with a database cluster if `initialised`, until its servers end."""
    # Not pytest's own folder: it shuts out the account that runs PostgreSQL when we are root.
    with TemporaryDirectory() as folder:
        path = Path(folder).resolve() / "state"
        if initialised:
            _copy_cluster(path)
        try:
            yield path
        finally:
            directory = StateDirectory(path)
            directory.acquire()
            directory.release()


def _copy_cluster(folder: Path) -> None:
    """Copy a database cluster, which takes a third of the time that making one takes."""
    folder.mkdir()
    subprocess.run(["cp", "-a", "--reflink=auto", _new_cluster(), folder / _CLUSTER], check=True)


@cache
def _new_cluster() -> Path:
    folder = TemporaryDirectory()
    atexit.register(folder.cleanup)
    path = Path(folder.name).resolve()
    directory = StateDirectory(path)
    directory.acquire()
    PostgreSQL(directory).prepare()
    directory.release()
    return path / _CLUSTER


class ServerPair:
    """A Valkey and a PostgreSQL on fixed ports, which can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.ports = {"redis": free_port(), "database": free_port()}
        self.redis_url = f"redis://127.0.0.1:{self.ports['redis']}/0"
        self.database_url = f"postgresql://conductor@127.0.0.1:{self.ports['database']}/conductor"
        self.urls = {"REDIS_URL": self.redis_url, "DATABASE_URL": self.database_url}
        self._folder = folder
        self._valkey = EmbeddedServers(folder / "redis", lambda: self.ports["redis"])
        self._postgres = EmbeddedServers(folder, lambda: self.ports["database"])

    def start(self, name: ServerName) -> None:
        if name == "redis":
            self._valkey.start_valkey()
        else:
            self._postgres.start_postgres()

    def stop(self, name: ServerName) -> None:
        (self._valkey if name == "redis" else self._postgres).stop()

    def database_pid(self) -> int:
        """Return the process id of the running PostgreSQL."""
        return int((self._folder / _CLUSTER / "postmaster.pid").read_text().split()[0])


@contextmanager
def server_pair() -> Iterator[ServerPair]:
    """Make a pair of servers, not yet started, which are stopped when the block ends."""
    with temporary_state_dir(initialised=True) as folder:
        pair = ServerPair(folder)
        try:
            yield pair
        finally:
            pair.stop("redis")
            pair.stop("database")


def client_of_valkey(program: Program) -> redis.Redis:
    """Return a client of the Valkey that a program has started."""
    return redis.Redis(port=program.wait_for("server_started", server="valkey")["port"])
