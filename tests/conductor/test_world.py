"""The world in small: the conductor learns in it, and its intervals and probabilities are right."""

from functools import cache
from random import Random
from statistics import mean
from typing import Final

import pytest

from conductor_actors.domain.conductor.effects import Effect
from conductor_actors.domain.conductor.interventions import ACTIONS, HOLD
from tests.conductor.game import BANDIT, CHANCE, PRODUCT, Interval, Logged, Repetition, play
from tests.conductor.limits import (
    DECISIONS,
    MODES,
    NOTHING_CONDUCTED,
    SentAt,
    conduct,
    violations_of_sending,
)
from tests.conductor.report import HEADER, limits_text, rows
from tests.conductor.summary import calibration, chi_square_above, coverage, regret_share
from tests.conductor.world import SCENARIOS, moments

SEED: Final = 50  # neither for choosing constants nor for the report
REPETITIONS: Final = 4
BY_NAME: Final = {each.name: each for each in SCENARIOS}


@cache
def played(name: str) -> list[Repetition]:
    return [play(BY_NAME[name], SEED, repetition) for repetition in range(REPETITIONS)]


@pytest.mark.parametrize(("name", "bar"), [("typical", 0.75), ("strong", 0.6), ("all harmful", 1)])
def test_the_conductor_regrets_less_than_chance(name: str, bar: float) -> None:
    assert regret_share(played(name), PRODUCT, 200).value < bar
    assert regret_share(played(name), CHANCE, 200).value == 1


def test_most_intervals_contain_the_known_effect() -> None:
    every = [each for name in ("typical", "strong", "all harmful") for each in played(name)]
    assert sum(len(each.intervals) for each in every) > 30
    assert coverage(every).value > 0.85


def test_types_are_drawn_as_often_as_their_logged_probabilities_say() -> None:
    every = [each for name in ("typical", "strong", "all harmful") for each in played(name)]
    assert calibration(every).p_value > 0.001


def test_wrong_probabilities_are_found_out() -> None:
    rng = Random(1)
    right = [Logged(0.4, rng.random() < 0.4) for _ in range(4000)]
    wrong = [Logged(0.4, rng.random() < 0.46) for _ in range(4000)]
    assert calibration([Repetition({}, [], right)]).p_value > 0.01
    assert calibration([Repetition({}, [], wrong)]).p_value < 0.0001


def test_intervals_that_miss_the_truth_are_counted() -> None:
    found = Effect("POLL", "act", 10, 10, 0.0, -0.1, 0.1, 0)
    intervals = [Interval(found, truth) for truth in (-0.2, 0.0, 0.05, 0.2)]
    assert coverage([Repetition({}, intervals, [])]).value == 0.5


def test_a_world_is_the_same_whenever_it_is_made() -> None:
    first, again = (list(moments(BY_NAME["drifting"], 1, 2)) for _ in range(2))
    assert first == again
    assert first != list(moments(BY_NAME["drifting"], 1, 3))


def test_scores_fall_after_true_alarms_and_rise_after_false_ones_whatever_is_done() -> None:
    drops = [
        each
        for repetition in range(10)
        for each in moments(BY_NAME["typical"], 1, repetition)
        if each.anomaly_type == "SUDDEN_DROP"
    ]
    changes = [each.after(HOLD) - each.before for each in drops if 0.35 < each.before < 0.45]
    assert mean(each for each in changes if each < -0.06) == pytest.approx(-0.22, abs=0.03)
    assert mean(each for each in changes if each > -0.06) == pytest.approx(0.09, abs=0.05)


@pytest.mark.parametrize("name", BY_NAME)
def test_the_best_choice_has_no_regret_and_no_choice_has_less(name: str) -> None:
    for moment in moments(BY_NAME[name], 1, 0):
        regrets = [moment.regret(kind) for kind in moment.choices]
        assert min(regrets) == 0


def test_every_action_harms_where_all_are_harmful_and_one_helps_where_one_is_fixed() -> None:
    harmful = next(iter(moments(BY_NAME["all harmful"], 1, 0)))
    assert max(harmful.effects.values()) < 0
    fixed = next(iter(moments(BY_NAME["one fixed"], 1, 0)))
    assert sorted({fixed.effect(action) for action in ACTIONS}) == [0.0, 0.08]


def test_the_table_has_a_row_for_each_scenario_and_one_for_all() -> None:
    results = {name: played(name) for name in ("typical", "strong")}
    table = rows(results)
    assert [row[0] for row in table[1:]] == ["typical", "strong", "all"]
    assert {len(row) for row in table} == {len(HEADER)}
    assert any(BANDIT in title for title in HEADER)


def test_no_limit_is_violated_in_sessions_with_impatient_people() -> None:
    conducted = NOTHING_CONDUCTED
    for number in range(len(MODES)):
        conducted += conduct(SEED, number)
    assert conducted.decisions == len(MODES) * DECISIONS
    assert conducted.sent > conducted.decisions / 2
    assert limits_text(conducted).endswith("0 violations of limits (0: met)")


def test_violations_of_limits_are_found() -> None:
    early = SentAt("POLL", 0.0, 0.0)
    sent = [early, SentAt("POLL", 1.0, 20.0), *[SentAt("BROADCAST", 60.0, 60.0)] * 10]
    assert set(violations_of_sending(sent)) == {
        "two within 30 s",
        "POLL during its cooldown",
        "BROADCAST during its cooldown",
        "more than ten in 5 minutes",
        "sent later than 15 s after its tick",
    }


@pytest.mark.parametrize(
    ("statistic", "freedom", "p"), [(3.841, 1, 0.05), (18.307, 10, 0.05), (23.209, 10, 0.01)]
)
def test_chi_square_is_the_one_in_tables(statistic: float, freedom: int, p: float) -> None:
    assert chi_square_above(statistic, freedom) == pytest.approx(p, abs=2e-5)
