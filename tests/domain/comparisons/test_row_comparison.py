"""A comparison finds every difference between replayed and stored rows, and no other."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from conductor_actors.domain.comparisons.row_comparison import (
    Comparison,
    Coverage,
    Difference,
    Record,
    StoredRows,
)
from conductor_actors.domain.scoring import ScoreRow
from tests.support.score_rows import AT_MS, SIGNALS, record, row

TICK_MS = 5000
ALL = Coverage(0, AT_MS + 10**9)
SIGNAL = SIGNALS.__struct_fields__


def rows_of(ticks: Sequence[str]) -> list[ScoreRow]:
    """Return rows: a letter is a session, a word a tick."""
    return [
        row(session, AT_MS + number * TICK_MS)
        for number, sessions in enumerate(ticks)
        for session in sorted(sessions)
    ]


def stored_rows(rows: Sequence[ScoreRow]) -> StoredRows:
    records = sorted((record(each) for each in rows), key=lambda each: each.time)
    return lambda first_ms: [each for each in records if each.time >= first_ms]


def compared(
    replayed: Sequence[ScoreRow], stored: Sequence[ScoreRow], coverage: Coverage = ALL
) -> Comparison:
    comparison = Comparison(stored_rows(stored), coverage)
    for _, rows in groupby(replayed, key=lambda each: each.at_ms):
        comparison.add_tick(list(rows))
    comparison.finish(max((each.at_ms for each in replayed), default=0))
    return comparison


def counts(comparison: Comparison) -> tuple[int, int, int, int]:
    """Return compared, missing, different, unexpected."""
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
def test_exactly_the_rows_that_were_deleted_or_changed_are_found(
    history: tuple[list[ScoreRow], list[ScoreRow], set[int], set[int]],
) -> None:
    rows, stored, missing, changed = history
    found = compared(rows, stored)
    assert counts(found) == (len(rows) - len(missing), len(missing), len(changed), 0)
    assert found.is_equal is (not missing | changed)
    if found.first is not None:
        assert found.first.replayed == record(rows[min(missing | changed)])


@given(histories())
def test_exactly_the_rows_that_were_not_replayed_are_unexpected(
    history: tuple[list[ScoreRow], list[ScoreRow], set[int], set[int]],
) -> None:
    rows, _, left_out, _ = history
    replayed = [each for number, each in enumerate(rows) if number not in left_out]
    last_ms = max((each.at_ms for each in replayed), default=0)
    first_ms = min((each.at_ms for each in replayed), default=0)
    sessions = {each.session_id for each in replayed}
    in_span = [rows[number] for number in left_out if first_ms <= rows[number].at_ms <= last_ms]
    unexpected = [each for each in in_span if each.session_id in sessions]
    found = compared(replayed, rows)
    assert counts(found) == (len(replayed), 0, 0, len(unexpected))
    assert found.other_sessions == len(in_span) - len(unexpected)
    if unexpected:
        assert found.first == Difference(min(map(record, unexpected)), None)


def test_numbers_are_compared_bit_for_bit() -> None:
    zero, minus = (row(signals=replace(SIGNALS, user_leave_rate=each)) for each in (0.0, -0.0))
    assert compared([zero], [zero]).is_equal
    assert counts(compared([zero], [minus])) == (1, 0, 1, 0)
    almost = row(score=0.6018 + 2**-53)
    assert counts(compared([row()], [almost])) == (1, 0, 1, 0)


def test_a_row_that_is_stored_twice_or_between_ticks_is_unexpected() -> None:
    rows = rows_of(["a", "a"])
    between = row("a", AT_MS + 1)
    assert counts(compared(rows, [*rows, rows[0], between])) == (2, 0, 0, 2)


def test_rows_before_the_first_and_after_the_last_replayed_tick_are_ignored() -> None:
    rows = rows_of(["a", "a", "a", "a"])
    assert counts(compared(rows[1:3], rows)) == (2, 0, 0, 0)


def test_stored_rows_up_to_the_last_tick_count_even_if_no_row_is_replayed_there() -> None:
    rows = rows_of(["a", "a"])
    comparison = Comparison(stored_rows(rows), ALL)
    comparison.add_tick(rows[:1])
    comparison.add_tick([])
    comparison.finish(rows[1].at_ms)
    assert counts(comparison) == (1, 0, 0, 1)


def test_a_row_from_before_its_session_began_is_unexpected() -> None:
    rows = rows_of(["a", "ab"])
    early = row("b", AT_MS)
    found = compared(rows, [*rows, early])
    assert counts(found) == (3, 0, 0, 1)
    assert found.first == Difference(record(early), None)


@pytest.mark.parametrize("stored", [[], rows_of(["a", "a", "a"])])
def test_rows_after_the_last_covered_tick_are_not_compared(stored: list[ScoreRow]) -> None:
    rows = rows_of(["a", "a", "a"])
    found = compared(rows, stored, Coverage(0, AT_MS + TICK_MS))
    assert found.compared + found.missing == 2
    assert found.uncovered.after_coverage == 1
    assert found.unexpected == 0


def test_rows_before_the_first_covered_tick_are_not_compared() -> None:
    rows = rows_of(["a", "a", "a"])
    found = compared(rows, rows[2:], Coverage(AT_MS + 2 * TICK_MS, ALL.until_ms))
    assert counts(found) == (1, 0, 0, 0)
    assert found.uncovered.before_coverage == found.uncovered.total() == 2


def test_an_older_session_is_compared_once_it_was_over_and_began_anew() -> None:
    rows = rows_of(["ab", "ab", "a", "ab", "abc"])
    wrong = [replace(each, score=0.0) for each in rows]
    coverage = Coverage(
        AT_MS + TICK_MS, ALL.until_ms, has_older_sessions=False, forgotten_after_ms=TICK_MS
    )
    found = compared(rows, wrong, coverage)
    assert counts(found) == (3, 0, 3, 0)  # b twice, c once
    assert found.first is not None
    assert found.first.row == (AT_MS + 3 * TICK_MS, ("default", "b"))
    assert (found.uncovered.before_coverage, found.uncovered.older_sessions) == (2, 5)


def test_stored_rows_of_an_older_session_are_never_unexpected() -> None:
    rows = rows_of(["a", "a", "a"])
    between = row("a", AT_MS + TICK_MS + 1)
    coverage = Coverage(
        AT_MS + TICK_MS, ALL.until_ms, has_older_sessions=False, forgotten_after_ms=TICK_MS
    )
    assert counts(compared(rows, [*rows, between], coverage)) == (0, 0, 0, 0)


def test_no_more_than_one_tick_is_in_memory() -> None:
    given_out: list[int] = []
    rows = rows_of(["ab"] * 100)

    def stream(first_ms: int) -> Iterator[Record]:
        for each in rows:
            if each.at_ms >= first_ms:
                given_out.append(each.at_ms)
                yield record(each)

    comparison = Comparison(stream, ALL)
    comparison.add_tick(rows[4:6])
    assert given_out == [AT_MS + 2 * TICK_MS] * 2 + [AT_MS + 3 * TICK_MS]
