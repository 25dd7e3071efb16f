"""Create and update the tables: numbered SQL files, each applied once.

A file is `NNN_name.sql`; `NNN_name.timescaledb.sql` is for servers with TimescaleDB only, and
`NNN_name.community.sql` for those with its community licence. On other servers these wait: a
database that gets TimescaleDB later is upgraded by the next run, so a file must not rely on
whether an earlier one of those was applied.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from importlib.resources import files
from time import monotonic
from typing import Final, NamedTuple

import psycopg

from conductor_actors.adapters.postgres.connection import Connection, connect, one_line, transaction
from conductor_actors.adapters.postgres.editions import Edition, detect_server
from conductor_actors.errors import ConfigError
from conductor_actors.log_events import ExtensionCreated, ExtensionRefused, MigrationApplied, emit

# Turning a large table into a hypertable moves every row.
DEADLINE_S: Final = 600.0

# Any number that nobody else uses; this one spells "conducto".
_LOCK_KEY: Final = 0x636F6E647563746F

_EDITIONS: Final = {
    "": frozenset(Edition),
    "timescaledb": frozenset({Edition.COMMUNITY, Edition.APACHE}),
    "community": frozenset({Edition.COMMUNITY}),
}

_CREATE_RECORD: Final = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        number integer PRIMARY KEY,
        name text NOT NULL,
        checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""


class Migration(NamedTuple):
    """One numbered step; `editions` are the servers it is for."""

    number: int
    name: str
    editions: frozenset[Edition]
    sql: str

    @property
    def checksum(self) -> str:
        """Identify the text that was applied."""
        return sha256(self.sql.encode()).hexdigest()


def load() -> list[Migration]:
    """Read the migrations that come with the package, in order."""
    found = files("conductor_actors.adapters.postgres.schema").iterdir()
    scripts = {file.name: file.read_text("utf-8") for file in found if file.name.endswith(".sql")}
    return [_migration(name.removesuffix(".sql"), scripts[name]) for name in sorted(scripts)]


def migrate(url: str, deadline_s: float = DEADLINE_S) -> list[str]:
    """Bring the tables up to date; return the names of what was applied.

    Safe to run at once from several processes. Raise `ConfigError` when the operator must act.
    Each step is one transaction and has the deadline for itself.
    """
    applied: list[str] = []
    with closing(connect(url, deadline_s)) as connection:
        with _locked(connection, deadline_s):
            _create_extension(connection)
        while (name := _apply_next(connection, deadline_s)) is not None:
            applied.append(name)
    return applied


def pending(connection: Connection, edition: Edition) -> list[Migration]:
    """List what this server still needs.

    Raise `ConfigError` for a database that was migrated with other files than ours.
    """
    known = load()
    applied = _applied(connection)
    _refuse_newer(known, applied)
    _refuse_changed(known, applied)
    return [m for m in known if m.number not in applied and edition in m.editions]


def _migration(name: str, sql: str) -> Migration:
    """Read number and editions from a name such as `002_hypertables.timescaledb`."""
    _, _, needs = name.partition(".")
    return Migration(int(name.partition("_")[0]), name, _EDITIONS[needs], sql)


@contextmanager
def _locked(connection: Connection, deadline_s: float) -> Iterator[None]:
    """Run a transaction that other processes wait for."""
    with transaction(connection, deadline_s):
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK_KEY,))
        yield


def _create_extension(connection: Connection) -> None:
    """Create the extension where it can be created.

    Only the preloaded library knows its setting; without it CREATE EXTENSION ends the session.
    """
    wanted = connection.execute(
        """
        SELECT FROM pg_available_extensions
        WHERE name = 'timescaledb' AND installed_version IS NULL
          AND current_setting('timescaledb.disable_load', true) IS NOT NULL
        """
    )
    if not wanted.rowcount:
        return
    try:
        with connection.transaction():
            connection.execute("CREATE EXTENSION timescaledb")
    except psycopg.errors.InsufficientPrivilege as error:
        emit(ExtensionRefused(extension="timescaledb", reason=one_line(error)))
    else:
        emit(ExtensionCreated(extension="timescaledb"))


def _apply_next(connection: Connection, deadline_s: float) -> str | None:
    """Apply the first pending migration, if any, and return its name."""
    with _locked(connection, deadline_s):
        waiting = pending(connection, detect_server(connection).edition)
        if not waiting:
            return None
        _apply(connection, waiting[0])
    return waiting[0].name


def _apply(connection: Connection, migration: Migration) -> None:
    started_s = monotonic()
    try:
        connection.execute(migration.sql.encode())
    except psycopg.errors.InsufficientPrivilege:
        raise
    except psycopg.ProgrammingError as error:
        raise ConfigError(f"migration {migration.name} failed: {one_line(error)}") from None
    connection.execute(_CREATE_RECORD)
    connection.execute(
        "INSERT INTO schema_migrations (number, name, checksum) VALUES (%s, %s, %s)",
        (migration.number, migration.name, migration.checksum),
    )
    emit(MigrationApplied(name=migration.name, duration_s=monotonic() - started_s))


def _applied(connection: Connection) -> dict[int, tuple[str, str]]:
    """Read name and checksum of what was applied, by number."""
    exists = connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
    if exists != (True,):
        return {}
    rows = connection.execute("SELECT number, name, checksum FROM schema_migrations").fetchall()
    return {number: (name, checksum) for number, name, checksum in rows}


def _refuse_newer(known: Sequence[Migration], applied: dict[int, tuple[str, str]]) -> None:
    newer = sorted(applied.keys() - {migration.number for migration in known})
    if newer:
        raise ConfigError(
            f"the database has migration {applied[newer[0]][0]}, which this version does not "
            "know: install the version that applied it, or a newer one"
        )


def _refuse_changed(known: Sequence[Migration], applied: dict[int, tuple[str, str]]) -> None:
    for migration in known:
        _, checksum = applied.get(migration.number, ("", migration.checksum))
        if checksum != migration.checksum:
            raise ConfigError(
                f"migration {migration.name} is not what was applied to this database: "
                "put the file back as it was and make the change in a new one"
            )
