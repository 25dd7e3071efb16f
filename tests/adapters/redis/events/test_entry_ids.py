"""Ids of stream entries: parsed, written, and their neighbours."""

import pytest

from conductor_actors.adapters.redis.events.entry_ids import (
    MAX_SEQUENCE,
    format_id,
    next_id,
    parse_id,
    previous_id,
)


@pytest.mark.parametrize(("text", "parsed"), [(b"17-3", (17, 3)), (b"17", (17, 0)), (b"0", (0, 0))])
def test_an_id_is_milliseconds_and_a_sequence(text: bytes, parsed: tuple[int, int]) -> None:
    assert parse_id(text) == parsed
    assert format_id(parsed) == b"%d-%d" % parsed
    assert parse_id(format_id(parsed)) == parsed


@pytest.mark.parametrize(
    ("first", "second"),
    [((0, 0), (0, 1)), ((5, 2), (5, 3)), ((5, MAX_SEQUENCE), (6, 0))],
)
def test_each_id_has_a_next_one_whose_previous_one_it_is(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    assert next_id(first) == second
    assert previous_id(second) == first


def test_nothing_comes_before_the_first_id() -> None:
    assert previous_id((0, 0)) == (0, 0)
