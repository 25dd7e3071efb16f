"""Which sessions are live and which have ended, as stored with their rows."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final, NamedTuple

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conductor_actors.adapters.postgres import sessions_table
from conductor_actors.adapters.postgres.metrics_table import MIN_COPIED_ROWS
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.postgres.sessions_table import KnownSessions
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError
from conductor_actors.instants import to_ms
from tests.faults.proxy import Direction, Proxy
from tests.support.score_rows import AT_MS, row

TICK_MS: Final = 5000
BULK: Final = [row(f"bulk-{number}", tenant_id="bulk") for number in range(MIN_COPIED_ROWS)]

# Session, event, start and end in ticks.
Entry = tuple[Any, ...]


def tick(number: int, session_id: str = "session", **changes: object) -> ScoreRow:
    return row(session_id, AT_MS + number * TICK_MS, **changes)


def last(number: int, session_id: str = "session", **changes: object) -> ScoreRow:
    return tick(number, session_id, is_last=True, **changes)


@pytest.fixture(params=["shared_plain_database", "shared_timescale_database"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def reader(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as reader:
        reader.execute("TRUNCATE engagement_metrics, sessions")
        yield reader


@pytest.fixture
def store(url: str, reader: psycopg.Connection) -> Iterator[PostgresRowStore]:
    del reader
    with closing(PostgresRowStore(url)) as store:
        yield store


def entries(reader: psycopg.Connection, tenant_id: str = "default") -> list[Entry]:
    found = reader.execute(
        "SELECT session_id, event_id, started_at, ended_at FROM sessions"
        " WHERE tenant_id = %s ORDER BY session_id",
        (tenant_id,),
    ).fetchall()
    return [
        (
            session_id,
            event_id,
            _tick_of(started_at),
            None if ended_at is None else _tick_of(ended_at),
        )
        for session_id, event_id, started_at, ended_at in found
    ]


def _tick_of(at: object) -> int:
    assert hasattr(at, "timestamp")
    return (to_ms(at) - AT_MS) // TICK_MS  # type: ignore[arg-type]


@pytest.mark.parametrize("others", [[], BULK], ids=["INSERT", "COPY"])
def test_a_session_begins_with_its_first_row_and_ends_with_its_last(
    store: PostgresRowStore, reader: psycopg.Connection, others: Sequence[ScoreRow]
) -> None:
    for written, stored in ((tick(0), None), (tick(1), None), (last(2), 2)):
        store.write(
            [*(row(each.session_id, written.at_ms, tenant_id="bulk") for each in others), written]
        )
        assert entries(reader) == [("session", "event", 0, stored)]
    assert len(entries(reader, "bulk")) == len(others)


@pytest.mark.parametrize("others", [[], BULK], ids=["INSERT", "COPY"])
def test_a_session_whose_only_rows_are_in_one_batch_has_begun_and_ended(
    store: PostgresRowStore, reader: psycopg.Connection, others: Sequence[ScoreRow]
) -> None:
    store.write([*others, tick(0), tick(1), last(2), tick(0, "other")])
    assert entries(reader) == [("other", "event", 0, None), ("session", "event", 0, 2)]


def test_a_row_after_the_end_reopens_the_session(
    store: PostgresRowStore, reader: psycopg.Connection
) -> None:
    store.write([tick(0), last(1)])
    store.write([tick(9)])
    assert entries(reader) == [("session", "event", 0, None)]
    store.write([tick(10)])
    store.write([last(11)])
    assert entries(reader) == [("session", "event", 0, 11)]


def test_a_last_row_that_is_followed_by_another_in_its_batch_is_no_end(
    store: PostgresRowStore, reader: psycopg.Connection
) -> None:
    store.write([tick(0)])
    store.write([last(1), tick(2)])
    assert entries(reader) == [("session", "event", 0, None)]
    store.write([last(3)])
    assert entries(reader) == [("session", "event", 0, 3)]


def test_rows_that_are_written_again_change_nothing(
    url: str, store: PostgresRowStore, reader: psycopg.Connection
) -> None:
    life = [tick(0), tick(1), last(2)]
    store.write(life)
    with closing(PostgresRowStore(url)) as successor:
        for again in life:
            successor.write([again])
            assert entries(reader) == [("session", "event", 0, 2)]


def test_a_session_that_its_successor_continues_is_live_again(
    url: str, store: PostgresRowStore, reader: psycopg.Connection
) -> None:
    """As after a crash, if the session does not end where it did: the timeout was changed."""
    store.write([tick(0), tick(1), last(2)])
    with closing(PostgresRowStore(url)) as successor:
        for number in range(5):
            successor.write([tick(number)])
        assert entries(reader) == [("session", "event", 0, None)]


def test_old_rows_end_no_session_that_went_on(
    url: str, store: PostgresRowStore, reader: psycopg.Connection
) -> None:
    store.write([tick(9)])
    with closing(PostgresRowStore(url)) as replay:
        replay.write([tick(-2), last(-1)])
    assert entries(reader) == [("session", "event", -2, None)]


def test_a_session_keeps_the_event_that_it_is_known_to_be_of(
    url: str, store: PostgresRowStore, reader: psycopg.Connection
) -> None:
    store.write([tick(0, event_id="session")])
    assert entries(reader) == [("session", "session", 0, None)]
    store.write([tick(1, event_id="summit")])
    assert entries(reader) == [("session", "summit", 0, None)]
    with closing(PostgresRowStore(url)) as successor:
        successor.write([tick(2, event_id="session")])
        assert entries(reader) == [("session", "summit", 0, None)]


def test_sessions_of_tenants_are_kept_apart(
    store: PostgresRowStore, reader: psycopg.Connection
) -> None:
    store.write([tick(0), tick(0, tenant_id="acme")])
    store.write([last(1, tenant_id="acme")])
    assert entries(reader) == [("session", "event", 0, None)]
    assert entries(reader, "acme") == [("session", "event", 0, 1)]


@contextmanager
def refusing(reader: psycopg.Connection, condition: str) -> Iterator[None]:
    reader.execute(
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'raised by a trigger'; END$$"
    )
    reader.execute(
        "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON sessions FOR EACH ROW"
        f" WHEN ({condition}) EXECUTE FUNCTION refuse()".encode()
    )
    try:
        yield
    finally:
        reader.execute("DROP TRIGGER refuse ON sessions")


@pytest.mark.parametrize("others", [[], BULK], ids=["INSERT", "COPY"])
def test_a_refused_row_leaves_no_session(
    store: PostgresRowStore, reader: psycopg.Connection, others: Sequence[ScoreRow]
) -> None:
    bad = [tick(0, "nul\0"), tick(0, "half\ud800")]
    written = store.write([tick(0), *bad, *others, tick(0, "good")])
    assert [refused.row for refused in written.refused] == bad
    assert entries(reader) == [("good", "event", 0, None), ("session", "event", 0, None)]
    assert len(entries(reader, "bulk")) == len(others)
    store.write([last(1), last(1, "good")])
    assert [ended for *_, ended in entries(reader)] == [1, 1]


def test_a_session_that_can_not_be_stored_is_refused_with_its_rows_alone(
    store: PostgresRowStore, reader: psycopg.Connection
) -> None:
    with refusing(reader, "new.session_id = 'bad'"):
        written = store.write([tick(0), tick(0, "bad"), tick(0, "good")])
    assert [refused.row.session_id for refused in written.refused] == ["bad"]
    assert [session_id for session_id, *_ in entries(reader)] == ["good", "session"]
    found = reader.execute("SELECT session_id FROM engagement_metrics ORDER BY 1").fetchall()
    assert found == [("good",), ("session",)]


def test_rows_wait_while_the_server_refuses_every_session(
    store: PostgresRowStore, reader: psycopg.Connection
) -> None:
    store.write([tick(0)])
    with refusing(reader, "true"):
        for _ in range(2):
            with pytest.raises(ConfigError, match="raised by a trigger"):
                store.write([tick(0, "new")], [tick(1)])
    assert not store.write([tick(0, "new")]).refused


def test_the_next_row_of_a_session_that_was_refused_reopens_it(
    store: PostgresRowStore, reader: psycopg.Connection
) -> None:
    store.write([tick(0)])
    assert store.write([tick(1, category="\0")]).refused
    reader.execute("UPDATE sessions SET ended_at = started_at")  # as a lost session's
    store.write([tick(2)])
    assert entries(reader) == [("session", "event", 0, None)]


@contextmanager
def recorded(url: str, requests: list[bytes]) -> Iterator[PostgresRowStore]:
    def record(way: Direction, piece: bytes) -> bytes:
        if way is Direction.REQUEST:
            requests.append(piece)
        return piece

    with Proxy(int(conninfo_to_dict(url)["port"] or 0)) as proxy:
        proxy.filter = record
        with closing(PostgresRowStore(make_conninfo(url, port=proxy.port))) as store:
            yield store


@pytest.mark.parametrize("others", [[], BULK], ids=["INSERT", "COPY"])
def test_rows_of_known_sessions_need_no_statement_more(
    shared_plain_database: str, others: Sequence[ScoreRow]
) -> None:
    requests: list[bytes] = []
    with recorded(shared_plain_database, requests) as store:
        for number in range(100, 103):
            at_ms = AT_MS + number * TICK_MS
            store.write([*(replace(each, at_ms=at_ms) for each in others), tick(number)])
            assert (b"sessions" in b"".join(requests)) == (number == 100)
            requests.clear()


def test_a_connection_that_is_new_stores_the_sessions_again(
    store: PostgresRowStore, reader: psycopg.Connection
) -> None:
    """A database that was restored, or the standby that took over, may not have them."""
    store.write([tick(0)])
    reader.execute("TRUNCATE sessions")
    store.write([tick(1)])
    assert entries(reader) == []
    store.close()
    store.write([tick(2)])
    assert entries(reader) == [("session", "event", 2, None)]


def test_the_sessions_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions_table, "MAX_KNOWN_LIVE", 3)
    known = KnownSessions()
    for number in range(10):
        name = f"session-{number}"
        known.add([("default", name, "event", True)])
        remembered = sum(not known.changed([row(f"session-{each}")]) for each in range(10))
        assert remembered <= 3


class Run(NamedTuple):
    """What a store writes before it crashes: so many rows again, and so many in batches."""

    again: int
    rows: int
    batch: int


RUNS = st.lists(st.builds(Run, *(3 * [st.integers(1, 4)])), max_size=4)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=8), RUNS)
def test_sessions_end_as_their_rows_say_however_these_are_batched_and_repeated(
    shared_plain_database: str, ends: list[bool], runs: list[Run]
) -> None:
    life = [tick(number, is_last=is_last) for number, is_last in enumerate(ends)]
    reached = 0
    with psycopg.connect(shared_plain_database, autocommit=True) as reader:
        reader.execute("TRUNCATE engagement_metrics, sessions")
        for run in [*runs, Run(1, len(life), 1)]:
            begin = max(0, reached - run.again)
            rows = life[begin : begin + run.rows + 1]
            with closing(PostgresRowStore(shared_plain_database)) as store:
                for first in range(0, len(rows), run.batch):
                    store.write(rows[first : first + run.batch])
            reached = max(reached, begin + len(rows))
        assert entries(reader) == [("session", "event", 0, len(life) - 1 if ends[-1] else None)]


def test_a_session_ended_when_it_was_active_last_whatever_is_stored_again(
    store: PostgresRowStore, reader: psycopg.Connection
) -> None:
    silent = [tick(number) for number in range(1, 4)]
    store.write([tick(0), *silent, last(4, active_until_ms=AT_MS + TICK_MS)])
    assert entries(reader) == [("session", "event", 0, 1)]
    store.write(silent)
    assert entries(reader) == [("session", "event", 0, 1)]
    store.write([tick(5)])
    assert entries(reader) == [("session", "event", 0, None)]
