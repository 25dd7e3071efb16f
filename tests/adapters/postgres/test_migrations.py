"""Creating and updating the tables."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Barrier, Event
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from conductor_actors.adapters.postgres import migrations
from conductor_actors.adapters.postgres.connection import DatabaseConnection, connect
from conductor_actors.adapters.postgres.editions import Edition, detect_server
from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError
from conductor_actors.instants import to_datetime
from tests.adapters.postgres.expected_schema import (
    CATALOG_COLUMNS,
    CATALOG_INDEXES,
    CHECKSUMS,
    COLUMNS,
    INDEXES,
)
from tests.support.programs import select_rows
from tests.support.score_rows import AT_MS, row

PATIENCE_S = 10.0
TABLES = ["001_tables"]
HYPERTABLES = ["002_hypertables.timescaledb"]
COMMUNITY = ["003_columnstore.community", "004_engagement_1m.community"]
LATER = ["005_anomalies", "006_interventions", "007_sessions", "008_webhook_deliveries"]
PLAIN = TABLES + LATER


@pytest.fixture
def plain(plain_database: str) -> Iterator[DatabaseConnection]:
    with connect(plain_database) as connection:
        yield connection


@pytest.fixture
def timescale(timescale_database: str) -> Iterator[DatabaseConnection]:
    with connect(timescale_database) as connection:
        yield connection


@pytest.fixture
def newcomer(timescale: DatabaseConnection, timescale_database: str) -> Iterator[str]:
    """Yield the URL of a user who may connect, and nothing else."""
    name = sql.Identifier(f"newcomer_{uuid4().hex}")
    timescale.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
    yield make_conninfo(timescale_database, user=name.as_string().strip('"'))
    timescale.execute(sql.SQL("DROP OWNED BY {}").format(name))
    timescale.execute(sql.SQL("DROP ROLE {}").format(name))


def _applied(connection: DatabaseConnection) -> list[str]:
    names = connection.execute("SELECT name FROM schema_migrations ORDER BY number")
    return [name for (name,) in names]


def _expected(connection: DatabaseConnection) -> list[str]:
    return {
        Edition.PLAIN: PLAIN,
        Edition.APACHE: TABLES + HYPERTABLES + LATER,
        Edition.COMMUNITY: TABLES + HYPERTABLES + COMMUNITY + LATER,
    }[detect_server(connection).edition]


def _hypertables(connection: DatabaseConnection) -> set[str]:
    found = connection.execute("SELECT hypertable_name FROM timescaledb_information.hypertables")
    return {name for (name,) in found if name in COLUMNS}


def test_an_empty_database_gets_what_its_server_offers(
    plain: DatabaseConnection, plain_database: str
) -> None:
    assert migrate(plain_database) == PLAIN
    assert _applied(plain) == PLAIN


def test_timescaledb_is_found_and_its_tables_are_hypertables(
    timescale: DatabaseConnection, timescale_database: str
) -> None:
    applied = migrate(timescale_database)
    assert applied == _applied(timescale) == _expected(timescale)
    assert applied[:2] == TABLES + HYPERTABLES
    assert _hypertables(timescale) == COLUMNS.keys()


@pytest.mark.parametrize("database", ["plain_database", "timescale_database"])
def test_the_tables_are_those_of_the_contract(
    database: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(database)
    migrate(url)
    with connect(url) as connection:
        for table, columns in (COLUMNS | CATALOG_COLUMNS).items():
            assert _columns(connection, table) == columns.split()
            found = _indexes(connection, table)
            found.pop("idx_engagement_time", None)  # what the continuous aggregate reads by
            assert found == (INDEXES | CATALOG_INDEXES)[table]


def _columns(connection: DatabaseConnection, table: str) -> list[str]:
    found = connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s"
        " AND table_schema = 'public' ORDER BY ordinal_position",
        (table,),
    )
    return [name for (name,) in found]


def _indexes(connection: DatabaseConnection, table: str) -> dict[str, str]:
    found = connection.execute(
        "SELECT indexname, replace(substring(indexdef FROM '\\((.*)\\)'), '\"', '') FROM pg_indexes"
        " WHERE schemaname = 'public' AND tablename = %s",
        (table,),
    )
    return dict(found.fetchall())


@pytest.mark.parametrize("database", ["plain_database", "timescale_database"])
def test_sessions_whose_rows_are_stored_already_are_listed_once_migrated(
    database: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = request.getfixturevalue(database)
    known = migrations.load()
    with monkeypatch.context() as earlier, connect(url) as connection:
        earlier.setattr(migrations, "load", lambda: [m for m in known if m.number < 7])
        migrate(url)
        for tenant, session, event, ticks in (
            ("default", "keynote", "keynote", (0, 7)),
            ("default", "keynote", "summit", (3, 9)),
            ("acme", "keynote", "fair", (5,)),
        ):
            for number in ticks:
                connection.execute(
                    "INSERT INTO engagement_metrics SELECT %b, %s, %s, %s, 0, '', 0, 0, 0, 0, 0, 0",
                    (to_datetime(AT_MS + number * 86_400_000), tenant, session, event),
                )
    migrate(url)
    with connect(url) as connection:
        found = connection.execute(
            "SELECT tenant_id, session_id, event_id, started_at, ended_at, summarised_at"
            " FROM sessions ORDER BY tenant_id"
        ).fetchall()
    assert found == [
        ("acme", "keynote", "fair", to_datetime(AT_MS + 5 * 86_400_000), None, None),
        ("default", "keynote", "summit", to_datetime(AT_MS), None, None),
    ]


def test_each_migration_is_applied_once(plain: DatabaseConnection, plain_database: str) -> None:
    migrate(plain_database)
    assert migrate(plain_database) == []
    assert _applied(plain) == PLAIN


def test_processes_that_migrate_at_once_share_the_work(timescale_database: str) -> None:
    together = Barrier(4)

    def migrate_together() -> list[str]:
        together.wait()
        return migrate(timescale_database)

    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(migrate_together) for _ in range(4)]
        applied = [name for run in runs for name in run.result()]
    with connect(timescale_database) as connection:
        assert sorted(applied) == _expected(connection)


def test_what_a_server_is_not_for_stays_pending(plain: DatabaseConnection) -> None:
    def names(edition: Edition) -> list[str]:
        return [migration.name for migration in migrations.pending(plain, edition)]

    assert names(Edition.PLAIN) == PLAIN
    assert names(Edition.APACHE) == TABLES + HYPERTABLES + LATER
    assert names(Edition.COMMUNITY) == TABLES + HYPERTABLES + COMMUNITY + LATER


def test_numbers_tell_the_order_and_each_is_used_once() -> None:
    numbers = [migration.number for migration in migrations.load()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_plain_database_that_gets_timescaledb_is_upgraded_with_its_rows(
    timescale: DatabaseConnection, timescale_database: str, newcomer: str
) -> None:
    timescale.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    assert migrate(newcomer) == PLAIN
    with closing(PostgresRowStore(newcomer)) as store:
        store.write([row()])

    assert migrate(timescale_database)[0] == HYPERTABLES[0]

    assert _hypertables(timescale) == COLUMNS.keys()
    with closing(PostgresRowStore(timescale_database)) as store:
        assert store.write([row(), row("new")]).stored == 1


@contextmanager
def written_on(url: str) -> Iterator[list[ScoreRow]]:
    """Store a row after the other, from before the block until after it; give them."""
    rows: list[ScoreRow] = []
    begun, ended = Event(), Event()

    def write_next(store: PostgresRowStore) -> None:
        rows.append(row("busy", AT_MS + 5000 * len(rows)))
        assert store.write(rows[-1:]).stored == 1

    def write() -> None:
        with closing(PostgresRowStore(url)) as store:
            while not ended.is_set():
                write_next(store)
                begun.set()
            write_next(store)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        assert begun.wait(PATIENCE_S)
        try:
            yield rows
        finally:
            ended.set()
        writing.result()


def test_migrating_from_the_earliest_schema_stops_no_writer(
    timescale_database: str, newcomer: str, timescale: DatabaseConnection
) -> None:
    timescale.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    assert migrate(newcomer) == PLAIN
    with written_on(newcomer) as rows:
        assert migrate(timescale_database)[0] == HYPERTABLES[0]
    assert _hypertables(timescale) == COLUMNS.keys()
    assert len(select_rows(timescale_database)) == len(rows)


def test_a_migration_of_the_future_stops_no_writer_of_today(
    plain_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(plain_database)
    known = migrations.load()
    more = "ALTER TABLE engagement_metrics ADD COLUMN note text"
    newer = known[0]._replace(number=len(known) + 1, name="future", script=more)
    with written_on(plain_database) as rows:
        monkeypatch.setattr(migrations, "load", lambda: [*known, newer])
        assert migrate(plain_database) == ["future"]
    assert len(select_rows(plain_database)) == len(rows)


def test_the_community_edition_s_sql_is_understood_by_the_server(
    timescale: DatabaseConnection, timescale_database: str
) -> None:
    # A server that may not do it still looks at every option and argument first.
    migrate(timescale_database)
    if detect_server(timescale).edition is Edition.COMMUNITY:
        return
    for migration in migrations.load():
        if migration.name in COMMUNITY:
            script = migration.statements(timescale).replace("engagement_1m',", "anomalies',")
            for statement in script.split(";\n"):
                _assert_only_the_licence_forbids(timescale, statement)


def _assert_only_the_licence_forbids(connection: DatabaseConnection, statement: str) -> None:
    try:
        connection.execute(statement.encode())
    except psycopg.errors.FeatureNotSupported as error:
        assert "license" in str(error)  # noqa: PT017 - plain SQL raises nothing


def test_a_changed_migration_is_refused_by_name(
    plain: DatabaseConnection, plain_database: str
) -> None:
    migrate(plain_database)
    plain.execute("UPDATE schema_migrations SET checksum = 'of another text'")
    with pytest.raises(ConfigError, match="001_tables"):
        migrate(plain_database)


def test_a_database_from_the_future_is_refused(
    plain: DatabaseConnection, plain_database: str
) -> None:
    migrate(plain_database)
    plain.execute("INSERT INTO schema_migrations VALUES (999, '999_future', 'x')")
    with pytest.raises(ConfigError, match="999_future"):
        migrate(plain_database)


def test_a_migration_that_fails_leaves_nothing_behind(
    plain: DatabaseConnection, plain_database: str
) -> None:
    plain.execute("CREATE TABLE anomalies (mine integer)")
    plain.execute("CREATE VIEW idx_session_time AS SELECT 1")
    plain.execute("ALTER TABLE anomalies RENAME TO unrelated")
    with pytest.raises(ConfigError, match=r'001_tables.*"idx_session_time" already exists'):
        migrate(plain_database)
    tables = plain.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert tables.fetchall() == [("unrelated",)]


@pytest.mark.parametrize(
    ("theirs", "named"),
    [
        ("CREATE TABLE anomalies (mine integer)", "schema public already has anomalies"),
        ("CREATE VIEW interventions AS SELECT 1", "schema public already has interventions"),
        (
            "CREATE TABLE schema_migrations (version text PRIMARY KEY)",
            "schema_migrations in schema public is another program's",
        ),
    ],
)
def test_another_program_s_table_is_named_with_a_way_out_that_works(
    plain: DatabaseConnection, plain_database: str, theirs: str, named: str
) -> None:
    plain.execute(theirs.encode())
    with pytest.raises(ConfigError, match=f"{named}.*CREATE SCHEMA conductor.*search_path"):
        migrate(plain_database)
    assert any(named in finding.line for finding in PostgresRowStore(plain_database).check())

    plain.execute("CREATE SCHEMA conductor")
    for path in ("conductor", "conductor, public"):
        url = make_conninfo(plain_database, options=f"-c search_path={path.replace(' ', '')}")
        assert migrate(url) == (PLAIN if path == "conductor" else [])
        with closing(PostgresRowStore(url)) as store:
            assert store.write([row(path)]).stored == 1
            assert all(finding.ok for finding in store.check())


def test_a_table_of_another_schema_in_the_search_path_is_no_obstacle(
    plain: DatabaseConnection, plain_database: str
) -> None:
    plain.execute("CREATE TABLE schema_migrations (version text PRIMARY KEY)")
    plain.execute("CREATE TABLE anomalies (mine integer)")
    plain.execute("CREATE SCHEMA conductor")
    url = make_conninfo(plain_database, options="-c search_path=conductor,public")
    assert migrate(url) == PLAIN
    assert migrate(url) == []


def test_the_extension_may_live_in_a_schema_outside_the_search_path(
    timescale: DatabaseConnection, timescale_database: str
) -> None:
    timescale.execute('CREATE SCHEMA "Time Series"')
    timescale.execute("DROP EXTENSION IF EXISTS timescaledb")
    with connect(timescale_database) as connection:
        connection.execute('CREATE EXTENSION timescaledb SCHEMA "Time Series"')
        assert migrate(timescale_database) == _expected(connection)
        assert _hypertables(connection) == COLUMNS.keys()
        with closing(PostgresRowStore(timescale_database)) as store:
            assert store.write([row(), row("b")]).stored == 2
            if detect_server(connection).edition is Edition.APACHE:
                assert store.apply_retention(days=1) == 1


def test_the_recorded_checksums_are_those_of_earlier_versions() -> None:
    recorded = {migration.name: migration.checksum[:12] for migration in migrations.load()}
    assert recorded == CHECKSUMS


def test_a_user_who_may_not_create_tables_is_told_what_to_grant(newcomer: str) -> None:
    with pytest.raises(ConfigError, match=r"schema public.*CREATE on the schema") as refused:
        migrate(newcomer)
    assert "\n" not in str(refused.value)


def test_a_user_with_nothing_to_migrate_needs_no_right_to(
    timescale_database: str, newcomer: str
) -> None:
    migrate(timescale_database)
    with psycopg.connect(timescale_database) as connection:
        connection.execute("GRANT SELECT ON schema_migrations TO PUBLIC")
    assert migrate(newcomer) == []
