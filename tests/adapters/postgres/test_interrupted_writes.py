"""A write that is interrupted at any step loses no row and stores none twice."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from threading import Event, Thread
from time import monotonic
from uuid import UUID

import psycopg
import pytest

from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.adapters.postgres.connection import connect
from conductor_actors.adapters.postgres.metrics_table import MIN_COPIED_ROWS
from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import Unavailable
from conductor_actors.outages import Outage, retry_until
from tests.adapters.postgres.interrupting_proxy import (
    InterruptingProxy,
    Interruption,
    disconnect,
    drop_reply,
    stop_forwarding,
)
from tests.support.score_rows import AT_MS, began, ended, row
from tests.support.servers import temporary_state_dir

DEADLINE_S = 0.5

# Numbers of rows, and of those that are stored before, without which many are copied. Inserted in
# one message, inserted in several, and copied.
INSERTED, INSERTED_IN_PARTS, COPIED = (1, 0), (3000, 1), (MIN_COPIED_ROWS, 0)
WRITES = [INSERTED, INSERTED_IN_PARTS, COPIED]
COPY_STEPS = (b"BEGIN", b"COPY engagement", b"c\0\0\0\4", b"INSERT INTO", b"COMMIT")


def rows_of(count: int, tick: int = 0) -> list[ScoreRow]:
    """Return the rows of a tick. In the first session an anomaly begins and the last one ends."""
    at_ms, before_ms = AT_MS + 5000 * tick, AT_MS + 5000 * (tick - 1)
    changes = ended(anomaly_id(tick - 1), before_ms), began(anomaly_id(tick))
    first, *others = (f"session-{number:04}" for number in range(count))
    return [row(first, at_ms, anomalies=changes), *(row(other, at_ms) for other in others)]


def anomaly_id(tick: int) -> str:
    return str(UUID(int=tick + 1))


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


@pytest.fixture
def impatient_store(database: str) -> Iterator[PostgresRowStore]:
    with closing(PostgresRowStore(database, DEADLINE_S)) as store:
        yield store


def test_a_server_that_stops_answering_is_given_up_at_the_deadline(
    impatient_store: PostgresRowStore, database: str
) -> None:
    impatient_store.write([row("a")])
    stopped = _pid(impatient_store)
    os.kill(stopped, signal.SIGSTOP)
    try:
        began_s = monotonic()
        with pytest.raises(Unavailable, match=r"did not answer within 0\.5 s"):
            impatient_store.write([row(f"session-{n}") for n in range(10_000)])
        assert 0.5 <= monotonic() - began_s < 8.0  # 10,000 rows take time on a busy machine
        assert impatient_store.write([row("b")]).stored == 1
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert _stored(database) >= 2


def test_the_call_after_a_lost_connection_connects_again(
    store: PostgresRowStore, database: str
) -> None:
    store.write([row("a")])
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (_pid(store),))
    with pytest.raises(Unavailable):
        store.write([row("b")])
    assert store.write([row("a"), row("b")]).stored == 1


def test_a_statement_that_waits_too_long_is_given_up(
    impatient_store: PostgresRowStore, database: str
) -> None:
    impatient_store.write([row("a")])
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE engagement_metrics IN EXCLUSIVE MODE")
        with pytest.raises(Unavailable):
            impatient_store.write([row("b")])
    impatient_store.write([row("b")])  # the server may have stored it after all
    assert _stored(database) == 2


def test_a_server_that_accepts_and_never_answers_is_given_up_at_the_deadline() -> None:
    with _listener(lambda _: None) as url:
        began_s = monotonic()
        with pytest.raises(Unavailable, match="timeout"):
            PostgresRowStore(url, deadline_s=2.0).write([row()])
        assert monotonic() - began_s < 4.0


def _pid(store: PostgresRowStore) -> int:
    assert store._table is not None
    return store._table.connection.info.backend_pid


def _stored(url: str) -> int:
    # The server may crash only now, of the kill that interrupted a write before.
    stop, outage = Event(), Outage("database")
    with closing(retry_until(stop, outage, 0.2, partial(connect, url))) as reader:
        found = reader.execute("SELECT count(*) FROM engagement_metrics").fetchone()
    assert found is not None
    return int(found[0])


def _are_open(url: str) -> list[bool]:
    """Return for each stored anomaly, in the order of their begins, whether it is open."""
    with psycopg.connect(url) as reader:
        found = reader.execute("SELECT NOT metadata ? 'ended_at' FROM anomalies ORDER BY timestamp")
        return [is_open for (is_open,) in found]


@contextmanager
def interrupted(url: str, word: bytes, interrupt: Interruption) -> Iterator[PostgresRowStore]:
    with (
        closing(InterruptingProxy(url, word, interrupt)) as proxy,
        closing(PostgresRowStore(proxy.url, DEADLINE_S)) as store,
    ):
        yield store


@pytest.mark.parametrize(
    ("word", "count", "stored"),
    [
        *((word, *COPIED) for word in COPY_STEPS),
        *((b"INSERT INTO", *write) for write in (INSERTED, INSERTED_IN_PARTS)),
        (b"COMMIT", *INSERTED_IN_PARTS),
    ],
)
def test_a_server_that_hangs_at_any_step_is_unavailable_at_the_deadline(
    store: PostgresRowStore, database: str, word: bytes, count: int, stored: int
) -> None:
    rows = rows_of(count)
    store.write(rows[:stored])
    with (
        interrupted(database, word, stop_forwarding) as silent,
        pytest.raises(Unavailable, match=r"did not answer within 0\.5 s"),
    ):
        silent.write(rows)
    assert store.write(rows).stored == count - stored


@pytest.mark.parametrize(("count", "stored"), WRITES)
def test_a_disconnection_during_a_commit_loses_no_row_and_stores_none_twice(
    store: PostgresRowStore, database: str, count: int, stored: int
) -> None:
    for number in range(20):
        rows = rows_of(count, tick=number)
        store.write(rows[:stored])
        interrupt = disconnect if number % 2 else drop_reply
        with interrupted(database, b"COMMIT", interrupt) as unlucky, pytest.raises(Unavailable):
            unlucky.write(rows)
        store.write(rows)
        assert _stored(database) == count * (number + 1)
        assert _are_open(database) == [*[False] * number, True]


@pytest.fixture
def own_database() -> Iterator[str]:
    """Start a server that may crash; other tests share theirs."""
    with temporary_state_dir(initialised=True) as folder, EmbeddedServers(folder) as servers:
        url = servers.start_postgres()
        migrate(url)
        yield url


def crash(pid: int, *, is_asked: bool) -> Interruption:
    """Kill one of the server's processes, by which it restarts as a whole."""

    def interrupt(said: bytes, client: socket.socket, server: socket.socket) -> None:
        if is_asked:
            server.sendall(said)
        os.kill(pid, signal.SIGKILL)
        client.shutdown(socket.SHUT_RDWR)

    return interrupt


@pytest.mark.parametrize(("count", "stored"), WRITES)
def test_a_crash_during_a_commit_loses_no_row_and_stores_none_twice(
    own_database: str, count: int, stored: int
) -> None:
    stop, outage = Event(), Outage("database")
    for number in range(4):  # a crash takes 3 s
        rows = rows_of(count, tick=number)
        with closing(PostgresRowStore(own_database)) as store:
            store.write(rows[:stored])
        with closing(retry_until(stop, outage, 0.2, partial(connect, own_database))) as victim:
            interrupt = crash(victim.info.backend_pid, is_asked=number % 2 > 0)
            with (
                interrupted(own_database, b"COMMIT", interrupt) as unlucky,
                pytest.raises(Unavailable),
            ):
                unlucky.write(rows)
        with closing(PostgresRowStore(own_database)) as store:
            retry_until(stop, outage, 0.2, partial(store.write, rows))
        assert _stored(own_database) == count * (number + 1)
        assert _are_open(own_database) == [*[False] * number, True]
