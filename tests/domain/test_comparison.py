"""Comparing what was scored again with what was kept: nothing is missed, and nothing made up."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from conductor_actors.domain.comparison import (
    Comparison,
    Difference,
    Kept,
    Known,
    Record,
)
from conductor_actors.domain.scoring import ScoreRow
from tests.support.score_rows import AT_MS, SIGNALS, record, row

TICK_MS = 5000
ALL = Known(0, AT_MS + 10**9)
SIGNAL = SIGNALS.__struct_fields__


def rows_of(ticks: Sequence[str]) -> list[ScoreRow]:
    """Make rows: a letter is a session, a word a tick."""
    return [
        row(session, AT_MS + number * TICK_MS)
        for number, sessions in enumerate(ticks)
        for session in sorted(sessions)
    ]


def kept(rows: Sequence[ScoreRow]) -> Kept:
    records = sorted((record(each) for each in rows), key=lambda each: each.time)
    return lambda first_ms: [each for each in records if each.time >= first_ms]


def compared(
    replayed: Sequence[ScoreRow], stored: Sequence[ScoreRow], known: Known = ALL
) -> Comparison:
    comparison = Comparison(kept(stored), known)
    for _, rows in groupby(replayed, key=lambda each: each.at_ms):
        comparison.take(list(rows))
    comparison.finish(max((each.at_ms for each in replayed), default=0))
    return comparison


def counts(comparison: Comparison) -> tuple[int, int, int, int]:
    """Give compared, missing, different, unexpected."""
    found = comparison
    return found.compared, found.missing, found.different, found.unexpected


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[ScoreRow], list[ScoreRow], set[int], set[int]]:
    """Draw replayed and stored rows, and which of the replayed are missing or changed."""
    ticks = draw(st.lists(st.text("abcd", max_size=4).map(set), min_size=1, max_size=8))
    rows = rows_of(["".join(each) for each in ticks])
    numbers = range(len(rows))
    some = st.sets(st.sampled_from(numbers)) if rows else st.just(set[int]())
    missing = draw(some)
    changed = draw(some) - missing
    stored = [
        changed_row(draw, each) if number in changed else each
        for number, each in enumerate(rows)
        if number not in missing
    ]
    return rows, stored, missing, changed


def changed_row(draw: st.DrawFn, before: ScoreRow) -> ScoreRow:
    """Change one column."""
    field = draw(st.sampled_from(["event_id", "score", "category", *SIGNAL]))
    if field in SIGNAL:
        return replace(before, signals=replace(before.signals, **{field: 777}))
    return replace(before, **{field: 0.777 if field == "score" else "else"})


@given(histories())
def test_exactly_what_was_deleted_or_changed_is_found(
    history: tuple[list[ScoreRow], list[ScoreRow], set[int], set[int]],
) -> None:
    rows, stored, missing, changed = history
    found = compared(rows, stored)
    assert counts(found) == (len(rows) - len(missing), len(missing), len(changed), 0)
    assert found.is_equal is (not missing | changed)
    if found.first is not None:
        assert found.first.replayed == record(rows[min(missing | changed)])


@given(histories())
def test_exactly_what_was_not_replayed_is_unexpected(
    history: tuple[list[ScoreRow], list[ScoreRow], set[int], set[int]],
) -> None:
    rows, _, left_out, _ = history
    replayed = [each for number, each in enumerate(rows) if number not in left_out]
    last_ms = max((each.at_ms for each in replayed), default=0)
    first_ms = min((each.at_ms for each in replayed), default=0)
    heard = {each.session_id for each in replayed}
    in_span = [rows[number] for number in left_out if first_ms <= rows[number].at_ms <= last_ms]
    unexpected = [each for each in in_span if each.session_id in heard]
    found = compared(replayed, rows)
    assert counts(found) == (len(replayed), 0, 0, len(unexpected))
    assert found.elsewhere == len(in_span) - len(unexpected)
    if unexpected:
        assert found.first == Difference(min(map(record, unexpected)), None)


def test_numbers_are_compared_bit_for_bit() -> None:
    zero, minus = (row(signals=replace(SIGNALS, user_leave_rate=each)) for each in (0.0, -0.0))
    assert compared([zero], [zero]).is_equal
    assert counts(compared([zero], [minus])) == (1, 0, 1, 0)
    almost = row(score=0.6018 + 2**-53)
    assert counts(compared([row()], [almost])) == (1, 0, 1, 0)


def test_a_row_that_is_kept_twice_or_between_ticks_is_unexpected() -> None:
    rows = rows_of(["a", "a"])
    between = row("a", AT_MS + 1)
    assert counts(compared(rows, [*rows, rows[0], between])) == (2, 0, 0, 2)


def test_rows_before_the_first_and_after_the_last_replayed_tick_are_no_matter() -> None:
    rows = rows_of(["a", "a", "a", "a"])
    assert counts(compared(rows[1:3], rows)) == (2, 0, 0, 0)


def test_kept_rows_up_to_the_last_tick_count_though_no_row_is_replayed_there() -> None:
    rows = rows_of(["a", "a"])
    comparison = Comparison(kept(rows), ALL)
    comparison.take(rows[:1])
    comparison.take([])
    comparison.finish(rows[1].at_ms)
    assert counts(comparison) == (1, 0, 0, 1)


def test_a_row_from_before_its_session_began_is_unexpected() -> None:
    rows = rows_of(["a", "ab"])
    early = row("b", AT_MS)
    found = compared(rows, [*rows, early])
    assert counts(found) == (3, 0, 0, 1)
    assert found.first == Difference(record(early), None)


@pytest.mark.parametrize("stored", [[], rows_of(["a", "a", "a"])])
def test_what_comes_after_the_last_known_tick_is_not_compared(stored: list[ScoreRow]) -> None:
    rows = rows_of(["a", "a", "a"])
    found = compared(rows, stored, Known(0, AT_MS + TICK_MS))
    assert found.compared + found.missing == 2
    assert found.unknown.too_late == 1
    assert found.unexpected == 0


def test_nothing_is_compared_before_the_first_known_tick() -> None:
    rows = rows_of(["a", "a", "a"])
    found = compared(rows, rows[2:], Known(AT_MS + 2 * TICK_MS, ALL.until_ms))
    assert counts(found) == (1, 0, 0, 0)
    assert found.unknown.too_early == found.unknown.total() == 2


def test_a_session_from_before_is_compared_when_it_was_over_and_began_anew() -> None:
    rows = rows_of(["ab", "ab", "a", "ab", "abc"])
    wrong = [replace(each, score=0.0) for each in rows]
    known = Known(AT_MS + TICK_MS, ALL.until_ms, with_sessions_before=False)
    found = compared(rows, wrong, known)
    assert counts(found) == (3, 0, 3, 0)  # b twice, c once
    assert found.first is not None
    assert found.first.row == (AT_MS + 3 * TICK_MS, ("default", "b"))
    assert (found.unknown.too_early, found.unknown.older_sessions) == (2, 5)


def test_kept_rows_of_a_session_from_before_are_never_unexpected() -> None:
    rows = rows_of(["a", "a", "a"])
    between = row("a", AT_MS + TICK_MS + 1)
    known = Known(AT_MS + TICK_MS, ALL.until_ms, with_sessions_before=False)
    assert counts(compared(rows, [*rows, between], known)) == (0, 0, 0, 0)


def test_no_more_than_one_tick_is_held() -> None:
    given_out: list[int] = []
    rows = rows_of(["ab"] * 100)

    def stream(first_ms: int) -> Iterator[Record]:
        for each in rows:
            if each.at_ms >= first_ms:
                given_out.append(each.at_ms)
                yield record(each)

    comparison = Comparison(stream, ALL)
    comparison.take(rows[4:6])
    assert given_out == [AT_MS + 2 * TICK_MS] * 2 + [AT_MS + 3 * TICK_MS]
