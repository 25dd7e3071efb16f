"""Everything works behind PgBouncer in transaction mode, and leaves no trace in a session."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from conductor_actors.adapters.postgres.connection import connect
from conductor_actors.adapters.postgres.history.history_ports import make_history_ports
from conductor_actors.adapters.postgres.history_reader import PostgresHistoryReader
from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.postgres.stored_rows import read_rows
from conductor_actors.domain.gaps import GapMark
from conductor_actors.domain.scoring import Scoring
from conductor_actors.domain.session_titles import SessionDetails, TitleChange
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports.history_port import TimeRange
from conductor_actors.ports.report_port import ReportRules
from tests.support.pgbouncer import pgbouncer
from tests.support.score_rows import AT_MS, record, row
from tests.support.waiting import becomes_true

# What a session could keep of us: settings, and temporary tables.
_TRACES = """
    SELECT current_setting('statement_timeout'), current_setting('DateStyle'),
           current_setting('TimeZone'), current_setting('extra_float_digits'),
           current_setting('max_parallel_workers_per_gather'), current_setting('jit'),
           current_setting('transaction_read_only'),
           (SELECT count(*) FROM pg_class WHERE relpersistence = 't')
"""


@pytest.fixture
def pooled(plain_database: str) -> Iterator[str]:
    with pgbouncer(plain_database) as url:
        yield url


def traces(url: str) -> tuple[object, ...] | None:
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as other:
        return other.execute(_TRACES).fetchone()


def test_two_stores_that_share_a_session_write_new_and_known_rows(pooled: str) -> None:
    assert migrate(pooled)[:2] == ["001_tables", "005_anomalies"]
    untouched = traces(pooled)
    gap = GapMark("trimmed", 7)
    with closing(PostgresRowStore(pooled)) as one, closing(PostgresRowStore(pooled)) as two:
        for number in range(3):
            rows = [row("é😀", AT_MS + 5000 * number), row("gap", AT_MS + 5000 * number, gap=gap)]
            assert [one.write(rows).stored, two.write(rows).stored] == [2, 0]
            assert traces(pooled) == untouched
        assert one.apply_retention(days=1e5) == 0
        assert all(finding.ok for finding in two.check())
    assert traces(pooled) == untouched
    assert len(list(read_rows(pooled, AT_MS, AT_MS + 10_000, None))) == 6
    assert traces(pooled) == untouched


def test_a_staging_table_that_another_program_left_behind_is_no_obstacle(pooled: str) -> None:
    migrate(pooled)
    with psycopg.connect(pooled, autocommit=True) as other:
        other.execute("CREATE TEMPORARY TABLE staging ()")
        other.execute("SET search_path = public; SET statement_timeout = '7s'")
        with closing(PostgresRowStore(pooled)) as store:
            assert [store.write([row()]).stored for _ in range(3)] == [1, 0, 0]
        assert other.execute("SHOW statement_timeout").fetchone() == ("7s",)


@pytest.mark.anyio
async def test_the_dashboard_reads_the_history(pooled: str) -> None:
    migrate(pooled)
    untouched = traces(pooled)
    rows = [row("é😀", AT_MS + 5000 * number, score=1 / 3) for number in range(3)]
    with closing(PostgresRowStore(pooled)) as store:
        store.write(rows)
    reader = PostgresHistoryReader(pooled)
    await reader.open()
    try:
        found = await reader.rows(rows[0].key, AT_MS, AT_MS + 15_000)
    finally:
        await reader.close()
    assert [(each.at_ms, each.score) for each in found] == [(r.at_ms, 1 / 3) for r in rows]
    assert traces(pooled) == untouched


@pytest.mark.anyio
async def test_the_dashboard_reads_past_sessions_and_names_them(pooled: str) -> None:
    migrate(pooled)
    untouched = traces(pooled)
    rows = [row("é😀", AT_MS + 5000 * number, score=1 / 3) for number in range(3)]
    with closing(PostgresRowStore(pooled)) as store:
        store.write(rows)
    key, during = rows[0].key, TimeRange(AT_MS, AT_MS + 15_000)
    ports = make_history_ports(pooled, ReportRules(Scoring(), 5, 60))
    await ports.connections.open()
    try:
        await ports.titles.write(TitleChange(*key, AT_MS, SessionDetails("Keynote")))
        named = await ports.sessions.get(key)
        shown = await ports.timelines.read(key, during, timedelta(seconds=5), during)
    finally:
        await ports.connections.close()
    assert named is not None
    assert (named.title, named.started_ms, named.ended_ms) == ("Keynote", AT_MS, None)
    assert [(each.at_ms, each.score) for each in shown.steps] == [(r.at_ms, 1 / 3) for r in rows]
    assert traces(pooled) == untouched


def test_a_statement_that_waits_too_long_is_ended_by_the_server(
    pooled: str, plain_database: str
) -> None:
    migrate(plain_database)
    with psycopg.connect(plain_database) as locking:
        locking.execute("LOCK TABLE engagement_metrics IN EXCLUSIVE MODE")
        store = PostgresRowStore(pooled, deadline_s=0.5)
        with closing(store), pytest.raises(Unavailable):
            store.write([row()])
        waiting = "SELECT FROM pg_locks WHERE NOT granted"
        becomes_true(lambda: locking.execute(waiting).rowcount == 0, 5)


def test_options_that_pgbouncer_refuses_are_for_the_operator(pooled: str) -> None:
    with pytest.raises(ConfigError, match=r"unsupported startup parameter.*ALTER ROLE"):
        connect(make_conninfo(pooled, options="-c search_path=conductor"))


def test_rows_come_back_bit_for_bit(pooled: str) -> None:
    migrate(pooled)
    rows = [row("a", score=0.1 + 0.2), row("b", score=5e-324)]
    with closing(PostgresRowStore(pooled)) as store:
        store.write(rows)
    assert sorted(read_rows(pooled, AT_MS, AT_MS, None)) == list(map(record, rows))
