"""Rows past their retention are deleted: exactly, by chunk, or by the server itself."""

from contextlib import closing

import psycopg
import pytest

from conductor_actors.adapters.postgres import editions
from conductor_actors.adapters.postgres.connection import connect
from conductor_actors.adapters.postgres.editions import Edition
from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.errors import ConfigError, Unavailable

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


def test_a_plain_table_loses_exactly_the_rows_that_are_older(plain_database: str) -> None:
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


def test_a_plain_table_is_cleaned_in_batches(plain_database: str) -> None:
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


def test_a_hypertable_loses_the_chunks_that_are_older(timescale_database: str) -> None:
    migrate(timescale_database)
    with (
        closing(PostgresRowStore(timescale_database)) as store,
        connect(timescale_database) as connection,
    ):
        if editions.detect_server(connection).edition is Edition.COMMUNITY:
            pytest.skip("this server drops chunks by itself")
        connection.execute(_FILL)
        assert store.apply_retention(days=10.0) >= 18 + 6
        count, oldest_days = connection.execute(_AGES).fetchall()[0]
        assert count >= 14_400
        assert 9.9 < oldest_days <= 11.01
        assert store.apply_retention(days=10.0) == 0


def test_with_the_community_licence_the_server_gets_a_policy(timescale_database: str) -> None:
    migrate(timescale_database)
    with connect(timescale_database) as connection:
        if editions.detect_server(connection).edition is Edition.COMMUNITY:
            assert editions.apply_retention(connection, Edition.COMMUNITY, 10.0, 5.0) == 0
            return
        with pytest.raises(ConfigError, match="retention_policy"):
            editions.apply_retention(connection, Edition.COMMUNITY, 10.0, 5.0)


# Sessions that ended so many days ago (or are live), and titles that were set so many days ago.
_FILL_CATALOG = """
    INSERT INTO sessions (tenant_id, session_id, event_id, started_at, ended_at)
    SELECT 'default', name, event, now() - interval '90 days', now() - days * interval '1 day'
    FROM (VALUES ('old', 'e1', 11), ('new', 'e2', 9), ('live', 'e3', NULL))
         AS t (name, event, days);
    INSERT INTO session_titles (tenant_id, session_id, event_id, planned_end, updated_at)
    SELECT 'default', name, event, now() + ahead * interval '1 day', now() - days * interval '1 day'
    FROM (VALUES ('old', 'e1', NULL, 20), ('new', 'e2', NULL, 20), ('live', 'e3', NULL, 20),
                 ('planned', 'e4', 30, 20), ('missed', 'e5', -11, 20), ('just set', 'e6', NULL, 1))
         AS t (name, event, ahead, days);
    INSERT INTO event_titles (tenant_id, event_id, updated_at)
    SELECT 'default', 'e' || n, now() - interval '20 days' FROM generate_series(1, 6) AS n;
"""


@pytest.mark.parametrize("database", ["plain_database", "timescale_database"])
def test_a_session_expires_with_its_last_row_and_titles_with_what_they_name(
    database: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(database)
    migrate(url)
    with (
        closing(PostgresRowStore(url)) as store,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        connection.execute(_FILL_CATALOG)
        assert store.apply_retention(days=10.0) == 1 + 2 + 2
        for table, key, left in (
            ("sessions", "session_id", ["live", "new"]),
            ("session_titles", "session_id", ["just set", "live", "new", "planned"]),
            ("event_titles", "event_id", ["e2", "e3", "e4", "e6"]),
        ):
            found = connection.execute(f"SELECT {key} FROM {table} ORDER BY 1".encode()).fetchall()
            assert [name for (name,) in found] == left
