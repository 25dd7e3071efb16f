"""Effects against doing nothing: what is estimated, from which trials, and how surely."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.domain.anomalies.changes import ANOMALY_TYPES
from conductor_actors.domain.conductor.effects import (
    MIN_TRIALS,
    Effect,
    Trial,
    _estimate,
    effects_of,
    t_quantile,
)
from conductor_actors.domain.conductor.interventions import ACTIONS, InterventionType, Origin

EVEN: dict[InterventionType, float] = {"HOLD": 0.5, "POLL": 0.5}


def poll(trials: Sequence[Trial], origin: Origin = "act") -> Effect:
    [found] = [each for each in effects_of(trials) if (each.type, each.origin) == ("POLL", origin)]
    return found


def trial(
    kind: InterventionType, after: float, before: float = 0.4, origin: Origin = "act"
) -> Trial:
    origin = "hold" if kind == "HOLD" else origin
    return Trial(kind, origin, "SUDDEN_DROP", before, after, EVEN)


def simulated(seed: int, count: int, effect: float) -> list[Trial]:
    """Return trials in which more polls were drawn after low scores, as their probability says."""
    rng = random.Random(seed)
    trials = []
    for _ in range(count):
        before = rng.uniform(0.1, 0.9)
        share = 0.8 if before < 0.5 else 0.3
        kind: InterventionType = "POLL" if rng.random() < share else "HOLD"
        after = 0.1 + 0.4 * before + effect * (kind == "POLL") + rng.gauss(0, 0.05)
        origin: Origin = "act" if kind == "POLL" else "hold"
        drawn: dict[InterventionType, float] = {"HOLD": 1 - share, "POLL": share}
        trials.append(Trial(kind, origin, rng.choice(ANOMALY_TYPES), before, after, drawn))
    return trials


def pattern(n: int) -> Trial:
    """Return one of the trials that other software was asked about."""
    kind: InterventionType = "POLL" if n % 3 == 0 else "HOLD"
    anomaly_type = ANOMALY_TYPES[n * 5 % 4 if n % 7 else 0]
    before, after = (n * 37 % 100) / 100, (n * 53 % 97) / 100
    drawn: dict[InterventionType, float] = {"HOLD": 0.1 + n % 4 / 10, "POLL": 0.2 + n % 5 / 10}
    return Trial(kind, "act" if n % 3 == 0 else "hold", anomaly_type, before, after, drawn)


def test_each_action_has_an_effect_of_acting_and_one_of_suggesting() -> None:
    effects = effects_of([])
    assert [(each.origin, each.type) for each in effects] == [
        (origin, action) for origin in ("act", "suggest") for action in ACTIONS
    ]
    assert {(each.n, each.n_hold, each.effect, each.needed) for each in effects} == {
        (0, 0, None, 2 * MIN_TRIALS)
    }


@given(st.integers(0, 12), st.integers(0, 12))
def test_nothing_is_known_before_ten_trials_of_each_arm(polls: int, holds: int) -> None:
    trials = [trial("POLL", 0.5 + n / 100) for n in range(polls)]
    trials += [trial("HOLD", 0.3 + n / 100) for n in range(holds)]
    found = poll(trials)
    if polls and holds:
        assert (found.n, found.n_hold) == (polls, holds)
        assert found.needed == max(0, 10 - polls) + max(0, 10 - holds)
    assert (found.effect is None) == (found.needed > 0) == (min(polls, holds) < 10)


def test_the_estimate_and_its_error_are_those_of_other_statistical_software() -> None:
    """From statsmodels 0.15: WLS of the same weights, with `cov_type="HC3"`."""
    trials = [pattern(n) for n in range(60)]
    found = poll(trials)
    assert (found.n, found.n_hold) == (20, 40)
    assert found.effect == pytest.approx(-0.0106262271, abs=1e-9)
    estimate = _estimate(
        [each for each in trials if each.type == "POLL"],
        [each for each in trials if each.type == "HOLD"],
    )
    assert estimate is not None
    assert estimate.error == pytest.approx(0.0840076634, abs=1e-9)


def test_an_estimate_that_few_trials_determine_has_fewer_degrees_of_freedom() -> None:
    trials = [trial(kind, 0.3 + n / 100) for kind in ("HOLD", "POLL") for n in range(20)]
    even = _estimate(trials[20:], trials[:20])
    rare: dict[InterventionType, float] = {"HOLD": 0.5, "POLL": 0.02}
    trials[-1] = trials[-1]._replace(probabilities=rare)
    trials[-2] = trials[-2]._replace(probabilities=rare)
    uneven = _estimate(trials[20:], trials[:20])
    assert uneven is not None
    assert uneven.freedom < 5
    assert even is not None
    assert even.freedom == pytest.approx(40, abs=2)


@pytest.mark.parametrize(("freedom", "quantile"), [(14, 2.144787), (30, 2.042272), (200, 1.971896)])
def test_quantiles_of_t_are_those_in_tables(freedom: int, quantile: float) -> None:
    assert t_quantile(freedom) == pytest.approx(quantile, abs=1e-5)


@pytest.mark.parametrize("effect", [-0.1, 0.0, 0.05])
def test_the_known_effect_is_found_however_the_draws_depended_on_the_score(effect: float) -> None:
    found = poll(simulated(1, 4000, effect))
    assert found.effect == pytest.approx(effect, abs=0.006)
    assert found.low is not None
    assert found.high is not None
    assert found.low < effect < found.high


def test_what_happens_anyway_is_no_effect() -> None:
    rng = random.Random(3)
    trials = [
        trial(kind, 0.4 - 0.22 + rng.gauss(0, 0.02)) for kind in ("HOLD", "POLL") for _ in range(50)
    ]
    assert poll(trials).effect == pytest.approx(0, abs=0.01)


def test_a_trial_that_was_drawn_rarely_stands_for_more_decisions() -> None:
    rare: dict[InterventionType, float] = {"HOLD": 0.5, "POLL": 0.02}
    common = [trial("POLL", 0.5) for _ in range(10)]
    other = [trial("POLL", 0.9)._replace(probabilities=rare) for _ in range(10)]
    hold = [trial("HOLD", 0.3 + n % 2 / 100) for n in range(20)]
    found = poll([*common, *other, *hold])
    assert found.effect == pytest.approx((0.5 * 2 + 0.9 * 50) / 52 - 0.305)


def test_acting_and_suggesting_are_kept_apart_and_share_the_trials_of_hold() -> None:
    hold = [trial("HOLD", 0.3 + n % 3 / 100) for n in range(12)]
    act = [trial("POLL", 0.6 + n % 3 / 100) for n in range(12)]
    suggest = [trial("POLL", 0.4 + n % 3 / 100, origin="suggest") for n in range(12)]
    trials = [*hold, *act, *suggest]
    assert poll(trials).effect == pytest.approx(0.3)
    assert poll(trials, "suggest").effect == pytest.approx(0.1)
    assert poll(trials).n_hold == poll(trials, "suggest").n_hold == 12


def test_a_trial_of_hold_counts_only_where_the_action_could_have_been_drawn() -> None:
    trials = [trial(kind, 0.3 + n / 100) for kind in ("HOLD", "POLL") for n in range(10)]
    without: dict[InterventionType, float] = {"HOLD": 0.5, "BROADCAST": 0.5}
    more = [trial("HOLD", 0.9)._replace(probabilities=without) for _ in range(30)]
    assert poll([*trials, *more]) == poll(trials)


def test_a_trial_without_a_probability_of_what_was_drawn_is_not_compared() -> None:
    trials = [trial(kind, 0.3 + n / 100) for kind in ("HOLD", "POLL") for n in range(10)]
    shares: list[dict[InterventionType, float]] = [{}, {"HOLD": 0.0, "POLL": 0.0}, {"POLL": 1.0}]
    more = [trial("HOLD", 0.9)._replace(probabilities=each) for each in shares]
    more += [trial("POLL", 0.9)._replace(probabilities=each) for each in shares[:2]]
    assert poll([*trials, *more]) == poll(trials)


def test_trials_after_a_type_that_only_one_arm_has_are_not_compared() -> None:
    trials = [trial(kind, 0.3 + n / 100) for kind in ("HOLD", "POLL") for n in range(10)]
    more = [trial("POLL", 0.9)._replace(anomaly_type="MASS_EXIT") for _ in range(30)]
    assert poll([*trials, *more]) == poll(trials)


def test_an_action_that_always_goes_with_one_score_has_no_estimate() -> None:
    trials = [trial("POLL", 0.5, before=0.2) for _ in range(10)]
    trials += [trial("HOLD", 0.3, before=0.6) for _ in range(10)]
    found = poll(trials)
    assert (found.effect, found.needed) == (None, 1)


@given(st.randoms(use_true_random=False))
def test_the_order_of_trials_does_not_matter(rng: random.Random) -> None:
    trials = simulated(2, 60, 0.05)
    found = effects_of(trials)
    rng.shuffle(trials)
    assert effects_of(trials) == found
