"""The probability of being the best of some normal values."""

from math import sqrt
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.domain.conductor.best import normal_cdf, probabilities_of_best

means = st.floats(-0.3, 0.3)
variances = st.floats(0, 0.01)
values = st.lists(st.tuples(means, variances), min_size=1, max_size=5)


@given(values)
def test_probabilities_add_up_to_one(values: list[tuple[float, float]]) -> None:
    shares = probabilities_of_best(*zip(*values, strict=True))
    assert sum(shares) == pytest.approx(1, abs=1e-12)
    assert all(0 <= share <= 1 for share in shares)


@given(st.floats(-0.1, 0.1), st.floats(1e-5, 0.01), st.floats(0, 0.01))
def test_of_two_the_probability_is_that_of_their_difference(
    mean: float, variance: float, other: float
) -> None:
    first, _ = probabilities_of_best((mean, 0.0), (variance, other))
    exact = NormalDist().cdf(mean / sqrt(variance + other))
    assert first == pytest.approx(exact, abs=0.02)


def test_a_narrow_value_between_wide_ones_is_resolved() -> None:
    shares = probabilities_of_best((0.0, 0.0, 0.0), (0.0, 0.01, 0.01))
    assert shares == pytest.approx([1 / 4, 3 / 8, 3 / 8], abs=0.02)


def test_equal_values_are_equally_probable() -> None:
    assert probabilities_of_best((0.1,) * 5, (0.002,) * 5) == pytest.approx([0.2] * 5)


@pytest.mark.parametrize("z", [-8.0, -1.96, 0.0, 0.5, 3.0])
def test_the_normal_distribution_is_the_one_in_tables(z: float) -> None:
    assert normal_cdf(z) == pytest.approx(NormalDist().cdf(z), rel=1e-9)
