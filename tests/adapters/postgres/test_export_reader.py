"""Exports are read by indexes, page by page, with the columns that the dictionary describes."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from conductor_actors.adapters.postgres.history import export_reader
from conductor_actors.adapters.postgres.history.export_reader import PostgresExportReader
from conductor_actors.adapters.postgres.history.history_queries import HistoryQueries
from conductor_actors.exports.dictionary import TABLES
from conductor_actors.exports.selections import ExportSelection
from conductor_actors.instants import to_datetime, to_ms
from tests.support.bulk_rows import insert_bulk_rows

pytestmark = pytest.mark.anyio

METRICS = TABLES["engagement_metrics"]
TYPES = {
    "timestamp": {"timestamp with time zone"},
    "text": {"text", "uuid"},
    "number": {"double precision"},
    "integer": {"bigint"},
    "boolean": {"boolean"},
    "json": {"jsonb"},
}
SESSIONS, TICKS = 30, 400
BY_SESSION = re.compile(r'"Index Cond": "[^"]*\bsession_id\b')


@pytest.fixture(scope="module", params=["plain", "timescale"])
def database(request: pytest.FixtureRequest) -> str:
    """Return a database with many rows of the tenant `acme`."""
    url: str = request.getfixturevalue(f"shared_{request.param}_database")
    insert_bulk_rows(url, SESSIONS, TICKS)
    return url


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[PostgresExportReader]:
    queries = HistoryQueries(url)
    await queries.open()
    try:
        yield PostgresExportReader(queries, 5)
    finally:
        await queries.close()


async def read(
    url: str, selection: ExportSelection, page_rows: int
) -> tuple[list[int], list[tuple[Any, ...]]]:
    """Return the sizes of the pages, and all rows."""
    async with reading(url) as reader:
        pages = [page async for page in reader.pages(selection, page_rows)]
    return [len(page) for page in pages], [record for page in pages for record in page]


@pytest.mark.parametrize("page_rows", [170, 400, 1000, 50_000])
async def test_every_row_is_in_one_page_and_no_page_is_larger_than_asked_for(
    database: str, page_rows: int
) -> None:
    sizes, records = await read(database, ExportSelection(METRICS, "acme"), page_rows)
    assert max(sizes) <= page_rows
    keys = [(record[2], record[0]) for record in records]
    assert len(set(keys)) == len(keys) == SESSIONS * TICKS
    assert keys == sorted(keys)
    with psycopg.connect(database) as connection:
        stored = connection.execute(
            "SELECT session_id, time, engagement_score FROM engagement_metrics"
            " WHERE tenant_id = 'acme' ORDER BY session_id COLLATE \"C\", time"
        ).fetchall()
    assert [(*key, record[4]) for key, record in zip(keys, records, strict=True)] == stored


async def test_sessions_that_fill_a_page_together_are_read_together(database: str) -> None:
    selection = ExportSelection(METRICS, "acme", event_id="event-1")
    sizes, _ = await read(database, selection, 5 * TICKS)
    assert sizes == [5 * TICKS, 5 * TICKS]


async def test_an_export_is_as_large_as_its_sessions_say(database: str) -> None:
    async with reading(database) as reader:
        everything = await reader.measure(ExportSelection(METRICS, "acme"))
        of_event = await reader.measure(ExportSelection(METRICS, "acme", event_id="event-2"))
        of_range = await reader.measure(ExportSelection(METRICS, "acme", first_ms=0))
        unknown = await reader.measure(ExportSelection(METRICS, "acme", session_id="none"))
    assert everything == (SESSIONS, SESSIONS * TICKS)
    assert of_event == (10, 10 * TICKS)
    assert of_range == (SESSIONS, None)
    assert unknown == (0, 0)


async def test_a_range_in_the_middle_of_sessions_has_its_rows_only(database: str) -> None:
    async with reading(database) as reader:
        pages = reader.pages(ExportSelection(METRICS, "acme", session_id="session-000003"), 500)
        [first, *_] = [page async for page in pages]
    begin_ms = to_ms(first[100][0])
    selection = ExportSelection(METRICS, "acme", first_ms=begin_ms, until_ms=begin_ms + 50_000)
    _, records = await read(database, selection, 7)
    begin, until = to_datetime(begin_ms), to_datetime(begin_ms + 50_000)
    assert {record[2][-3:] for record in records} >= {"003", "010"}
    assert all(begin <= record[0] < until for record in records)
    assert len(records) == 10 * len({record[2] for record in records})


async def test_rows_after_the_end_of_a_session_are_exported_too(database: str) -> None:
    tenant = f"t-{uuid4().hex}"
    insert_bulk_rows(database, 1, 100, tenant)
    with psycopg.connect(database) as connection:
        [[ended_at]] = connection.execute(
            "UPDATE sessions SET last_row_at = ended_at, ended_at = ended_at - interval '100 s'"
            " WHERE tenant_id = %s RETURNING ended_at",
            (tenant,),
        ).fetchall()
    selection = ExportSelection(METRICS, tenant)
    _, records = await read(database, selection, 1000)
    assert len(records) == 100
    _, records = await read(database, selection._replace(first_ms=to_ms(ended_at) + 1), 1000)
    assert len(records) == 20


async def test_only_visible_sessions_are_read(database: str) -> None:
    visible = ["session-000001", "session-000011", "none"]
    selection = ExportSelection(METRICS, "acme", session_ids=visible)
    _, records = await read(database, selection, 1000)
    assert {record[2] for record in records} == {"session-000001", "session-000011"}
    of_event = selection._replace(event_id="event-1")
    _, records = await read(database, of_event, 1000)
    assert {record[2] for record in records} == {"session-000011"}


@pytest.mark.parametrize("table", TABLES)
async def test_the_dictionary_has_the_columns_of_the_table(database: str, table: str) -> None:
    with psycopg.connect(database) as connection:
        stored = connection.execute(
            "SELECT column_name, data_type, is_nullable FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position",
            (table,),
        ).fetchall()
    described = TABLES[table].columns
    assert [name for name, *_ in stored] == [one.name for one in described]
    for (name, kind, nullable), one in zip(stored, described, strict=True):
        assert kind in TYPES[one.type], name
        assert (nullable == "YES") == one.is_nullable, name


@pytest.mark.parametrize("table", ["anomalies", "interventions", "agent_performance"])
@pytest.mark.parametrize("page_rows", [1, 2, 7, 1000])
async def test_rows_of_the_same_time_are_on_one_page_each(
    database: str, table: str, page_rows: int
) -> None:
    tenant = f"t-{uuid4().hex}"
    ids = _insert_small_rows(database, table, tenant)
    selection = ExportSelection(TABLES[table], tenant)
    sizes, records = await read(database, selection, page_rows)
    assert max(sizes) <= page_rows
    assert [record[0] for record in records] == ids
    _, records = await read(database, selection._replace(session_id="s1"), page_rows)
    assert [record[0] for record in records] == ids[1::2]
    _, records = await read(database, selection._replace(session_ids=["s0"]), page_rows)
    assert [record[0] for record in records] == ids[::2]


def _insert_small_rows(url: str, table: str, tenant: str) -> list[str]:
    """Store ten rows, of two sessions in turn, at two times; return their ids in order."""
    ids = sorted(str(uuid4()) for _ in range(5)) + sorted(str(uuid4()) for _ in range(5))
    sample: dict[str, object] = {"tenant_id": tenant}
    for column in TABLES[table].columns:
        values = {"text": "x", "number": 0.5, "integer": 1, "boolean": True, "json": "{}"}
        sample.setdefault(column.name, values.get(column.type))
    query = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, sample)),
        sql.SQL(", ").join(map(sql.Placeholder, sample)),
    )
    with psycopg.connect(url) as connection:
        for number, identity in enumerate(ids):
            at = to_datetime(1_767_528_000_000) + timedelta(seconds=5 * (number // 5))
            changes = {"id": identity, "session_id": f"s{number % 2}"}
            connection.execute(query, sample | changes | {TABLES[table].time_column: at})
    return ids


async def test_each_page_is_read_by_an_index(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planner chooses it by itself: sequential scans are not forbidden here."""
    insert_bulk_rows(database, 300, 200, "many")
    _insert_other_sessions(database, 20_000)
    run = HistoryQueries.run
    plans: list[str] = []

    async def explaining(self: Any, tenant: str, query: Any, values: Any, **options: Any) -> Any:
        [[plan]] = await run(self, tenant, sql.SQL("EXPLAIN (FORMAT JSON) ") + query, values)
        plans.append(json.dumps(plan))
        return await run(self, tenant, query, values, **options)

    monkeypatch.setattr(HistoryQueries, "run", explaining)
    monkeypatch.setattr(export_reader, "MAX_LISTED_SESSIONS", 50)
    for selection in (
        ExportSelection(METRICS, "many", session_id="session-000007"),
        ExportSelection(METRICS, "many", event_id="event-3"),
        ExportSelection(METRICS, "many"),
    ):
        for page_rows in (50, 1000):
            await read(database, selection, page_rows)
    assert len(plans) > 1000
    for plan in plans:
        assert "Seq Scan" not in plan, plan
        if "engagement_metrics" in plan:
            assert BY_SESSION.search(plan), plan


def _insert_other_sessions(url: str, count: int) -> None:
    """Store sessions of another tenant, so that reading all of them would cost something."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO sessions (tenant_id, session_id, event_id, started_at, ended_at)"
            " SELECT 'other', 's' || number, 'e' || number / 10, now(), now()"
            " FROM generate_series(1, %s) AS number ON CONFLICT DO NOTHING",
            (count,),
        )
        connection.execute("ANALYZE sessions")
