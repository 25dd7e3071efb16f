"""Which rows miss something, and what is said of it."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conductor_actors.domain.gaps import NO_MARKS, Gap, Gaps, Mark, mark_of, marks_at

WINDOW_S = 60


def gap(from_s: float, to_s: float, tenant: str = "acme", lost: int | None = 1) -> Gap:
    return Gap(tenant, "trimmed", lost, int(from_s * 1000), int(to_s * 1000))


def marked(gaps: Gaps, at_s: int, tenant: str = "acme") -> Mark | None:
    return mark_of(tenant, marks_at(at_s * 1000, gaps.open(), WINDOW_S * 1000))


@pytest.mark.parametrize(
    ("at_s", "is_marked"),
    [(100, False), (101, True), (160, True), (170, True), (171, False)],
)
def test_a_row_is_marked_while_its_window_touches_the_gap(at_s: int, *, is_marked: bool) -> None:
    assert (marked(Gaps(WINDOW_S, [gap(100, 110)]), at_s) is not None) == is_marked


def test_without_gaps_there_are_no_marks() -> None:
    assert marks_at(0, Gaps(WINDOW_S).open(), WINDOW_S * 1000) is NO_MARKS
    assert mark_of("acme", NO_MARKS) is None


def test_a_gap_is_its_tenants_alone() -> None:
    gaps = Gaps(WINDOW_S, [gap(100, 110)])
    assert marked(gaps, 120) == Mark("trimmed", 1)
    assert marked(gaps, 120, "globex") is None


def test_a_gap_of_all_is_everybodys() -> None:
    gaps = Gaps(WINDOW_S, [Gap("*", "restarted", None, 100_000, 110_000)])
    assert marked(gaps, 120) == marked(gaps, 120, "globex") == Mark("restarted", None)


def test_several_gaps_are_one_mark() -> None:
    gaps = Gaps(WINDOW_S, [gap(100, 110, lost=3), gap(111, 112, lost=4)])
    gaps.add(Gap("acme", "flooded", 5, 111_000, 112_000))
    assert marked(gaps, 120) == Mark("flooded,trimmed", 12)
    gaps.add(Gap("*", "restarted", None, 111_000, 112_000))
    assert marked(gaps, 120) == Mark("flooded,restarted,trimmed", None)
    assert marked(gaps, 120, "globex") == Mark("restarted", None)


def test_the_gaps_of_a_second_are_one() -> None:
    gaps = Gaps(WINDOW_S)
    for number in range(40):
        gaps.add(gap(100 + number / 40, 100 + number / 40, lost=2))
    assert gaps.open() == (gap(100, 100.975, lost=80),)


def test_what_no_later_row_can_miss_is_forgotten() -> None:
    gaps = Gaps(WINDOW_S, [gap(100, 110), gap(200, 210)])
    gaps.expire(171_000)
    assert gaps.open() == (gap(200, 210),)


some_gaps = st.builds(
    lambda begin, length, tenant, lost: gap(begin, begin + length, tenant, lost),
    st.integers(0, 200),
    st.integers(0, 100),
    st.sampled_from(["acme", "globex", "*"]),
    st.none() | st.integers(0, 5),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(some_gaps, max_size=6), st.integers(0, 80))
@example([gap(0, 45, lost=0), gap(5, 45, lost=None)], 0)
def test_gaps_that_were_written_down_give_the_same_marks(missed: list[Gap], cut_tick: int) -> None:
    gaps = Gaps(WINDOW_S, missed)
    for tick in range(cut_tick):
        gaps.expire(tick * 5000)
    twin = Gaps(WINDOW_S, gaps.open())
    for tick in range(cut_tick, 100):
        touching = [
            each
            for each in missed
            if each.from_ms < tick * 5000 and each.to_ms >= tick * 5000 - WINDOW_S * 1000
        ]
        marks = marks_at(tick * 5000, gaps.open(), WINDOW_S * 1000)
        assert marks == marks_at(tick * 5000, twin.open(), WINDOW_S * 1000)
        assert marks == marks_at(tick * 5000, missed, WINDOW_S * 1000)
        assert set(marks) == {each.tenant for each in touching}
