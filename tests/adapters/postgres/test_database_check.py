"""What `check` reports about a database."""

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.errors import ConfigError
from conductor_actors.ports import CheckResult
from tests.support.score_rows import row


@pytest.fixture
def reader(shared_timescale_database: str) -> Iterator[str]:
    """Yield the URL of a user who may connect, and nothing else."""
    name = sql.Identifier(f"reader_{uuid4().hex}")
    with psycopg.connect(shared_timescale_database, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
        yield make_conninfo(shared_timescale_database, user=name.as_string().strip('"'))
        connection.execute(sql.SQL("DROP OWNED BY {}").format(name))
        connection.execute(sql.SQL("DROP ROLE {}").format(name))


def test_a_check_of_a_good_database_finds_nothing_wrong(shared_plain_database: str) -> None:
    findings = PostgresRowStore(shared_plain_database).check()
    assert all(finding.ok for finding in findings)
    assert [finding.line.partition(":")[0] for finding in findings] == [
        "database",
        "tables",
        "writing",
    ]
    assert "PostgreSQL" in findings[0].line


def test_a_check_names_the_edition(shared_timescale_database: str) -> None:
    findings = PostgresRowStore(shared_timescale_database).check()
    assert "TimescaleDB 2." in findings[0].line
    assert "licence" in findings[0].line


def test_a_check_of_an_empty_database_says_what_to_run_and_changes_nothing(
    plain_database: str,
) -> None:
    findings = PostgresRowStore(plain_database).check()
    assert [finding.ok for finding in findings] == [True, False, False]
    assert "001_tables" in findings[1].line
    assert "migrate" in findings[1].line
    with psycopg.connect(plain_database) as connection:
        assert connection.execute("SELECT FROM pg_tables WHERE schemaname='public'").rowcount == 0


def test_a_check_says_that_a_server_is_read_only(plain_database: str) -> None:
    migrate(plain_database)
    url = make_conninfo(plain_database, options="-c default_transaction_read_only=on")
    assert PostgresRowStore(url).check()[-1] == CheckResult(
        ok=False, line="writing: the server is read-only"
    )


def test_a_check_says_what_the_user_lacks(reader: str, shared_timescale_database: str) -> None:
    with psycopg.connect(shared_timescale_database) as connection:
        connection.execute("GRANT SELECT ON schema_migrations, engagement_metrics TO PUBLIC")
    finding = PostgresRowStore(reader).check()[-1]
    assert finding == CheckResult(
        ok=False, line="writing: the user lacks SELECT and INSERT on engagement_metrics"
    )


def test_a_write_by_a_user_who_may_not_says_what_to_grant(reader: str) -> None:
    with (
        closing(PostgresRowStore(reader)) as store,
        pytest.raises(ConfigError, match="SELECT, INSERT and DELETE on the tables"),
    ):
        store.write([row()])


def test_a_check_of_a_database_that_is_away_says_so() -> None:
    (finding,) = PostgresRowStore("postgresql://127.0.0.1:1/engagement").check()
    assert not finding.ok
    assert "Connection refused" in finding.line
