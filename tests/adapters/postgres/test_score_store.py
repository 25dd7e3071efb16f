"""What the store does differently from server to server: editions, retention, check."""

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from conductor_actors.adapters.postgres import editions
from conductor_actors.adapters.postgres.editions import DatabaseServer, Edition, server_of
from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.errors import ConfigError, Unavailable
from tests.support.score_rows import row

# A row for each of the last 40,000 minutes, which take several batches to delete, and one for
# each of the last 60 days.
_FILL = """
    INSERT INTO engagement_metrics
    SELECT now() - (n - 0.5) * interval '1 minute', 'default', 's', 'e', 0, 'LOW', 0, 0, 0, 0, 0, 0
    FROM generate_series(1, 40000) AS n;
    INSERT INTO interventions (id, timestamp, tenant_id, session_id, event_id, type, status)
    SELECT gen_random_uuid(), now() - (n - 0.5) * interval '1 day', 'default', 's', 'e', 't', 's'
    FROM generate_series(1, 60) AS n;
"""
_AGES = """
    SELECT count(*), extract(epoch FROM max(now() - time)) / 86400 FROM engagement_metrics
"""


@pytest.mark.parametrize(
    ("timescaledb", "licence", "edition"),
    [
        ("2.19.3", "timescale", Edition.COMMUNITY),
        ("2.19.3", "apache", Edition.APACHE),
        ("2.19.3", None, Edition.APACHE),
        (None, None, Edition.PLAIN),
        (None, "timescale", Edition.PLAIN),
    ],
)
def test_an_edition_is_an_extension_and_its_licence(
    timescaledb: str | None, licence: str | None, edition: Edition
) -> None:
    assert server_of("17.11 (Debian)", timescaledb, licence) == DatabaseServer(
        edition, "17.11", timescaledb
    )


@pytest.mark.parametrize(
    ("postgresql", "timescaledb"), [("14.9", None), ("9.6", None), ("17.1", "2.17.2")]
)
def test_a_server_that_is_too_old_is_refused(postgresql: str, timescaledb: str | None) -> None:
    with pytest.raises(ConfigError, match="too old"):
        server_of(postgresql, timescaledb, "timescale")


@pytest.mark.parametrize("postgresql", ["15.0", "18beta1", "18.6 (Homebrew)"])
def test_a_new_server_is_not_too_old(postgresql: str) -> None:
    assert server_of(postgresql, "2.18.0", "apache").edition is Edition.APACHE


def test_a_plain_table_lets_go_of_exactly_what_is_older(plain_database: str) -> None:
    migrate(plain_database)
    with (
        closing(PostgresRowStore(plain_database)) as store,
        psycopg.connect(plain_database, autocommit=True) as connection,
    ):
        connection.execute(_FILL)
        assert store.apply_retention(days=10.0) == (40_000 - 14_400) + (60 - 10)
        count, oldest_days = connection.execute(_AGES).fetchall()[0]
        assert count == 14_400
        assert oldest_days <= 10.01
        assert store.apply_retention(days=10.0) == 0


def test_a_plain_table_is_emptied_batch_by_batch(plain_database: str) -> None:
    """Prove it by a batch that can't be deleted: those before it are gone for good."""
    migrate(plain_database)
    with (
        closing(PostgresRowStore(plain_database, deadline_s=0.5)) as store,
        psycopg.connect(plain_database, autocommit=True) as connection,
    ):
        connection.execute(_FILL)
        with connection.transaction():
            connection.execute("SELECT FROM engagement_metrics ORDER BY time LIMIT 1 FOR UPDATE")
            with pytest.raises(Unavailable):
                store.apply_retention(days=10.0)
        count, _ = connection.execute(_AGES).fetchall()[0]
        assert 14_400 < count < 40_000


def test_a_hypertable_lets_go_of_chunks_that_are_older(timescale_database: str) -> None:
    migrate(timescale_database)
    with (
        closing(PostgresRowStore(timescale_database)) as store,
        psycopg.connect(timescale_database, autocommit=True) as connection,
    ):
        if editions.detect_server(connection).edition is Edition.COMMUNITY:
            pytest.skip("this server drops chunks by itself")
        connection.execute(_FILL)
        assert store.apply_retention(days=10.0) >= 18 + 6
        count, oldest_days = connection.execute(_AGES).fetchall()[0]
        assert count >= 14_400
        assert 9.9 < oldest_days <= 11.01
        assert store.apply_retention(days=10.0) == 0


def test_with_the_community_licence_the_server_is_given_a_policy(timescale_database: str) -> None:
    migrate(timescale_database)
    with psycopg.connect(timescale_database, autocommit=True) as connection:
        if editions.detect_server(connection).edition is Edition.COMMUNITY:
            assert editions.apply_retention(connection, Edition.COMMUNITY, 10.0, 5.0) == 0
            return
        with pytest.raises(ConfigError, match="retention_policy"):
            editions.apply_retention(connection, Edition.COMMUNITY, 10.0, 5.0)


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
    assert PostgresRowStore(url).check()[-1] == (False, "writing: the server is read-only")


def test_a_check_says_what_the_user_lacks(reader: str, shared_timescale_database: str) -> None:
    with psycopg.connect(shared_timescale_database) as connection:
        connection.execute("GRANT SELECT ON schema_migrations, engagement_metrics TO PUBLIC")
    finding = PostgresRowStore(reader).check()[-1]
    assert finding == (False, "writing: the user lacks SELECT and INSERT on engagement_metrics")


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


def test_rows_on_their_way_are_not_kept(shared_plain_database: str) -> None:
    with closing(PostgresRowStore(shared_plain_database)) as store:
        for _ in range(2):
            store.write([row()])
        assert store._connection is not None
        assert store._connection.execute("SELECT FROM staging").rowcount == 0
