"""What becomes of a store's call when the database is in a mood: full, read-only, crashing."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from threading import Event

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.adapters.postgres.connection import connect
from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.domain.gaps import GapMark
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.outages import Outage, retry_until
from tests.adapters.postgres.ambush import Ambush, Strike, hang_up, keep_silent, lose_the_answer
from tests.support.score_rows import row
from tests.support.servers import temporary_state_dir

DEADLINE_S = 0.5
GAP = GapMark("trimmed", 7)  # sends rows the long way

# What the client says last before rows are there, and of which rows.
COPY_DONE = b"c\0\0\0\4"
COMMITS = [(COPY_DONE, None), (b"COMMIT", GAP)]


@pytest.fixture
def database(plain_database: str) -> str:
    migrate(plain_database)
    return plain_database


@pytest.fixture
def store(database: str) -> Iterator[PostgresRowStore]:
    with closing(PostgresRowStore(database)) as store:
        yield store


@pytest.fixture
def operator(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def stored(url: str) -> list[str]:
    with psycopg.connect(url) as reader:
        found = reader.execute("SELECT session_id FROM engagement_metrics ORDER BY 1").fetchall()
    return [str(session_id) for (session_id,) in found]


def rows_of(count: int, gap: GapMark | None = None) -> list[ScoreRow]:
    return [row(f"session-{number:04}", gap=gap) for number in range(count)]


def raise_at_every_row(operator: psycopg.Connection, sqlstate: str) -> None:
    operator.execute(
        sql.SQL(
            "CREATE FUNCTION mood() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE EXCEPTION 'in a mood' USING ERRCODE = {}; END$$"
        ).format(sql.Literal(sqlstate))
    )
    operator.execute(
        "CREATE TRIGGER mood BEFORE INSERT ON engagement_metrics"
        " FOR EACH ROW EXECUTE FUNCTION mood()"
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
def test_whose_turn_it_is_depends_on_the_error_and_afterwards_it_goes_on(
    store: PostgresRowStore,
    operator: psycopg.Connection,
    sqlstate: str,
    error: type[Exception],
) -> None:
    raise_at_every_row(operator, sqlstate)
    with pytest.raises(error, match="in a mood") as raised:
        store.write(rows_of(3))
    assert "\n" not in str(raised.value)
    operator.execute("DROP FUNCTION mood CASCADE")
    assert store.write(rows_of(3)).stored == 3


@pytest.mark.parametrize("sqlstate", ["22001", "22P02", "23502", "23514"])
def test_what_is_wrong_with_the_rows_refuses_the_rows(
    store: PostgresRowStore, operator: psycopg.Connection, sqlstate: str
) -> None:
    raise_at_every_row(operator, sqlstate)
    written = store.write(rows_of(3))
    assert (written.stored, len(written.refused)) == (0, 3)


def test_a_server_that_becomes_read_only_is_unavailable_until_it_is_not(
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


def test_a_table_that_is_dropped_at_night_is_for_the_operator_until_it_is_back(
    store: PostgresRowStore, operator: psycopg.Connection
) -> None:
    store.write(rows_of(1))
    operator.execute("ALTER TABLE engagement_metrics RENAME TO elsewhere")
    with pytest.raises(ConfigError, match="conductor_actors migrate"):
        store.write(rows_of(2))
    operator.execute("ALTER TABLE elsewhere RENAME TO engagement_metrics")
    assert store.write(rows_of(2)).stored == 1


def test_a_lock_that_is_not_to_be_had_in_time_is_tried_again(
    store: PostgresRowStore, operator: psycopg.Connection, database: str
) -> None:
    name = sql.Identifier(str(conninfo_to_dict(database)["dbname"]))
    operator.execute(sql.SQL("ALTER DATABASE {} SET lock_timeout = '50ms'").format(name))
    with operator.transaction():
        operator.execute("LOCK TABLE engagement_metrics IN EXCLUSIVE MODE")
        with pytest.raises(Unavailable, match="lock timeout"):
            store.write(rows_of(1))
    assert store.write(rows_of(1)).stored == 1


@contextmanager
def ambushed(url: str, word: bytes, strike: Strike) -> Iterator[PostgresRowStore]:
    with (
        closing(Ambush(url, word, strike)) as ambush,
        closing(PostgresRowStore(ambush.url, DEADLINE_S)) as store,
    ):
        yield store


@pytest.mark.parametrize(
    ("word", "gap"),
    [
        *((word, None) for word in (b"set_config", b"COPY engagement_metrics", COPY_DONE)),
        *((word, GAP) for word in (b"CREATE TEMP", b"BEGIN", b"COPY staging", b"COMMIT")),
    ],
)
def test_a_server_that_falls_silent_is_given_up_at_the_deadline_wherever_it_does(
    store: PostgresRowStore, database: str, word: bytes, gap: GapMark | None
) -> None:
    with (
        ambushed(database, word, keep_silent) as silent,
        pytest.raises(Unavailable, match=r"did not answer within 0\.5 s"),
    ):
        silent.write(rows_of(1, gap))
    assert store.write(rows_of(1, gap)).stored == 1


@pytest.mark.parametrize(("word", "gap"), COMMITS)
def test_a_connection_that_ends_in_the_middle_of_commit_loses_and_doubles_nothing(
    store: PostgresRowStore, database: str, word: bytes, gap: GapMark | None
) -> None:
    for number in range(20):
        strike = hang_up if number % 2 else lose_the_answer
        with ambushed(database, word, strike) as unlucky, pytest.raises(Unavailable):
            unlucky.write(rows_of(number + 1, gap))
        store.write(rows_of(number + 1, gap))
        assert stored(database) == [each.session_id for each in rows_of(number + 1)]


@pytest.fixture
def own_database() -> Iterator[str]:
    """Give a server that may crash: the others share theirs."""
    with temporary_state_dir(initialised=True) as folder, EmbeddedServers(folder) as servers:
        url = servers.start_postgres()
        migrate(url)
        yield url


def crash(pid: int, *, is_asked: bool) -> Strike:
    """Kill one of the server's processes, by which it restarts as a whole."""

    def strike(said: bytes, client: socket.socket, server: socket.socket) -> None:
        if is_asked:
            server.sendall(said)
        os.kill(pid, signal.SIGKILL)
        client.shutdown(socket.SHUT_RDWR)

    return strike


@pytest.mark.parametrize(("word", "gap"), COMMITS)
def test_a_server_that_crashes_in_the_middle_of_commit_loses_and_doubles_nothing(
    own_database: str, word: bytes, gap: GapMark | None
) -> None:
    stop, outage = Event(), Outage("database")
    for number in range(4):  # a crash takes 3 s
        rows = rows_of(number + 1, gap)
        with closing(retry_until(stop, outage, 0.2, partial(connect, own_database))) as victim:
            strike = crash(victim.info.backend_pid, is_asked=number % 2 > 0)
            with ambushed(own_database, word, strike) as unlucky, pytest.raises(Unavailable):
                unlucky.write(rows)
        with closing(PostgresRowStore(own_database)) as store:
            retry_until(stop, outage, 0.2, partial(store.write, rows))
        assert stored(own_database) == [each.session_id for each in rows]
