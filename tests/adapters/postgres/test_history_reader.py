"""What the history reader says when it can not read; what it reads is tested by the API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from conductor_actors.adapters.postgres import query_pool
from conductor_actors.adapters.postgres.history_reader import PostgresHistoryReader
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import ConfigError, Unavailable

pytestmark = pytest.mark.anyio

KEY = SessionKey("acme", "keynote")


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
