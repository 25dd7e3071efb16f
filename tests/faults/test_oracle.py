"""The oracle must see what is wrong: an experiment that finds nothing would prove nothing."""

from tests.faults.oracle import difference
from tests.support.programs import Row

ROWS: list[Row] = [
    ("2026-01-04T12:00:05+00:00", "default", session, "e", "0.5") for session in ("a", "b", "c")
]


def test_equal_rows_do_not_differ() -> None:
    assert difference(ROWS, ROWS[::-1]).is_none


def test_a_row_that_is_not_there_is_missing() -> None:
    found = difference(ROWS, ROWS[1:])
    assert (found.rows, found.missing, found.is_none, found.has_every_row) == (3, 1, False, False)


def test_a_row_of_which_one_bit_differs_is_different() -> None:
    found = difference(ROWS, [(*ROWS[0][:4], "0.5000000000000001"), *ROWS[1:]])
    assert (found.different, found.is_none, found.has_every_row) == (1, False, True)


def test_a_row_that_is_there_twice_is_a_duplicate() -> None:
    found = difference(ROWS, [*ROWS, ROWS[0]])
    assert (found.duplicate, found.is_none, found.has_every_row) == (1, False, False)


def test_a_row_that_should_not_be_there_is_unexpected() -> None:
    found = difference(ROWS[1:], ROWS)
    assert (found.unexpected, found.is_none, found.has_every_row) == (1, False, False)
