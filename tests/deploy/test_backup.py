"""The history, backed up and restored by the scripts of `deploy/`, on real servers."""

import os
import re
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from conductor_actors.adapters.postgres import migrations
from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError
from tests.deploy.conftest import PSQL, UserUrl, make_roles
from tests.deploy.files import DEPLOY, text
from tests.support.programs import select_rows
from tests.support.score_rows import AT_MS, row

pytestmark = pytest.mark.e2e

ROWS = [row(f"session {n % 7}", AT_MS + n * 86_400_000) for n in range(70)]  # many chunks


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


def test_a_restored_history_is_the_one_that_was_backed_up_and_goes_on(
    database_user: UserUrl, superuser_url: str, tmp_path: Path
) -> None:
    owner, writer, reader = map(
        database_user, ("conductor_owner", "conductor_writer", "conductor_reader")
    )
    migrate(owner)
    write(writer, ROWS)
    before = select_rows(reader)
    backup = str(tmp_path / "conductor.dump")
    run("backup.sh", owner, backup)
    write(writer, [row("after the backup")])
    drop(superuser_url)
    make_roles(superuser_url)
    run("restore.sh", backup, database_user("postgres"))
    assert select_rows(reader) == before
    assert len(before) == len(ROWS)
    assert migrate(owner) == []
    assert write(writer, [*ROWS, row("later")]) == 1  # the rest is there


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
