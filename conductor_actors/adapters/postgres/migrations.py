"""Create and update the tables: numbered SQL files, each applied once.

A file is `NNN_name.sql`; `NNN_name.timescaledb.sql` is for servers with TimescaleDB only, and
`NNN_name.community.sql` for those with its community licence. On other servers these stay pending:
a database that gets TimescaleDB later is upgraded by the next run. So no file may depend on an
earlier file of an edition.

`{timescaledb}` in a file stands for the schema of the extension, which need not be in the search
path.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from importlib.resources import files
from time import monotonic
from typing import Final, NamedTuple

import psycopg

from conductor_actors.adapters.postgres.connection import (
    DatabaseConnection,
    connect,
    primary_message,
    transaction,
)
from conductor_actors.adapters.postgres.editions import (
    TIME_COLUMNS,
    Edition,
    detect_server,
    timescaledb_schema,
)
from conductor_actors.errors import ConfigError
from conductor_actors.log_events import ExtensionCreated, ExtensionRefused, MigrationApplied, emit

# Turning a large table into a hypertable moves every row.
MIGRATION_DEADLINE_S: Final = 600.0

# An advisory lock that no other program uses: it spells "conducto".
_MIGRATION_LOCK: Final = 0x636F6E647563746F

_EDITIONS_BY_SUFFIX: Final = {
    "": frozenset(Edition),
    "timescaledb": frozenset({Edition.COMMUNITY, Edition.APACHE}),
    "community": frozenset({Edition.COMMUNITY}),
}

_TIMESCALEDB: Final = "{timescaledb}"

_OWN_SCHEMA: Final = (
    "give this service a database of its own, or a schema: CREATE SCHEMA conductor AUTHORIZATION "
    "USER; ALTER ROLE USER SET search_path = conductor, with the USER in DATABASE_URL"
)

_CREATE_SCHEMA_MIGRATIONS: Final = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        number integer PRIMARY KEY,
        name text NOT NULL,
        checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""

# Its schema; whether it has our columns; whether it is where our tables would be created.
_FIND_SCHEMA_MIGRATIONS: Final = """
    SELECT nspname,
           (SELECT count(*) FROM pg_attribute
            WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
              AND attname IN ('number', 'name', 'checksum')) = 3,
           nspname = current_schema()
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = to_regclass('schema_migrations')
"""
_FIND_NAMESAKES: Final = """
    SELECT nspname, relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = current_schema() AND relname = ANY(%s) ORDER BY relname
"""


class Migration(NamedTuple):
    """One numbered step, for servers of certain editions."""

    number: int
    name: str
    editions: frozenset[Edition]
    script: str

    @property
    def checksum(self) -> str:
        """The SHA-256 of the statements, which does not depend on the schema of TimescaleDB."""
        return sha256(self.script.replace(f"{_TIMESCALEDB}.", "").encode()).hexdigest()

    def statements(self, connection: DatabaseConnection) -> str:
        """Return the script for this database."""
        if _TIMESCALEDB not in self.script:
            return self.script
        return self.script.replace(_TIMESCALEDB, timescaledb_schema(connection).as_string())


def load() -> list[Migration]:
    """Return the migrations that come with the package, in order."""
    found = files("conductor_actors.adapters.postgres.schema").iterdir()
    scripts = {file.name: file.read_text("utf-8") for file in found if file.name.endswith(".sql")}
    return [_migration(name.removesuffix(".sql"), scripts[name]) for name in sorted(scripts)]


def migrate(url: str, deadline_s: float = MIGRATION_DEADLINE_S) -> list[str]:
    """Bring the tables up to date; return the names of the migrations that were applied.

    Several processes may run this at once. Each migration is one transaction with the whole
    deadline. Raise `ConfigError` for what the operator must change.
    """
    applied: list[str] = []
    with closing(connect(url, deadline_s)) as connection:
        with _locked(connection, deadline_s):
            _create_extension(connection)
        while (name := _apply_next(connection, deadline_s)) is not None:
            applied.append(name)
    return applied


def pending(connection: DatabaseConnection, edition: Edition) -> list[Migration]:
    """Return the migrations that this server still needs.

    Raise `ConfigError` if the database was migrated with other files than these, or has tables of
    the same names that another program created.
    """
    known = load()
    applied = _applied(connection)
    if not applied:
        _require_free_names(connection)
    _require_known(known, applied)
    _require_unchanged(known, applied)
    return [m for m in known if m.number not in applied and edition in m.editions]


def _migration(name: str, script: str) -> Migration:
    """Return the migration with a name such as `002_hypertables.timescaledb`."""
    _, _, suffix = name.partition(".")
    return Migration(int(name.partition("_")[0]), name, _EDITIONS_BY_SUFFIX[suffix], script)


@contextmanager
def _locked(connection: DatabaseConnection, deadline_s: float) -> Iterator[None]:
    """Run the block in a transaction, one process at a time."""
    with transaction(connection, deadline_s):
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
        yield


def _create_extension(connection: DatabaseConnection) -> None:
    """Create the extension if its library is preloaded.

    The setting exists only then; without the library CREATE EXTENSION would end the session.
    """
    available = connection.execute(
        """
        SELECT FROM pg_available_extensions
        WHERE name = 'timescaledb' AND installed_version IS NULL
          AND current_setting('timescaledb.disable_load', true) IS NOT NULL
        """
    )
    if not available.rowcount:
        return
    try:
        with connection.transaction():
            connection.execute("CREATE EXTENSION timescaledb")
    except psycopg.errors.InsufficientPrivilege as error:
        emit(ExtensionRefused(extension="timescaledb", reason=primary_message(error)))
    else:
        emit(ExtensionCreated(extension="timescaledb"))


def _apply_next(connection: DatabaseConnection, deadline_s: float) -> str | None:
    """Apply the first pending migration and return its name; None if there is none."""
    with _locked(connection, deadline_s):
        to_apply = pending(connection, detect_server(connection).edition)
        if not to_apply:
            return None
        _apply(connection, to_apply[0])
    return to_apply[0].name


def _apply(connection: DatabaseConnection, migration: Migration) -> None:
    started_s = monotonic()
    try:
        connection.execute(migration.statements(connection).encode())
    except psycopg.errors.InsufficientPrivilege:
        raise
    except psycopg.errors.DuplicateTable as error:
        raise ConfigError(
            f"migration {migration.name} failed: {primary_message(error)}, and this service did "
            f"not create it: {_OWN_SCHEMA}"
        ) from None
    except psycopg.ProgrammingError as error:
        raise ConfigError(f"migration {migration.name} failed: {primary_message(error)}") from None
    connection.execute(_CREATE_SCHEMA_MIGRATIONS)
    connection.execute(
        "INSERT INTO schema_migrations (number, name, checksum) VALUES (%s, %s, %s)",
        (migration.number, migration.name, migration.checksum),
    )
    emit(MigrationApplied(name=migration.name, duration_s=monotonic() - started_s))


def _applied(connection: DatabaseConnection) -> dict[int, tuple[str, str]]:
    """Return name and checksum of the applied migrations, by number.

    Another program's table of that name is an error where ours would be created, else ignored.
    """
    found = connection.execute(_FIND_SCHEMA_MIGRATIONS).fetchone()
    match found:
        case (_, True, _):
            rows = connection.execute("SELECT number, name, checksum FROM schema_migrations")
            return {number: (name, checksum) for number, name, checksum in rows}
        case (schema, False, True):
            raise ConfigError(
                f"the table schema_migrations in schema {schema} is another program's: "
                f"{_OWN_SCHEMA}"
            )
    return {}


def _require_free_names(connection: DatabaseConnection) -> None:
    """Raise `ConfigError` if tables have the names of ours, although none was created."""
    found = connection.execute(_FIND_NAMESAKES, (list(TIME_COLUMNS),)).fetchall()
    if found:
        names = ", ".join(name for _, name in found)
        raise ConfigError(
            f"schema {found[0][0]} already has {names}, which this service did not create: "
            f"{_OWN_SCHEMA}"
        )


def _require_known(known: Sequence[Migration], applied: dict[int, tuple[str, str]]) -> None:
    newer = sorted(applied.keys() - {migration.number for migration in known})
    if newer:
        raise ConfigError(
            f"the database has migration {applied[newer[0]][0]}, which this version does not "
            "know: install the version that applied it, or a newer one"
        )


def _require_unchanged(known: Sequence[Migration], applied: dict[int, tuple[str, str]]) -> None:
    for migration in known:
        _, checksum = applied.get(migration.number, ("", migration.checksum))
        if checksum != migration.checksum:
            raise ConfigError(
                f"migration {migration.name} is not what was applied to this database: "
                "put the file back as it was and make the change in a new one"
            )
