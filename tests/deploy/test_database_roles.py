"""What each role of `roles.sql` may not do, on real servers."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from conductor_actors.adapters.postgres.anomaly_store import PostgresAnomalyStore
from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.errors import ConfigError
from conductor_actors.ports import CheckResult
from conductor_actors.ports.anomaly_port import AnomalyFeedback
from tests.deploy.conftest import UserUrl, make_roles, user_url
from tests.support.interventions import MEASURED, intervention
from tests.support.score_rows import AT_MS, began, ended, row
from tests.support.stored_anomalies import anomaly, store_anomalies

NEVER = [
    "CREATE TABLE other ()",
    "CREATE ROLE other",
    "CREATE DATABASE other",
    "SELECT * FROM pg_authid",
    "COPY (SELECT 1) TO PROGRAM 'true'",
]
CHANGES = [
    "UPDATE engagement_metrics SET engagement_score = 1",
    "DELETE FROM engagement_metrics",
    "TRUNCATE engagement_metrics",
    "DROP TABLE engagement_metrics",
    "ALTER TABLE engagement_metrics ADD other text",
    "DELETE FROM anomalies",
    "DELETE FROM schema_migrations",
    "UPDATE anomalies SET severity = 'WARNING'",
    "UPDATE interventions SET type = 'POLL'",
    "UPDATE agent_performance SET success = true",
    "DELETE FROM interventions",
    "DELETE FROM anomalies",
    "DELETE FROM sessions",
    "DELETE FROM session_titles",
    "DELETE FROM event_titles",
]
INSERT = "INSERT INTO anomalies SELECT * FROM anomalies"
OF_SESSIONS = ["INSERT INTO sessions SELECT * FROM sessions", "UPDATE sessions SET ended_at = NULL"]
DELIVERIES = ["DELETE FROM webhook_deliveries", "UPDATE webhook_deliveries SET body = ''"]
TEMPORARY = "CREATE TEMPORARY TABLE other ()"
REFUSED = {
    "conductor_owner": NEVER[1:],
    "conductor_writer": [*NEVER, *CHANGES, TEMPORARY],
    "conductor_reader": [*NEVER, *CHANGES, TEMPORARY, INSERT, *OF_SESSIONS],
}


@pytest.fixture
def migrated(database_user: UserUrl) -> UserUrl:
    migrate(database_user("conductor_owner"))
    return database_user


def refusals(url: str, statements: list[str]) -> Iterator[str]:
    """Try each as somebody who takes the brakes off first, and give those that are refused."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        for statement in statements:
            try:
                connection.execute(statement)
            except InsufficientPrivilege:
                yield statement


def test_each_role_is_refused_what_is_not_its_part(migrated: UserUrl) -> None:
    for role, statements in REFUSED.items():
        assert list(refusals(migrated(role), statements)) == statements, role


def test_the_writer_stores_rows_and_the_reader_reads_them(migrated: UserUrl) -> None:
    with closing(PostgresRowStore(migrated("conductor_writer"), has_webhook=bool)) as store:
        assert all(finding.ok for finding in store.check())
        assert store.write([row("a"), row("b")]).stored == 2
        assert store.write([row("b"), row("c")]).stored == 1
    with psycopg.connect(migrated("conductor_reader")) as reader:
        found = reader.execute("SELECT session_id FROM engagement_metrics ORDER BY 1").fetchall()
    assert found == [("a",), ("b",), ("c",)]


def test_the_writer_stores_the_begin_and_the_end_of_an_anomaly(migrated: UserUrl) -> None:
    with closing(PostgresRowStore(migrated("conductor_writer"))) as store:
        store.write([row(anomalies=(began(),)), row(at_ms=AT_MS + 5000, anomalies=(ended(),))])
    with psycopg.connect(migrated("conductor_reader")) as reader:
        found = reader.execute("SELECT metadata->>'ended_at' FROM anomalies").fetchall()
    assert found == [("2026-01-04T12:00:05.000Z",)]


def test_the_writer_ends_a_session_and_stores_its_figures(migrated: UserUrl) -> None:
    with closing(PostgresRowStore(migrated("conductor_writer"))) as store:
        store.write([row()])
        store.write([row(at_ms=AT_MS + 5000, is_last=True)])
    with psycopg.connect(migrated("conductor_writer")) as writer:
        writer.execute("UPDATE sessions SET summarised_at = ended_at, mean_score = 0.5")
    with psycopg.connect(migrated("conductor_reader")) as reader:
        found = reader.execute("SELECT mean_score FROM sessions WHERE ended_at IS NOT NULL")
        assert found.fetchall() == [(0.5,)]


def test_rows_wait_until_the_writer_may_store_their_sessions(migrated: UserUrl) -> None:
    with (
        closing(PostgresRowStore(migrated("conductor_writer"))) as store,
        psycopg.connect(migrated("conductor_owner"), autocommit=True) as owner,
    ):
        owner.execute("REVOKE UPDATE ON sessions FROM conductor_writer")
        assert "SELECT, INSERT and UPDATE on sessions" in store.check()[-1].line
        with pytest.raises(ConfigError, match="UPDATE on"):
            store.write([row("a"), row("b")])
        owner.execute("GRANT UPDATE ON sessions TO conductor_writer")
        assert store.write([row("a"), row("b")]).stored == 2


@pytest.mark.parametrize("role", ["conductor_writer", "conductor_reader"])
def test_the_writer_and_the_reader_store_titles(migrated: UserUrl, role: str) -> None:
    with psycopg.connect(migrated(role)) as user:
        user.execute("SET TRANSACTION READ WRITE")
        for table, key in (("session_titles", "session_id"), ("event_titles", "event_id")):
            user.execute(
                f"INSERT INTO {table} (tenant_id, {key}, title, updated_at)"
                " VALUES ('default', 'keynote', 'Keynote', now())"
                f" ON CONFLICT (tenant_id, {key}) DO UPDATE SET title = excluded.title".encode()
            )


def test_a_database_that_was_migrated_before_its_roles_were_made_gets_the_grants(
    migrated: UserUrl, superuser_url: str
) -> None:
    with psycopg.connect(migrated("conductor_owner"), autocommit=True) as owner:
        owner.execute("REVOKE UPDATE ON sessions, session_titles FROM conductor_writer")
        owner.execute("REVOKE INSERT, UPDATE ON event_titles FROM conductor_reader")
    make_roles(superuser_url)
    with psycopg.connect(migrated("conductor_owner")) as owner:
        for role, table in (
            ("conductor_writer", "sessions"),
            ("conductor_writer", "session_titles"),
            ("conductor_reader", "event_titles"),
        ):
            granted = owner.execute("SELECT has_table_privilege(%s, %s, 'UPDATE')", (role, table))
            assert granted.fetchone() == (True,)


def test_the_writer_stores_each_change_of_an_intervention(migrated: UserUrl) -> None:
    changes = [
        row(interventions=(intervention(status="SUGGESTED"),)),
        row(at_ms=AT_MS + 5000, interventions=(intervention(outcome=MEASURED),)),
    ]
    with closing(PostgresRowStore(migrated("conductor_writer"))) as store:
        for changed in changes:
            assert not store.write([changed]).refused
    with psycopg.connect(migrated("conductor_reader")) as reader:
        found = reader.execute(
            "SELECT status, success FROM interventions JOIN agent_performance USING (id)"
        ).fetchall()
    assert found == [("APPROVED", True)]


def test_rows_with_interventions_wait_until_the_writer_may_store_them(migrated: UserUrl) -> None:
    changed = row(interventions=(intervention(),))
    with (
        closing(PostgresRowStore(migrated("conductor_writer"))) as store,
        psycopg.connect(migrated("conductor_owner"), autocommit=True) as owner,
    ):
        owner.execute("REVOKE UPDATE (outcome) ON interventions FROM conductor_writer")
        assert "UPDATE (status, outcome, metadata) on interventions" in store.check()[-1].line
        with pytest.raises(ConfigError, match="UPDATE on"):
            store.write([row("other"), changed])
        owner.execute("GRANT UPDATE (outcome) ON interventions TO conductor_writer")
        assert store.write([row("other"), changed]).stored == 2


def test_rows_with_anomalies_wait_until_the_writer_may_end_them(migrated: UserUrl) -> None:
    begin, end = row(anomalies=(began(),)), row(at_ms=AT_MS + 5000, anomalies=(ended(),))
    with (
        psycopg.connect(migrated("conductor_owner"), autocommit=True) as owner,
        closing(PostgresRowStore(migrated("conductor_writer"))) as store,
    ):
        owner.execute("REVOKE UPDATE (metadata) ON anomalies FROM conductor_writer")
        missing = "writing: the user lacks SELECT, INSERT and UPDATE (metadata) on anomalies"
        assert store.check()[-1] == CheckResult(ok=False, line=missing)
        assert store.write([row("a"), begin]).stored == 2
        for rows in ([row("b"), end], [end]):
            with pytest.raises(ConfigError, match="UPDATE on anomalies"):
                store.write(rows, [row("b")])
        owner.execute("GRANT UPDATE (metadata) ON anomalies TO conductor_writer")
        assert not store.write([row("b"), end]).refused
        assert owner.execute("SELECT FROM anomalies WHERE metadata ? 'ended_at'").rowcount == 1


def test_the_writer_finds_nothing_to_migrate_and_needs_no_right_to(migrated: UserUrl) -> None:
    assert migrate(migrated("conductor_writer")) == []


def test_a_table_of_a_later_migration_can_be_written_and_read_at_once(migrated: UserUrl) -> None:
    with psycopg.connect(migrated("conductor_owner")) as owner:
        owner.execute("CREATE TABLE later (n int)")
    with psycopg.connect(migrated("conductor_writer")) as writer:
        writer.execute("INSERT INTO later VALUES (1)")
    with psycopg.connect(migrated("conductor_reader")) as reader:
        assert reader.execute("SELECT n FROM later").fetchall() == [(1,)]


def warnings(url: str) -> list[str]:
    """Return the subjects of the warnings that `check` prints."""
    found = PostgresRowStore(url).check()
    return [each.line.partition(":")[0] for each in found if each.is_warning]


@pytest.mark.anyio
async def test_the_reader_stores_feedback_and_without_the_grant_is_told_what_it_needs(
    migrated: UserUrl, superuser_url: str
) -> None:
    store_anomalies(migrated("conductor_writer"), anomaly())
    store = PostgresAnomalyStore(migrated("conductor_reader"))
    await store.open()
    feedback = AnomalyFeedback("problem", AT_MS)
    assert warnings(migrated("conductor_reader")) == []
    found = await store.store_feedback("default", anomaly().id, None, feedback)
    assert found == anomaly()
    with psycopg.connect(migrated("conductor_owner")) as owner:
        owner.execute("REVOKE UPDATE (metadata) ON anomalies FROM conductor_reader")
    assert warnings(migrated("conductor_reader")) == ["feedback"]
    with pytest.raises(ConfigError, match="UPDATE on anomalies"):
        await store.store_feedback("default", anomaly().id, None, feedback)
    make_roles(superuser_url)
    found = await store.store_feedback("default", anomaly().id, None, feedback)
    assert found == anomaly(feedback=feedback)
    await store.close()


def test_a_reader_who_may_not_store_titles_is_warned(migrated: UserUrl, superuser_url: str) -> None:
    assert warnings(migrated("conductor_reader")) == []
    with psycopg.connect(migrated("conductor_owner")) as owner:
        owner.execute("REVOKE UPDATE ON event_titles FROM conductor_reader")
    assert warnings(migrated("conductor_reader")) == ["titles"]
    make_roles(superuser_url)
    assert warnings(migrated("conductor_reader")) == []


def test_running_the_script_again_changes_nothing(migrated: UserUrl, superuser_url: str) -> None:
    with closing(PostgresRowStore(migrated("conductor_writer"))) as store:
        store.write([row()])
        make_roles(superuser_url)
        store.write([row("later")])
    with psycopg.connect(user_url(superuser_url, "conductor_reader")) as reader:
        assert reader.execute("SELECT count(*) FROM engagement_metrics").fetchone() == (2,)
