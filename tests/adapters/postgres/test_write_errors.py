"""Errors of a write: temporary ones, those for the operator, and rows that are refused."""

from collections.abc import Iterator
from contextlib import closing
from random import Random

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.domain.gaps import GapMark
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError, Unavailable
from tests.support.score_rows import row


@pytest.fixture
def operator(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def rows_of(count: int, gap: GapMark | None = None) -> list[ScoreRow]:
    return [row(f"session-{number:04}", gap=gap) for number in range(count)]


def raise_at_every_row(operator: psycopg.Connection, sqlstate: str) -> None:
    operator.execute(
        sql.SQL(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE EXCEPTION 'raised by a trigger' USING ERRCODE = {}; END$$"
        ).format(sql.Literal(sqlstate))
    )
    operator.execute(
        "CREATE TRIGGER fail BEFORE INSERT ON engagement_metrics"
        " FOR EACH ROW EXECUTE FUNCTION fail()"
    )


@pytest.mark.parametrize(
    ("sqlstate", "error"),
    [
        ("08006", Unavailable),  # connection failure
        ("25006", Unavailable),  # read-only transaction
        ("40001", Unavailable),  # serialization failure
        ("40P01", Unavailable),  # deadlock
        ("53100", Unavailable),  # disk full
        ("53200", Unavailable),  # out of memory
        ("55P03", Unavailable),  # lock not available
        ("57014", Unavailable),  # statement timeout
        ("57P01", Unavailable),  # admin shutdown
        ("58030", Unavailable),  # I/O error
        ("42501", ConfigError),  # a grant was taken away
        ("42P01", ConfigError),  # the table was dropped
        ("0A000", ConfigError),  # not supported
        ("54000", ConfigError),  # a limit of the program
        ("P0001", ConfigError),  # somebody's trigger
        ("XX001", ConfigError),  # a corrupt table
    ],
)
def test_an_error_is_temporary_or_for_the_operator_and_the_next_write_succeeds(
    store: PostgresRowStore,
    operator: psycopg.Connection,
    sqlstate: str,
    error: type[Exception],
) -> None:
    raise_at_every_row(operator, sqlstate)
    with pytest.raises(error, match="raised by a trigger") as raised:
        store.write(rows_of(3))
    assert "\n" not in str(raised.value)
    operator.execute("DROP FUNCTION fail CASCADE")
    assert store.write(rows_of(3)).stored == 3


REFUSED_SESSION = "session-0007"


@pytest.mark.parametrize("sqlstate", ["P0001", "42501", "54000", "0A000", "55000", "XX000"])
@pytest.mark.parametrize("when", ["BEFORE INSERT", "CONSTRAINT AFTER INSERT"])
@pytest.mark.parametrize("gap", [None, GapMark("trimmed", 7)])
def test_a_row_that_a_trigger_refuses_is_refused_alone_whatever_the_error(
    store: PostgresRowStore,
    operator: psycopg.Connection,
    sqlstate: str,
    when: str,
    gap: GapMark | None,
) -> None:
    raise_at_every_row(operator, sqlstate)
    operator.execute("DROP TRIGGER fail ON engagement_metrics")
    constraint, timing = ("CONSTRAINT", when[11:]) if when[0] == "C" else ("", when)
    deferred = "DEFERRABLE INITIALLY DEFERRED" if constraint else ""  # raised by COMMIT
    operator.execute(
        f"CREATE {constraint} TRIGGER fail {timing} ON engagement_metrics {deferred} FOR EACH ROW"
        f" WHEN (new.session_id = '{REFUSED_SESSION}') EXECUTE FUNCTION fail()".encode()
    )
    rows = rows_of(40, gap)
    for stored in (39, 0):
        written = store.write(rows)
        assert written.stored == stored
        assert written.refused == ((rows[7], "raised by a trigger"),)
    assert store.write([rows[7]]).refused == ((rows[7], "raised by a trigger"),)


def test_a_row_that_row_level_security_refuses_is_refused_alone(
    store: PostgresRowStore, operator: psycopg.Connection
) -> None:
    operator.execute("ALTER TABLE engagement_metrics ENABLE ROW LEVEL SECURITY")
    operator.execute("ALTER TABLE engagement_metrics FORCE ROW LEVEL SECURITY")
    operator.execute(
        f"CREATE POLICY ours ON engagement_metrics"
        f" USING (session_id <> '{REFUSED_SESSION}')".encode()
    )
    rows = rows_of(10)
    written = store.write(rows)
    assert (written.stored, [refused for refused, _ in written.refused]) == (9, [rows[7]])
    assert "row-level security" in written.refused[0].reason


def test_a_row_that_another_unique_index_refuses_is_refused_not_dropped(
    store: PostgresRowStore, operator: psycopg.Connection
) -> None:
    operator.execute("CREATE UNIQUE INDEX theirs ON engagement_metrics (event_id, time)")
    rows = [row("a", event_id="one"), row("b", event_id="two"), row("c", event_id="one")]
    written = store.write(rows)
    assert (written.stored, [refused for refused, _ in written.refused]) == (2, [rows[2]])
    assert 'unique constraint "theirs"' in written.refused[0].reason
    assert store.write(rows[:2]) == (0, ())


def test_a_row_too_large_for_an_index_is_refused_alone(store: PostgresRowStore) -> None:
    random = "".join(map(chr, Random(7).choices(range(0x4E00, 0x9FFF), k=4000)))
    rows = [row("a"), row(random), row("b")]
    written = store.write(rows)
    assert (written.stored, [refused for refused, _ in written.refused]) == (2, [rows[1]])
    assert "index row" in written.refused[0].reason


def test_a_revoked_grant_is_for_the_operator_even_if_there_is_one_row(
    store: PostgresRowStore, operator: psycopg.Connection
) -> None:
    operator.execute("REVOKE INSERT ON engagement_metrics FROM CURRENT_USER")
    with pytest.raises(ConfigError, match=r"permission denied.*SELECT, INSERT and DELETE"):
        store.write(rows_of(1))
    operator.execute("GRANT INSERT ON engagement_metrics TO CURRENT_USER")
    assert store.write(rows_of(1)).stored == 1


def test_a_table_without_its_key_is_for_the_operator(
    store: PostgresRowStore, operator: psycopg.Connection
) -> None:
    store.write(rows_of(1))
    operator.execute("ALTER TABLE engagement_metrics DROP CONSTRAINT engagement_metrics_pkey")
    with pytest.raises(ConfigError, match="ON CONFLICT"):
        store.write(rows_of(2, GapMark("trimmed", 7)))


@pytest.mark.parametrize("sqlstate", ["22001", "22P02", "23502", "23514"])
def test_an_error_in_the_data_refuses_the_rows(
    store: PostgresRowStore, operator: psycopg.Connection, sqlstate: str
) -> None:
    raise_at_every_row(operator, sqlstate)
    written = store.write(rows_of(3))
    assert (written.stored, len(written.refused)) == (0, 3)


def test_a_server_is_unavailable_while_it_is_read_only(
    store: PostgresRowStore, operator: psycopg.Connection, database: str
) -> None:
    name = sql.Identifier(str(conninfo_to_dict(database)["dbname"]))
    switch = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
    operator.execute(switch.format(name, sql.SQL("on")))
    with pytest.raises(Unavailable, match="read-only"):
        store.write(rows_of(1))
    operator.execute("SET default_transaction_read_only = off")
    operator.execute(switch.format(name, sql.SQL("off")))
    assert store.write(rows_of(1)).stored == 1


def test_a_missing_table_is_for_the_operator_until_it_is_back(
    store: PostgresRowStore, operator: psycopg.Connection
) -> None:
    store.write(rows_of(1))
    operator.execute("ALTER TABLE engagement_metrics RENAME TO elsewhere")
    with pytest.raises(ConfigError, match="conductor_actors migrate"):
        store.write(rows_of(2))
    operator.execute("ALTER TABLE elsewhere RENAME TO engagement_metrics")
    assert store.write(rows_of(2)).stored == 1


def test_a_lock_timeout_is_temporary(
    store: PostgresRowStore, operator: psycopg.Connection, database: str
) -> None:
    name = sql.Identifier(str(conninfo_to_dict(database)["dbname"]))
    operator.execute(sql.SQL("ALTER DATABASE {} SET lock_timeout = '50ms'").format(name))
    with operator.transaction():
        operator.execute("LOCK TABLE engagement_metrics IN EXCLUSIVE MODE")
        with pytest.raises(Unavailable, match="lock timeout"):
            store.write(rows_of(1))
    assert store.write(rows_of(1)).stored == 1


def test_nothing_is_connected_before_the_first_call() -> None:
    PostgresRowStore("postgresql://nobody@127.0.0.1:1/nothing").close()


def test_a_database_that_is_away_is_unavailable() -> None:
    store = PostgresRowStore("postgresql://127.0.0.1:1/engagement")
    with pytest.raises(Unavailable, match=r"Connection refused$"):
        store.write([row()])


def test_missing_tables_are_for_the_operator(plain_database: str) -> None:
    with (
        closing(PostgresRowStore(plain_database)) as store,
        pytest.raises(ConfigError, match="conductor_actors migrate"),
    ):
        store.write([row()])


def test_a_row_that_breaks_a_constraint_stops_no_other(
    store: PostgresRowStore, database: str
) -> None:
    with psycopg.connect(database) as operator:
        operator.execute("ALTER TABLE engagement_metrics ADD CHECK (engagement_score <= 1)")
    bad = row("bad", score=1.5)
    written = store.write([row("a"), bad, row("b")])
    assert written.stored == 2
    assert [refused for refused, _ in written.refused] == [bad]
    assert "check constraint" in written.refused[0][1]


def test_a_closed_store_can_be_used_again(store: PostgresRowStore) -> None:
    store.write([row("a")])
    store.close()
    store.close()
    assert store.write([row("a"), row("b")]).stored == 1
