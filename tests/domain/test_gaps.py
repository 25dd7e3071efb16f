"""Which rows are marked with a gap, and with which mark."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conductor_actors.domain.gaps import (
    CLOCK,
    MAX_CLOCK_GAPS,
    NO_MARKS,
    Gap,
    GapMark,
    Gaps,
    mark_for,
    marks_at,
)

WINDOW_S = 60


def gap(from_s: float, to_s: float, tenant: str = "acme", lost: int | None = 1) -> Gap:
    return Gap(tenant, "trimmed", lost, int(from_s * 1000), int(to_s * 1000))


def marked(gaps: Gaps, at_s: int, tenant: str = "acme") -> GapMark | None:
    return mark_for(tenant, marks_at(at_s * 1000, gaps.active(), WINDOW_S * 1000))


@pytest.mark.parametrize(
    ("at_s", "is_marked"),
    [(100, False), (101, True), (160, True), (170, True), (171, False)],
)
def test_a_row_is_marked_while_its_window_touches_the_gap(at_s: int, *, is_marked: bool) -> None:
    assert (marked(Gaps(WINDOW_S, [gap(100, 110)]), at_s) is not None) == is_marked


def test_without_gaps_there_are_no_marks() -> None:
    assert marks_at(0, Gaps(WINDOW_S).active(), WINDOW_S * 1000) is NO_MARKS
    assert mark_for("acme", NO_MARKS) is None


def test_a_gap_marks_the_rows_of_its_tenant_alone() -> None:
    gaps = Gaps(WINDOW_S, [gap(100, 110)])
    assert marked(gaps, 120) == GapMark("trimmed", 1)
    assert marked(gaps, 120, "globex") is None


def test_a_gap_of_every_tenant_marks_all_rows() -> None:
    gaps = Gaps(WINDOW_S, [Gap("*", "restarted", None, 100_000, 110_000)])
    assert marked(gaps, 120) == marked(gaps, 120, "globex") == GapMark("restarted", None)


def test_several_gaps_make_one_mark() -> None:
    gaps = Gaps(WINDOW_S, [gap(100, 110, lost=3), gap(111, 112, lost=4)])
    gaps.add(Gap("acme", "flooded", 5, 111_000, 112_000))
    assert marked(gaps, 120) == GapMark("flooded,trimmed", 12)
    gaps.add(Gap("*", "restarted", None, 111_000, 112_000))
    assert marked(gaps, 120) == GapMark("flooded,restarted,trimmed", None)
    assert marked(gaps, 120, "globex") == GapMark("restarted", None)


def test_gaps_of_the_same_seconds_are_merged() -> None:
    gaps = Gaps(WINDOW_S)
    for number in range(40):
        gaps.add(gap(100 + number / 40, 100 + number / 40, lost=2))
    assert gaps.active() == (gap(100, 100.975, lost=80),)


def test_a_gap_that_no_later_row_can_miss_is_dropped() -> None:
    gaps = Gaps(WINDOW_S, [gap(100, 110), gap(200, 210)])
    gaps.expire(171_000)
    assert gaps.active() == (gap(200, 210),)


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
def test_restored_gaps_give_the_same_marks(missed: list[Gap], cut_tick: int) -> None:
    gaps = Gaps(WINDOW_S, missed)
    for tick in range(cut_tick):
        gaps.expire(tick * 5000)
    twin = Gaps(WINDOW_S, gaps.active())
    for tick in range(cut_tick, 100):
        touching = [
            each
            for each in missed
            if each.from_ms < tick * 5000 and each.to_ms >= tick * 5000 - WINDOW_S * 1000
        ]
        marks = marks_at(tick * 5000, gaps.active(), WINDOW_S * 1000)
        assert marks == marks_at(tick * 5000, twin.active(), WINDOW_S * 1000)
        assert marks == marks_at(tick * 5000, missed, WINDOW_S * 1000)
        assert set(marks) == {each.tenant for each in touching}


def clock_gap(from_s: float, to_s: float, tenant: str = "acme") -> Gap:
    return Gap(tenant, CLOCK, 0, int(from_s * 1000), int(to_s * 1000))


def test_gaps_of_the_clock_that_are_less_than_a_window_apart_become_one() -> None:
    gaps = Gaps(WINDOW_S)
    assert gaps.add(clock_gap(100, 100))
    assert not any(gaps.add(clock_gap(100 + second, 100 + second)) for second in range(1, 500))
    assert gaps.add(clock_gap(100, 100, "globex"))
    assert set(gaps.active()) == {clock_gap(100, 599), clock_gap(100, 100, "globex")}
    assert marked(gaps, 300) == GapMark("clock", 0)


@given(
    st.lists(
        st.tuples(st.integers(0, 3000), st.integers(0, 300)).map(
            lambda times: clock_gap(times[0], sum(times))
        ),
        max_size=40,
    )
)
def test_gaps_of_the_clock_are_bounded_and_merging_unmarks_no_row(added: list[Gap]) -> None:
    gaps = Gaps(WINDOW_S)
    for each in added:
        gaps.add(each)
    assert len(gaps.active()) <= MAX_CLOCK_GAPS
    for at_s in range(0, 3400, 5):
        if mark_for("acme", marks_at(at_s * 1000, added, WINDOW_S * 1000)) is not None:
            assert marked(gaps, at_s) is not None
