"""What every outbox promises, fake or real."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from conductor_actors.adapters.redis.outbox import ENTRY_ROWS, RedisOutbox
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports import Outbox
from tests.support.fakes.memory_outbox import MemoryOutbox
from tests.support.score_rows import AT_MS, row


@pytest.fixture(params=["memory", "redis"])
def outbox(request: pytest.FixtureRequest) -> Iterator[Outbox]:
    if request.param == "memory":
        yield MemoryOutbox()
        return
    client: redis.Redis = request.getfixturevalue("redis_client")
    del client  # for its empty database
    with closing(RedisOutbox(request.getfixturevalue("valkey_url"))) as outbox:
        yield outbox


def rows_of(count: int, first: int = 0) -> list[ScoreRow]:
    return [row(at_ms=AT_MS + number) for number in range(first, first + count)]


def test_a_new_outbox_is_empty(outbox: Outbox) -> None:
    assert outbox.size() == 0
    assert not outbox.oldest(1000).rows
    outbox.append([])
    assert not outbox.oldest(1000).ids


def test_rows_come_back_as_they_went_in_and_in_order(outbox: Outbox) -> None:
    numbers = [0.1 + 0.2, 5e-324, -0.0, float("nan"), float("inf")]
    odd = [row("😀 \0\n", score=number) for number in numbers]
    rows = [*rows_of(3), *odd]
    outbox.append(rows[:2])
    outbox.append(rows[2:])
    # repr, because it tells 0.0 from -0.0, and NaN is like NaN.
    assert list(map(repr, outbox.oldest(1000).rows)) == list(map(repr, rows))


def test_rows_stay_until_they_are_removed(outbox: Outbox) -> None:
    outbox.append(rows_of(2))
    shown = outbox.oldest(1000)
    assert list(outbox.oldest(1000).rows) == list(shown.rows)
    outbox.remove(shown)
    assert not outbox.oldest(1000).rows
    assert outbox.size() == 0


def test_the_oldest_are_shown_first_and_about_as_many_as_asked_for(outbox: Outbox) -> None:
    rows = rows_of(5 * ENTRY_ROWS)
    outbox.append(rows)
    seen = list[ScoreRow]()
    while (shown := outbox.oldest(2 * ENTRY_ROWS)).ids:
        assert len(shown.rows) <= 2 * ENTRY_ROWS
        seen += shown.rows
        outbox.remove(shown)
    assert seen == rows


def test_however_few_are_asked_for_some_are_shown(outbox: Outbox) -> None:
    outbox.append(rows_of(3))
    assert outbox.oldest(1).rows


def test_what_is_appended_meanwhile_is_not_removed(outbox: Outbox) -> None:
    outbox.append(rows_of(2))
    shown = outbox.oldest(1000)
    outbox.append(later := rows_of(2, first=2))
    outbox.remove(shown)
    assert list(outbox.oldest(1000).rows) == later


def test_what_is_removed_twice_is_removed_once(outbox: Outbox) -> None:
    outbox.append(rows_of(2))
    shown = outbox.oldest(1000)
    outbox.remove(shown)
    outbox.append(later := rows_of(1))
    outbox.remove(shown)
    outbox.remove(outbox.oldest(0)._replace(ids=()))
    assert list(outbox.oldest(1000).rows) == later


def test_entries_are_counted(outbox: Outbox) -> None:
    outbox.append(rows_of(2 * ENTRY_ROWS + 1))
    assert outbox.size() == 3
    outbox.append(rows_of(1))
    assert outbox.size() == 4
