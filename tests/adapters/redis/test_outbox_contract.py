"""What every outbox promises, fake or real."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from conductor_actors.adapters.redis.outbox import ROWS_PER_ENTRY, RedisOutbox
from conductor_actors.domain.anomalies.changes import ExpectedScore
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports import Outbox
from tests.support.fakes.memory_outbox import MemoryOutbox
from tests.support.score_rows import AT_MS, began, ended, row


@pytest.fixture(params=["memory", "redis"])
def outbox(request: pytest.FixtureRequest) -> Iterator[Outbox]:
    if request.param == "memory":
        yield MemoryOutbox()
        return
    with closing(RedisOutbox(request.getfixturevalue("valkey_url"))) as outbox:
        yield outbox


def make_rows(count: int, first: int = 0) -> list[ScoreRow]:
    return [row(at_ms=AT_MS + number) for number in range(first, first + count)]


def test_a_new_outbox_is_empty(outbox: Outbox) -> None:
    assert outbox.count_entries() == 0
    assert not outbox.read_oldest(1000).rows
    outbox.append([])
    assert not outbox.read_oldest(1000).ids


def test_rows_are_returned_unchanged_and_in_order(outbox: Outbox) -> None:
    numbers = [0.1 + 0.2, 5e-324, -0.0, float("nan"), float("inf")]
    odd = [row("😀 \0\n", score=number) for number in numbers]
    rows = [*make_rows(3), *odd]
    outbox.append(rows[:2])
    outbox.append(rows[2:])
    # repr, which distinguishes 0.0 from -0.0, and by which NaN equals NaN
    assert list(map(repr, outbox.read_oldest(1000).rows)) == list(map(repr, rows))


def test_what_is_expected_and_what_begins_and_ends_comes_back_with_its_row(outbox: Outbox) -> None:
    rows = [
        row("a", expected=ExpectedScore(0.1 + 0.2, 1.0), anomalies=(began(),)),
        row("a", AT_MS + 5000, anomalies=(ended(), began("2"))),
    ]
    outbox.append(rows)
    assert outbox.read_oldest(1000).rows == rows


def test_rows_stay_until_they_are_deleted(outbox: Outbox) -> None:
    outbox.append(make_rows(2))
    page = outbox.read_oldest(1000)
    assert list(outbox.read_oldest(1000).rows) == list(page.rows)
    outbox.delete(page)
    assert not outbox.read_oldest(1000).rows
    assert outbox.count_entries() == 0


def test_pages_have_about_the_requested_number_of_rows_oldest_first(outbox: Outbox) -> None:
    rows = make_rows(5 * ROWS_PER_ENTRY)
    outbox.append(rows)
    found = list[ScoreRow]()
    while (page := outbox.read_oldest(2 * ROWS_PER_ENTRY)).ids:
        assert len(page.rows) <= 2 * ROWS_PER_ENTRY
        found += page.rows
        outbox.delete(page)
    assert found == rows


def test_a_page_has_at_least_one_entry(outbox: Outbox) -> None:
    outbox.append(make_rows(3))
    assert outbox.read_oldest(1).rows


def test_rows_appended_after_a_page_was_read_are_not_deleted_with_it(outbox: Outbox) -> None:
    outbox.append(make_rows(2))
    page = outbox.read_oldest(1000)
    outbox.append(later := make_rows(2, first=2))
    outbox.delete(page)
    assert list(outbox.read_oldest(1000).rows) == later


def test_deleting_a_page_again_deletes_nothing_else(outbox: Outbox) -> None:
    outbox.append(make_rows(2))
    page = outbox.read_oldest(1000)
    outbox.delete(page)
    outbox.append(later := make_rows(1))
    outbox.delete(page)
    outbox.delete(outbox.read_oldest(0)._replace(ids=()))
    assert list(outbox.read_oldest(1000).rows) == later


def test_entries_of_at_most_500_rows_are_counted(outbox: Outbox) -> None:
    outbox.append(make_rows(2 * ROWS_PER_ENTRY + 1))
    assert outbox.count_entries() == 3
    outbox.append(make_rows(1))
    assert outbox.count_entries() == 4
