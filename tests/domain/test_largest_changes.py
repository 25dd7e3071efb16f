from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.domain.charts.largest_changes import (
    MAX_MOMENTS,
    ScoreChange,
    largest_changes,
    sufficient_changes,
)

TICK_S = 5

CHANGES = st.lists(
    st.builds(
        lambda session, tick, after: ScoreChange(session, tick * TICK_S * 1000, 0.0, after / 50),
        st.sampled_from("ab"),
        st.integers(0, 80),
        st.integers(1, 50),
    ),
    max_size=200,
    unique_by=lambda one: (one.session_id, one.at_ms),
)


@settings(max_examples=200, deadline=None)
@given(CHANGES)
def test_the_largest_of_all_that_are_not_near_a_larger_one_are_chosen(
    changes: list[ScoreChange],
) -> None:
    left = sorted(changes, key=lambda one: (-one.change, one.at_ms, one.session_id))
    expected: list[ScoreChange] = []
    while left and len(expected) < MAX_MOMENTS:
        largest = left[0]
        expected.append(largest)
        left = [
            one
            for one in left
            if one.session_id != largest.session_id or abs(one.at_ms - largest.at_ms) > 60_000
        ]
    assert largest_changes(changes) == expected


@settings(max_examples=200, deadline=None)
@given(CHANGES)
def test_a_sufficient_number_of_the_largest_has_all_moments(changes: list[ScoreChange]) -> None:
    largest = sorted(changes, key=lambda one: (-one.change, one.at_ms, one.session_id))
    known = largest[: sufficient_changes(TICK_S)]
    assert largest_changes(known) == largest_changes(changes)


def test_one_change_fewer_would_miss_a_moment() -> None:
    """Each of four steep rises has the largest change at its middle tick."""
    steep = [
        ScoreChange("a", (rise * 1000 + tick) * TICK_S * 1000, 0.0, 0.9 - 0.001 * abs(tick))
        for rise in range(4)
        for tick in range(-12, 13)
    ]
    last = ScoreChange("a", 9_000_000_000, 0.0, 0.5)
    known = sorted([*steep, last], key=lambda one: -one.change)[: sufficient_changes(TICK_S)]
    assert last in largest_changes(known)
    assert last not in largest_changes(known[:-1])


def test_the_largest_falls_come_first() -> None:
    falls = [ScoreChange("a", 0, 0.9, 0.8), ScoreChange("b", 0, 0.9, 0.1)]
    assert largest_changes(falls) == falls[::-1]
