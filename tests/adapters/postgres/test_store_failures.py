"""What becomes of a store's call when the database is away, silent, or will not have us."""

import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from threading import Thread
from time import monotonic

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from conductor_actors.adapters.postgres.connection import connect
from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.errors import ConfigError, Unavailable
from tests.support.score_rows import row


@pytest.fixture
def database(plain_database: str) -> str:
    migrate(plain_database)
    return plain_database


@pytest.fixture
def store(database: str) -> Iterator[PostgresRowStore]:
    with closing(PostgresRowStore(database, deadline_s=0.5)) as store:
        yield store


@contextmanager
def _listener(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Take one connection, answer what it says first, and then keep silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            taken.append(server.accept()[0])
            taken[0].recv(1024)
            answer(taken[0])

        thread = Thread(target=take)
        thread.start()
        port = server.getsockname()[1]
        yield f"postgresql://ann:geheim@127.0.0.1:{port}/engagement?sslmode=disable"
        thread.join()
        taken[0].close()


def _refusal(sqlstate: str, message: str) -> Callable[[socket.socket], None]:
    fields = {"S": "FATAL", "V": "FATAL", "C": sqlstate, "M": message}
    body = "".join(f"{key}{value}\0" for key, value in fields.items()).encode() + b"\0"
    return lambda client: client.sendall(b"E" + struct.pack("!i", len(body) + 4) + body)


def _pid(store: PostgresRowStore) -> int:
    assert store._connection is not None
    return store._connection.info.backend_pid


def _stored(url: str) -> int:
    with psycopg.connect(url) as reader:
        found = reader.execute("SELECT count(*) FROM engagement_metrics").fetchone()
    assert found is not None
    return int(found[0])


def test_nothing_is_connected_before_the_first_call() -> None:
    PostgresRowStore("postgresql://nobody@127.0.0.1:1/nothing").close()


def test_a_database_that_is_away_is_unavailable() -> None:
    store = PostgresRowStore("postgresql://127.0.0.1:1/engagement")
    with pytest.raises(Unavailable, match=r"Connection refused$"):
        store.write([row()])


def test_a_host_without_an_address_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"nowhere\.invalid"):
        connect("postgresql://nowhere.invalid/engagement")


def test_the_call_after_a_lost_connection_connects_again(
    store: PostgresRowStore, database: str
) -> None:
    store.write([row("a")])
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (_pid(store),))
    with pytest.raises(Unavailable):
        store.write([row("b")])
    assert store.write([row("a"), row("b")]).stored == 1


def test_a_server_that_stops_answering_is_given_up_at_the_deadline(
    store: PostgresRowStore, database: str
) -> None:
    store.write([row("a")])
    stopped = _pid(store)
    os.kill(stopped, signal.SIGSTOP)
    try:
        began_s = monotonic()
        with pytest.raises(Unavailable, match=r"did not answer within 0\.5 s"):
            store.write([row(f"session-{n}") for n in range(10_000)])
        assert 0.5 <= monotonic() - began_s < 2.0
        assert store.write([row("b")]).stored == 1
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert _stored(database) >= 2


def test_a_server_that_accepts_and_never_answers_is_given_up_at_the_deadline() -> None:
    with _listener(lambda _: None) as url:
        began_s = monotonic()
        with pytest.raises(Unavailable, match="timeout"):
            PostgresRowStore(url, deadline_s=2.0).write([row()])
        assert monotonic() - began_s < 4.0


def test_a_server_that_is_silent_once_it_has_let_us_in_is_given_up() -> None:
    ready = b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I"
    with (
        _listener(lambda client: client.sendall(ready)) as url,
        pytest.raises(Unavailable, match=r"did not answer within 0\.2 s"),
    ):
        connect(url, deadline_s=0.2)


def test_the_server_is_told_the_deadline_too(database: str) -> None:
    with closing(connect(database, deadline_s=0.5)) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("500ms",)


def test_a_statement_that_waits_too_long_is_given_up(
    store: PostgresRowStore, database: str
) -> None:
    store.write([row("a")])
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE engagement_metrics IN EXCLUSIVE MODE")
        with pytest.raises(Unavailable):
            store.write([row("b")])
    assert store.write([row("b")]).stored == 1


@pytest.mark.parametrize(
    ("sqlstate", "message"),
    [
        ("57P03", "the database system is starting up"),
        ("57P01", "terminating connection due to administrator command"),
        ("53300", "sorry, too many clients already"),
    ],
)
def test_a_server_that_is_busy_is_unavailable(sqlstate: str, message: str) -> None:
    with (
        _listener(_refusal(sqlstate, message)) as url,
        pytest.raises(Unavailable, match=message),
    ):
        connect(url)


@pytest.mark.parametrize(
    ("sqlstate", "message", "advice"),
    [
        ("28P01", 'password authentication failed for user "ann"', "password in DATABASE_URL"),
        ("28000", 'role "ann" does not exist', "user or password in DATABASE_URL"),
        ("28000", 'role "ann" is not permitted to log in', "user or password in DATABASE_URL"),
        ("28000", 'no pg_hba.conf entry for host "x", user "ann"', "pg_hba.conf"),
        ("3D000", 'database "engagement" does not exist', "create the database"),
        ("42501", 'permission denied for database "engagement"', "needs"),
    ],
)
def test_a_server_that_refuses_us_is_for_the_operator(
    sqlstate: str, message: str, advice: str
) -> None:
    with (
        _listener(_refusal(sqlstate, message)) as url,
        pytest.raises(ConfigError, match=advice) as refused,
    ):
        connect(url)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "geheim" not in str(refused.value)


def test_a_user_whom_the_server_does_not_admit_is_for_the_operator(database: str) -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL"):
        connect(make_conninfo(database, user="stranger"))


def test_a_database_that_does_not_exist_is_for_the_operator(database: str) -> None:
    with pytest.raises(ConfigError, match="create the database"):
        connect(make_conninfo(database, dbname="nothing_here"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:geh%eim@host/engagement",
        "postgresql://ann:geh/eim@host/engagement",
        "postgresql://ann:geheim/engagement",
        "postgresql://ann:g@eheim@host/engagement",
        "postgresql://ann:geheim@host/engagement?sslmod=disable",
        "mysql:geheim",
        "geheim",
    ],
)
def test_a_url_that_can_t_be_read_is_never_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match=r"DATABASE_URL.*postgresql://") as refused:
        connect(url)
    assert "eim" not in str(refused.value)


def test_what_the_url_says_goes_before_our_defaults(database: str) -> None:
    with closing(connect(make_conninfo(database, application_name="mine"))) as connection:
        assert connection.execute("SHOW application_name").fetchone() == ("mine",)


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
