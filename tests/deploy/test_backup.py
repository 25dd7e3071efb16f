"""The history, backed up and restored by the scripts of `deploy/`, on real servers."""

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg
import pytest

from conductor_actors.adapters.postgres import migrations
from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError
from tests.deploy.conftest import PSQL, UserUrl, made, make_roles, user_url
from tests.deploy.files import DEPLOY, text
from tests.support.programs import select_rows
from tests.support.score_rows import AT_MS, began, ended, row

pytestmark = pytest.mark.e2e

ROWS = [row(f"session {n % 7}", AT_MS + n * 86_400_000) for n in range(70)]  # many chunks
ANOMALY = row("a", anomalies=(began(),))
END = row("a", AT_MS + 5000, anomalies=(ended(),))

OPERATIONS = text(DEPLOY / "OPERATIONS.md")


def run(script: str, *arguments: str) -> None:
    programs = {"PATH": f"{Path(PSQL).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [str(DEPLOY / script), *arguments],
        env=os.environ | programs,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def drop(superuser_url: str) -> None:
    with psycopg.connect(superuser_url, autocommit=True) as server:
        server.execute("DROP DATABASE conductor WITH (FORCE)")


def drop_extension(superuser_url: str) -> None:
    with psycopg.connect(superuser_url, autocommit=True) as database:
        database.execute("DROP EXTENSION IF EXISTS timescaledb")


def create_extension(superuser_url: str) -> None:
    """Create the extension where a database has it that was created from TimescaleDB's template."""
    with psycopg.connect(superuser_url, autocommit=True) as database:
        database.execute("CREATE EXTENSION IF NOT EXISTS timescaledb SCHEMA public")


def test_a_restored_history_is_the_one_that_was_backed_up_and_goes_on(
    database_user: UserUrl, superuser_url: str, tmp_path: Path
) -> None:
    back_up_and_restore(database_user, superuser_url, tmp_path)


@pytest.mark.parametrize("prepare", [drop_extension, create_extension])
def test_a_history_is_restored_where_the_extension_lives_in_a_schema_of_its_own(
    timescaledb_url: str, tmp_path: Path, prepare: Callable[[str], None]
) -> None:
    with made(timescaledb_url):
        superuser = user_url(timescaledb_url, "postgres")
        drop_extension(superuser)
        with psycopg.connect(superuser, autocommit=True) as database:
            database.execute('CREATE SCHEMA "Time Series"')
            database.execute('CREATE EXTENSION timescaledb SCHEMA "Time Series"')
            database.execute('GRANT USAGE ON SCHEMA "Time Series" TO conductor_owner')
        user = partial(user_url, timescaledb_url)
        back_up_and_restore(user, timescaledb_url, tmp_path, prepare)
        with psycopg.connect(superuser) as database:
            found = database.execute(
                "SELECT extnamespace::regnamespace::text FROM pg_extension"
                " WHERE extname = 'timescaledb'"
            )
            assert found.fetchall() == [('"Time Series"',)]


def back_up_and_restore(
    database_user: UserUrl,
    superuser_url: str,
    tmp_path: Path,
    prepare: Callable[[str], object] = lambda _: None,
) -> None:
    """Restore a history into a new database, which is prepared by `prepare(URL of superuser)`."""
    owner, writer, reader = map(
        database_user, ("conductor_owner", "conductor_writer", "conductor_reader")
    )
    migrate(owner)
    write(writer, [*ROWS, ANOMALY])
    before = select_rows(reader)
    backup = str(tmp_path / "conductor.dump")
    run("backup.sh", owner, backup)
    write(writer, [row("after the backup")])
    drop(superuser_url)
    make_roles(superuser_url)
    prepare(database_user("postgres"))
    run("restore.sh", backup, database_user("postgres"))
    assert select_rows(reader) == before
    assert len(before) == len(ROWS) + 1
    assert migrate(owner) == []
    assert write(writer, [*ROWS, ANOMALY, END]) == 1  # the rest is there
    with psycopg.connect(reader) as connection:
        found = connection.execute("SELECT metadata->>'ended_at' FROM anomalies").fetchall()
    assert found == [("2026-01-04T12:00:05.000Z",)]


def write(url: str, rows: Sequence[ScoreRow]) -> int:
    """Store rows as the collector does, and count the new ones."""
    with closing(PostgresRowStore(url)) as store:
        assert all(finding.ok for finding in store.check())
        return store.write(rows).stored


def test_a_backup_that_fails_leaves_no_file_that_looks_whole(tmp_path: Path) -> None:
    backup = tmp_path / "conductor.dump"
    with pytest.raises(AssertionError, match="connection to server"):
        run("backup.sh", "postgresql://conductor_owner@127.0.0.1:1/conductor", str(backup))
    assert not backup.exists()


def test_going_back_and_forward_again_takes_the_statements_that_operators_are_told(
    database_user: UserUrl,
) -> None:
    owner = database_user("conductor_owner")
    migrate(owner)
    newest = max(migration.number for migration in migrations.load())
    with psycopg.connect(owner) as connection:  # a version that is newer than this one
        connection.execute(
            "INSERT INTO schema_migrations (number, name, checksum) VALUES (%s, 'newer', '')",
            (newest + 1,),
        )
    with pytest.raises(ConfigError, match="newer"):
        migrate(owner)

    def told(beginning: str) -> None:
        [statement] = re.findall(rf'"({beginning}.*)"$', OPERATIONS, re.MULTILINE)
        with psycopg.connect(owner) as connection:
            connection.execute(statement.replace("NUMBER", f"{newest}").encode())

    told("CREATE TABLE schema_migrations_ahead")
    assert migrate(owner) == []
    told("INSERT INTO schema_migrations")
    with pytest.raises(ConfigError, match="newer"):
        migrate(owner)
