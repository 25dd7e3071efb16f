import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.domain.charts.chart_steps import chart_step_s, iso_step

HOUR_MS = 3_600_000
MOMENT = st.integers(0, 4_000_000_000_000)


@pytest.mark.parametrize(
    ("hours", "points", "step_s"),
    [(0, 1, 5), (1, 721, 5), (1, 720, 10), (8, 480, 120), (8, 240, 300), (24 * 7, 240, 3600)],
)
def test_a_step_is_as_small_as_the_number_of_points_allows(
    hours: int, points: int, step_s: int
) -> None:
    assert chart_step_s(0, hours * HOUR_MS, points, 5) == step_s


@given(MOMENT, st.integers(0, 10**12), st.integers(2, 2000), st.sampled_from([1, 5, 60, 86400]))
def test_no_chart_has_more_points_than_allowed(
    first_ms: int, length_ms: int, points: int, tick_s: int
) -> None:
    last_ms = first_ms + length_ms
    step_s = chart_step_s(first_ms, last_ms, points, tick_s)
    assert step_s % tick_s == 0
    assert len({first_ms // (step_s * 1000), last_ms // (step_s * 1000)}) <= points
    assert last_ms // (step_s * 1000) - first_ms // (step_s * 1000) + 1 <= points


def test_a_step_is_written_in_seconds() -> None:
    assert iso_step(120) == "PT120S"
