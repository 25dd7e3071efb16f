"""What the history reader says when it can not read; what it reads is tested by the API."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from functools import partial
from uuid import uuid4

import psycopg
import pytest

from conductor_actors.adapters.postgres import query_pool
from conductor_actors.adapters.postgres.history_reader import PostgresHistoryReader
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.domain.anomalies.changes import ExpectedScore
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError, Unavailable
from tests.support.score_rows import AT_MS, row

pytestmark = pytest.mark.anyio

KEY = SessionKey("acme", "keynote")


@pytest.fixture
def store(shared_database: str) -> Iterator[Callable[..., None]]:
    """Store rows as the collector does."""
    with closing(PostgresRowStore(shared_database)) as row_store:

        def write(*rows: ScoreRow) -> None:
            assert not row_store.write(rows).refused

        yield write


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresHistoryReader]:
    reader = PostgresHistoryReader(url)
    await reader.open()
    try:
        yield reader
    finally:
        await reader.close()


async def test_a_session_without_scores_has_an_empty_history(shared_plain_database: str) -> None:
    async with opened(shared_plain_database) as reader:
        assert await reader.count_live() >= 0
        assert (await reader.rows(KEY, 0, 5000), await reader.newest(KEY)) == ([], None)


async def test_without_tables_it_says_how_to_make_them(plain_database: str) -> None:
    async with opened(plain_database) as reader:
        with pytest.raises(ConfigError, match="conductor_actors migrate"):
            await reader.count_live()


async def test_a_server_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_pool, "QUERY_CONNECT_S", 0.2)
    async with opened("postgresql://nobody:secret@127.0.0.1:9/none") as reader:
        with pytest.raises(Unavailable) as caught:
            await reader.newest(KEY)
    assert "secret" not in str(caught.value)


async def test_a_server_that_does_not_answer_is_unavailable_in_time(
    shared_plain_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_pool, "QUERY_DEADLINE_S", 0.2)
    async with opened(shared_plain_database) as reader:
        with psycopg.connect(shared_plain_database) as locking:
            locking.execute("LOCK TABLE engagement_metrics")
            with pytest.raises(Unavailable, match="did not answer within"):
                await reader.count_live()


async def test_live_sessions_are_read_with_their_last_score(
    shared_database: str, store: Callable[..., None]
) -> None:
    tenant = f"tenant-{uuid4().hex}"
    made = partial(row, tenant_id=tenant)
    store(
        *(made("a", AT_MS + 5000 * tick, score=tick / 10) for tick in range(3)),
        made("b", AT_MS + 5000, is_audience_known=False, expected=ExpectedScore(0.25, 0.5)),
        made("old", AT_MS - 5000),
        made("over", AT_MS, is_last=True),
    )
    async with opened(shared_database) as reader:
        before = await reader.count_live()
        found = await reader.live(tenant, AT_MS, 10)
        assert {each: score.at_ms for each, score in found.items()} == {
            "a": AT_MS + 10_000,
            "b": AT_MS + 5000,
        }
        for session_id, score in found.items():
            assert score == await reader.newest(SessionKey(tenant, session_id))
        assert [*await reader.live(tenant, AT_MS, 1)] == ["b"]  # the one that started last
        assert await reader.live("other", AT_MS, 10) == {}
        store(made("c", AT_MS))
        assert await reader.count_live() == before + 1
