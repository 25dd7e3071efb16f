from math import inf, nextafter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.domain.scoring import Scoring, Signals, category, clamped
from tests.support.reference import category_of, score_of

rates = st.one_of(st.just(0.0), st.floats(0, 40), st.floats(0, 1e9))
shares = st.floats(0, 1)
signals_of_all_kinds = st.builds(
    lambda chat, poll, active, absent, reactions, leave: Signals(
        chat, poll, active, active + absent, reactions, leave
    ),
    rates,
    shares,
    st.integers(0, 50),
    st.integers(0, 50),
    rates,
    shares,
)
weights = st.floats(0, 2)
maxima = st.floats(0.5, 100)
scorings = st.builds(Scoring, weights, weights, weights, weights, weights, maxima, maxima)


def score(signals: Signals) -> float:
    return clamped(Scoring().contributions(signals).total())


@settings(deadline=None)
@given(signals_of_all_kinds)
def test_the_score_is_the_contracts_formula(signals: Signals) -> None:
    assert score(signals) == pytest.approx(score_of(msgspec.structs.asdict(signals)), abs=1e-12)


def test_the_contracts_example_has_its_score() -> None:
    signals = Signals(12.0, 0.4, 31, 50, 9.0, 0.02)
    contributions = msgspec.structs.astuple(Scoring().contributions(signals))
    assert contributions == pytest.approx((0.2527, 0.1, 0.155, 0.096, -0.002), abs=5e-5)
    assert score(signals) == pytest.approx(0.6018, abs=5e-5)
    assert category(score(signals)) == "HIGH"


@settings(deadline=None)
@given(scorings, signals_of_all_kinds)
def test_the_contributions_add_up_to_the_score_before_clamping(
    scoring: Scoring, signals: Signals
) -> None:
    contributions = scoring.contributions(signals)
    assert sum(msgspec.structs.astuple(contributions)) == pytest.approx(contributions.total())


@settings(deadline=None)
@given(scorings, signals_of_all_kinds)
def test_an_explanation_agrees_with_the_contributions(scoring: Scoring, signals: Signals) -> None:
    explained = scoring.explain(signals)
    contributions = msgspec.structs.astuple(scoring.contributions(signals))
    assert tuple(line.contribution for line in explained) == contributions
    for line in explained:
        assert line.raw == getattr(signals, line.signal)
        assert 0 <= line.normalised <= 1
        assert line.contribution == pytest.approx(line.normalised * line.weight)


@settings(deadline=None)
@given(signals_of_all_kinds, rates, shares, st.integers(0, 50))
def test_better_signals_never_lower_the_score(
    signals: Signals, rate: float, share: float, users: int
) -> None:
    better: list[dict[str, float]] = [
        {"chat_msgs_per_min": signals.chat_msgs_per_min + rate},
        {"reactions_per_min": signals.reactions_per_min + rate},
        {"poll_participation": max(signals.poll_participation, share)},
        {"active_users": min(signals.active_users + users, signals.total_users)},
        {"user_leave_rate": min(signals.user_leave_rate, share)},
        {"total_users": max(signals.active_users, signals.total_users - users)},
    ]
    for change in better:
        assert score(msgspec.structs.replace(signals, **change)) >= score(signals) - 1e-12


@settings(deadline=None)
@given(scorings, signals_of_all_kinds)
def test_a_score_is_between_zero_and_one(scoring: Scoring, signals: Signals) -> None:
    total = scoring.contributions(signals).total()
    assert 0 <= clamped(total) <= 1
    assert clamped(total) == total or not 0 <= total <= 1


@pytest.mark.parametrize(("total", "expected"), [(-0.1, 0), (0, 0), (0.5, 0.5), (1, 1), (1.1, 1)])
def test_a_total_is_clamped(total: float, expected: float) -> None:
    assert clamped(total) == expected


def test_no_activity_scores_zero() -> None:
    nothing = Signals(0.0, 0.0, 0, 0, 0.0, 0.0)
    assert msgspec.structs.astuple(Scoring().contributions(nothing)) == (0, 0, 0, 0, 0)


def test_a_rate_at_its_maximum_or_above_counts_as_one() -> None:
    for factor in (1, 1000):
        busy = Scoring().contributions(Signals(20.0 * factor, 0.0, 0, 0, 10.0 * factor, 0.0))
        assert (busy.chat, busy.reactions) == (0.30, 0.10)


@pytest.mark.parametrize(
    ("bound", "at", "below"),
    [
        (0.8, "VERY_HIGH", "HIGH"),
        (0.6, "HIGH", "MODERATE"),
        (0.4, "MODERATE", "LOW"),
        (0.2, "LOW", "VERY_LOW"),
    ],
)
def test_a_category_begins_exactly_at_its_bound(bound: float, at: str, below: str) -> None:
    assert (category(bound), category(nextafter(bound, -inf))) == (at, below)


@settings(deadline=None)
@given(shares)
def test_every_score_has_the_contracts_category(value: float) -> None:
    assert category(value) == category_of(value)
