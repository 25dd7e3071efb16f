"""The ends of lost sessions and the figures of ended ones, in real databases."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import psycopg
import pytest

from conductor_actors.adapters.postgres import session_catalog
from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.postgres.session_catalog import PostgresSessionCatalog
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.instants import to_datetime
from conductor_actors.ports.catalog_port import FinishedSession
from tests.support.score_rows import AT_MS, SIGNALS, row

TICK_MS: Final = 5000
KEY: Final = SessionKey("default", "session")


def tick(number: int, session_id: str = "session", **changes: Any) -> ScoreRow:
    return row(session_id, AT_MS + number * TICK_MS, **changes)


def ended(number: int, key: SessionKey = KEY) -> FinishedSession:
    return FinishedSession(key, AT_MS + number * TICK_MS)


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


@pytest.fixture
def catalog(url: str) -> Iterator[PostgresSessionCatalog]:
    with closing(PostgresSessionCatalog(url)) as catalog:
        yield catalog


def figures(reader: psycopg.Connection) -> list[tuple[Any, ...]]:
    return reader.execute(
        "SELECT ended_at = summarised_at, ticks, mean_score, peak_score, peak_at, peak_users"
        " FROM sessions ORDER BY tenant_id, session_id"
    ).fetchall()


def test_the_figures_are_those_of_all_rows(
    store: PostgresRowStore, catalog: PostgresSessionCatalog, reader: psycopg.Connection
) -> None:
    scores, people = [0.1, 0.7, 0.7, 0.4], [5, 9, 40, 3]
    store.write(
        [
            tick(n, score=score, signals=_signals(users), is_last=n == 3)
            for n, (score, users) in enumerate(zip(scores, people, strict=True))
        ]
        + [tick(0, score=1.0, tenant_id="acme"), tick(0, "other", score=1.0)]
    )
    assert catalog.find_unsummarised(10) == [ended(3)]
    assert catalog.summarise(ended(3))
    assert catalog.find_unsummarised(10) == []
    mean = pytest.approx(sum(scores) / 4)
    peak_at = to_datetime(AT_MS + TICK_MS)  # the first of two
    assert (True, 4, mean, 0.7, peak_at, 40) in figures(reader)


def _signals(users: int) -> Any:
    return type(SIGNALS)(0.0, 0.0, 0, users, 0.0, 0.0)


def test_the_silent_rows_at_the_end_of_a_session_are_no_part_of_its_figures(
    store: PostgresRowStore, catalog: PostgresSessionCatalog, reader: psycopg.Connection
) -> None:
    silent = [tick(n, score=0.0, signals=_signals(0)) for n in (2, 3)]
    over = tick(4, score=0.0, is_last=True, active_until_ms=AT_MS + TICK_MS)
    store.write([tick(0, score=0.5), tick(1, score=0.7), *silent, over])
    assert catalog.find_unsummarised(10) == [ended(1)]
    catalog.summarise(ended(1))
    assert figures(reader)[0][:3] == (True, 2, pytest.approx(0.6))


def test_a_lost_session_whose_collector_comes_back_is_live_again(
    url: str, store: PostgresRowStore, catalog: PostgresSessionCatalog, reader: psycopg.Connection
) -> None:
    store.write([tick(0), tick(1)])
    assert catalog.end(catalog.find_lost(AT_MS + 2 * TICK_MS)) == 1
    with closing(PostgresRowStore(url)) as successor:
        successor.write([tick(1)])  # again
        assert reader.execute("SELECT FROM sessions WHERE ended_at IS NULL").rowcount == 0
        successor.write([tick(2)])
    assert reader.execute("SELECT FROM sessions WHERE ended_at IS NULL").rowcount == 1


def test_a_session_that_went_on_has_no_figures_until_it_ends_again(
    store: PostgresRowStore, catalog: PostgresSessionCatalog, reader: psycopg.Connection
) -> None:
    store.write([tick(0), tick(1, is_last=True)])
    store.write([tick(2)])
    assert not catalog.summarise(ended(1))
    assert catalog.find_unsummarised(10) == []
    store.write([tick(3, is_last=True)])
    assert catalog.find_unsummarised(10) == [ended(3)]
    assert catalog.summarise(ended(3))
    assert figures(reader)[0][:2] == (True, 4)


def test_figures_are_computed_anew_if_a_session_went_on_after_them(
    store: PostgresRowStore, catalog: PostgresSessionCatalog, reader: psycopg.Connection
) -> None:
    store.write([tick(0, is_last=True)])
    catalog.summarise(ended(0))
    store.write([tick(1)])
    assert catalog.find_unsummarised(10) == []
    store.write([tick(2, is_last=True)])
    assert catalog.find_unsummarised(10) == [ended(2)]
    catalog.summarise(ended(2))
    assert figures(reader)[0][:2] == (True, 3)


def test_the_latest_of_the_ended_sessions_come_first(
    store: PostgresRowStore, catalog: PostgresSessionCatalog
) -> None:
    store.write([tick(n, f"s{n}", is_last=True) for n in range(5)])
    found = catalog.find_unsummarised(2)
    assert [each.key.session_id for each in found] == ["s4", "s3"]


def test_a_session_is_lost_if_its_newest_row_is_old(
    store: PostgresRowStore, catalog: PostgresSessionCatalog
) -> None:
    store.write([tick(0, "old"), tick(5, "old"), tick(0, "on time"), tick(6, "on time")])
    store.write([tick(0, "over", is_last=True), tick(9, "new")])
    lost = catalog.find_lost(AT_MS + 6 * TICK_MS)
    assert lost == [ended(5, SessionKey("default", "old"))]
    assert catalog.end(lost) == 1
    assert catalog.find_lost(AT_MS + 6 * TICK_MS) == []
    assert lost[0] in catalog.find_unsummarised(10)


def test_a_lost_session_is_ended_once_and_not_if_a_row_came_meanwhile(
    store: PostgresRowStore, catalog: PostgresSessionCatalog, reader: psycopg.Connection
) -> None:
    store.write([tick(0), tick(0, "other")])
    lost = catalog.find_lost(AT_MS + TICK_MS)
    assert len(lost) == 2
    store.write([tick(1)])
    assert catalog.end(lost) == 1
    assert catalog.end(lost) == 0
    found = reader.execute("SELECT session_id FROM sessions WHERE ended_at IS NOT NULL")
    assert found.fetchall() == [("other",)]


def test_a_lost_session_whose_rows_have_expired_ends_where_it_began(
    store: PostgresRowStore, catalog: PostgresSessionCatalog, reader: psycopg.Connection
) -> None:
    store.write([tick(0)])
    reader.execute("TRUNCATE engagement_metrics")
    lost = catalog.find_lost(AT_MS + 1)
    assert lost == [ended(0)]
    assert catalog.end(lost) == 1
    assert catalog.summarise(ended(0))
    assert figures(reader) == [(True, 0, None, None, None, None)]


def test_sessions_that_an_earlier_version_stored_after_the_migration_are_added(
    plain_database: str,
) -> None:
    migrate(plain_database)
    now_ms = round(time.time() * 1000)
    earlier = [
        row("new", now_ms - 60_000),
        row("new", now_ms - 55_000),
        row("known", now_ms - 9000),
    ]
    with (
        closing(PostgresRowStore(plain_database)) as store,
        closing(PostgresSessionCatalog(plain_database)) as catalog,
        psycopg.connect(plain_database, autocommit=True) as reader,
    ):
        store.write(earlier)
        reader.execute("TRUNCATE sessions")
        store.close()
        store.write([row("known", now_ms)])
        assert catalog.adopt() == 2
        found = reader.execute("SELECT session_id, started_at FROM sessions ORDER BY 1").fetchall()
        assert found == [
            ("known", to_datetime(now_ms - 9000)),
            ("new", to_datetime(now_ms - 60_000)),
        ]
        assert catalog.adopt() == 0
        reader.execute("TRUNCATE sessions")
        reader.execute("UPDATE schema_migrations SET applied_at = now() - interval '2 days'")
        assert catalog.adopt() == 0


@pytest.mark.parametrize("session_id", ['/%#?"<__proto__', "😀" * 255])
def test_ids_are_opaque(
    store: PostgresRowStore, catalog: PostgresSessionCatalog, session_id: str
) -> None:
    key = SessionKey("default", session_id)
    store.write([tick(0, session_id, is_last=True)])
    assert catalog.find_unsummarised(10) == [ended(0, key)]
    assert catalog.summarise(ended(0, key))


def test_lost_sessions_and_figures_are_found_by_index(
    store: PostgresRowStore, reader: psycopg.Connection
) -> None:
    """None of the queries reads all rows, however many sessions are live."""
    store.write([tick(n, f"s{n % 50}") for n in range(3000)])
    reader.execute("ANALYZE engagement_metrics, sessions")
    at = to_datetime(AT_MS + 2900 * TICK_MS)
    for query, values in (
        (session_catalog._FIND_LOST, {"before": at, "limit": 10}),
        (session_catalog._SUMMARISE, {"tenant_id": "default", "session_id": "s1", "ended_at": at}),
    ):
        plan = reader.execute(f"EXPLAIN {query}".encode(), values).fetchall()
        text = "\n".join(line for (line,) in plan)
        assert "Seq Scan on engagement_metrics" not in text, text


def test_a_database_that_is_away_is_unavailable_and_then_connected_again(url: str) -> None:
    away = PostgresSessionCatalog("postgresql://127.0.0.1:1/x")
    with closing(away), pytest.raises(Unavailable):
        away.find_unsummarised(1)
    with closing(PostgresSessionCatalog(url)) as catalog:
        catalog.find_unsummarised(1)
        assert catalog._connection._connection is not None
        catalog._connection._connection.close()
        with pytest.raises(Unavailable):
            catalog.find_unsummarised(1)
        catalog.find_unsummarised(1)


def test_a_database_that_is_not_migrated_says_so(plain_database: str) -> None:
    with (
        closing(PostgresSessionCatalog(plain_database)) as catalog,
        pytest.raises(ConfigError, match="migrate"),
    ):
        catalog.find_unsummarised(1)
