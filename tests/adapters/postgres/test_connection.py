"""URLs of databases, the errors of a connection, and that no part of a password is shown."""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from threading import Thread

import pytest
from psycopg.conninfo import make_conninfo

from conductor_actors.adapters.postgres.connection import (
    connect,
    conninfo_with_defaults,
    transaction,
)
from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.errors import ConfigError, Unavailable
from tests.support.score_rows import row


@pytest.fixture
def database(plain_database: str) -> str:
    migrate(plain_database)
    return plain_database


@pytest.mark.parametrize(
    "url",
    [
        "secret",
        "mysql://user:secret@h/db",
        "postgresql://user:secret@h:port/db",
        "postgresql://user:secret@h:0/db",
        "postgresql://user:secret@h:65536/db",
        "postgresql://user:pass/secret@h:5432/db",
        "postgresql://user:pass@secret@h:5432/db",
        "postgresql://user:1234/secret@h:5432/db",
        "postgresql://user:1234?sslmode=secret@h:5432/db",
        "postgresql://user:secret%@h:5432/db",
        "postgresql://user:secret\udcff@h:5432/db",
        "host=h;password=secret",
        "host=h user=u;password=secret",
        "host=h dbname=db;password=secret",
    ],
)
def test_an_invalid_url_is_refused_in_one_line_without_its_secrets(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^DATABASE_URL can't be read; it looks like") as caught:
        conninfo_with_defaults(url, 10)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "postgresql://user:%40%2F%3F%23@h1:5432,h2:5433/db?target_session_attrs=primary",
        "postgresql://user:a:b#c@/db?host=/run/postgresql",
        "host=h user=me@server password='a;b=c' dbname=db",
    ],
)
def test_the_connect_timeout_of_a_url_replaces_the_default(url: str) -> None:
    separator = " " if url == "" or url.startswith("host") else "&" if "?" in url else "?"
    with_timeout = f"{url}{separator}connect_timeout=7"
    assert "connect_timeout=10" in conninfo_with_defaults(url, 9.5)
    assert "connect_timeout=7" in conninfo_with_defaults(with_timeout, 9.5)


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


def test_a_host_without_an_address_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"nowhere\.invalid"):
        connect("postgresql://nowhere.invalid/engagement")


def test_a_server_that_hangs_after_the_login_is_unavailable() -> None:
    ready = b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I"
    with (
        _listener(lambda client: client.sendall(ready)) as url,
        closing(PostgresRowStore(url, deadline_s=0.2)) as store,
        pytest.raises(Unavailable, match=r"did not answer within 0\.2 s"),
    ):
        store.write([row()])


def test_the_server_has_the_deadline_as_its_statement_timeout(database: str) -> None:
    with closing(connect(database)) as connection:
        with transaction(connection, 0.5):
            assert connection.execute("SHOW statement_timeout").fetchone() == ("500ms",)
        assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)


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
def test_a_refused_login_is_for_the_operator(sqlstate: str, message: str, advice: str) -> None:
    with (
        _listener(_refusal(sqlstate, message)) as url,
        pytest.raises(ConfigError, match=advice) as refused,
    ):
        connect(url)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "geheim" not in str(refused.value)


def test_an_unknown_user_is_for_the_operator(database: str) -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL"):
        connect(make_conninfo(database, user="stranger"))


def test_an_unknown_database_is_for_the_operator(database: str) -> None:
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


def test_an_option_of_the_url_replaces_the_default(database: str) -> None:
    with closing(connect(make_conninfo(database, application_name="mine"))) as connection:
        assert connection.execute("SHOW application_name").fetchone() == ("mine",)
