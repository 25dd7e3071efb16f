"""What the real store of anomalies does with another writer, and with rows of other programs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from conductor_actors.adapters.postgres import query_pool
from conductor_actors.adapters.postgres.anomaly_store import PostgresAnomalyStore
from conductor_actors.errors import TablesMissing, Unavailable
from conductor_actors.ports.anomaly_port import AnomalyFeedback, AnomalyPage, AnomalySelection
from tests.support.score_rows import AT_MS
from tests.support.stored_anomalies import anomaly, store_anomalies

pytestmark = pytest.mark.anyio

ALL = AnomalySelection("default", AT_MS, AT_MS + 5000)
PAGE = AnomalyPage(100)
FEEDBACK = AnomalyFeedback("not_a_problem", AT_MS)
COUNT_WAITING = """
    SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
"""
END = """
    UPDATE anomalies
    SET metadata = metadata || '{"ended_at": "2026-01-04T12:01:00.000Z"}' WHERE id = %s
"""


@pytest.fixture
def url(shared_plain_database: str) -> str:
    with psycopg.connect(shared_plain_database, autocommit=True) as connection:
        connection.execute("TRUNCATE anomalies")
    return shared_plain_database


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresAnomalyStore]:
    store = PostgresAnomalyStore(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.mark.parametrize("is_end_first", [True, False])
async def test_an_end_and_feedback_do_not_remove_each_other(
    url: str, *, is_end_first: bool
) -> None:
    store_anomalies(url, anomaly())
    async with opened(url) as store:
        if is_end_first:
            with psycopg.connect(url) as collector:
                collector.execute(END, (anomaly().id,))
                call = store.store_feedback("default", anomaly().id, None, FEEDBACK)
                waiting = asyncio.create_task(call)
                await until_it_waits(url)
                collector.commit()
            await waiting
        else:
            await store.store_feedback("default", anomaly().id, None, FEEDBACK)
            with psycopg.connect(url, autocommit=True) as collector:
                collector.execute(END, (anomaly().id,))
        (found,) = await store.find(ALL, PAGE)
    assert found == anomaly(ended_ms=AT_MS + 60_000, feedback=FEEDBACK)


async def until_it_waits(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as watching:
        while not (await watching.execute(COUNT_WAITING)).rowcount:
            pass


@pytest.mark.parametrize(
    "metadata",
    [
        "{}",
        "[]",
        "7",
        '{"onset": 3, "reason": ["x"], "ended_at": {"a": 1}, "feedback": "good"}',
        '{"onset": "soon", "ended_at": "2026-02-31", "feedback": {"verdict": "x", "at": 1}}',
        '{"feedback": {"verdict": ["problem"], "at": "2026-01-04T12:00:00Z"}}',
    ],
)
async def test_what_another_program_stored_in_the_metadata_is_ignored(
    url: str, metadata: str
) -> None:
    bare = anomaly(onset_ms=None, reason=None, signals={})
    store_anomalies(url, bare)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE anomalies SET metadata = %s, signals = '[1]'", (metadata,))
    async with opened(url) as store:
        assert await store.find(ALL, PAGE) == [bare]
        (quality,) = await store.quality(ALL)
        assert (quality.total, quality.judged, quality.median_duration_s) == (1, 0, None)
        await store.recent(["default"], AT_MS, AT_MS, 10)


async def test_feedback_is_stored_by_a_role_whose_transactions_are_read_only(url: str) -> None:
    store_anomalies(url, anomaly())
    read_only = make_conninfo(url, options="-c default_transaction_read_only=on")
    async with opened(read_only) as store:
        assert await store.store_feedback("default", anomaly().id, None, FEEDBACK) == anomaly()
        (found,) = await store.find(ALL, PAGE)
    assert found.feedback == FEEDBACK


async def test_numbers_and_times_do_not_depend_on_settings_of_the_role(url: str) -> None:
    stored = anomaly(anomaly_score=0.1 + 0.2, ended_ms=AT_MS + 1, feedback=FEEDBACK)
    store_anomalies(url, stored)
    settings = "-c extra_float_digits=-15 -c DateStyle=German -c TimeZone=Asia/Tokyo"
    async with opened(make_conninfo(url, options=settings)) as store:
        assert await store.find(ALL, PAGE) == [stored]
        assert (await store.quality(ALL))[0].median_duration_s == 0.001


async def test_without_tables_it_says_how_to_make_them(plain_database: str) -> None:
    async with opened(plain_database) as store:
        with pytest.raises(TablesMissing, match="conductor_actors migrate"):
            await store.find(ALL, PAGE)


async def test_a_server_that_does_not_answer_is_unavailable_in_time(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_pool, "QUERY_DEADLINE_S", 0.2)
    async with opened(url) as store:
        with psycopg.connect(url) as locking:
            locking.execute("LOCK TABLE anomalies")
            with pytest.raises(Unavailable, match="did not answer within"):
                await store.store_feedback("default", anomaly().id, None, FEEDBACK)
