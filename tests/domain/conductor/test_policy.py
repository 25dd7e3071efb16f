"""What a policy learns, and the choices that follow from it."""

import hashlib
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.domain.anomalies.changes import ANOMALY_TYPES
from conductor_actors.domain.conductor.interventions import (
    ACTIONS,
    HOLD,
    INTERVENTION_TYPES,
    MICRO,
    ActionType,
)
from conductor_actors.domain.conductor.policy import (
    CellSums,
    Policy,
    Probabilities,
    added,
    confidence,
    draw,
    drawn,
    expected_effect,
    probabilities,
    reference,
)
from tests.domain.conductor.policies import Trial, policies, policy_of, scores, trials

actions = st.sampled_from(ACTIONS)
anomaly_types = st.sampled_from(ANOMALY_TYPES)
allowed_actions = st.lists(actions, unique=True)


def repeated(kind: str, before: int, after: int, times: int) -> list[Trial]:
    """Return trials after sudden drops, with as much spread as scores have."""
    assert kind in INTERVENTION_TYPES
    spread = (-60_000, 60_000)
    return [(kind, "SUDDEN_DROP", before, after + spread[n % 2]) for n in range(times)]


@given(policies, anomaly_types, allowed_actions)
def test_probabilities_are_whole_millionths_that_add_up_to_one(
    policy: Policy, anomaly_type: str, allowed: list[ActionType]
) -> None:
    assert anomaly_type in ANOMALY_TYPES
    shares = probabilities(policy, anomaly_type, allowed)
    assert list(shares) == [HOLD, *(action for action in ACTIONS if action in allowed)]
    assert sum(shares.values()) == MICRO
    assert all(isinstance(share, int) for share in shares.values())
    assert shares[HOLD] >= 100_000
    assert all(shares[action] >= 20_000 for action in allowed)


def test_floors_hold_when_everything_is_known() -> None:
    known = [
        *repeated("POLL", 400_000, 900_000, 1000),
        *repeated("HOLD", 400_000, 100_000, 1000),
        *repeated("BROADCAST", 400_000, 100_000, 1000),
    ]
    shares = probabilities(policy_of(known), "SUDDEN_DROP", ("POLL", "BROADCAST"))
    assert shares == {"HOLD": 100_000, "POLL": 880_000, "BROADCAST": 20_000}


def test_nothing_but_hold_is_certain_when_no_action_is_allowed() -> None:
    assert probabilities(Policy(), "MASS_EXIT", ()) == {HOLD: MICRO}


def test_without_trials_actions_are_equally_probable_and_equally_good() -> None:
    shares = probabilities(Policy(), "SUDDEN_DROP", ACTIONS)
    assert (
        max(shares[action] for action in ACTIONS) - min(shares[action] for action in ACTIONS) <= 4
    )
    assert {confidence(Policy(), each, action) for each in ANOMALY_TYPES for action in ACTIONS} == {
        0.5
    }


@given(policies, anomaly_types, allowed_actions)
def test_the_order_of_allowed_actions_does_not_matter(
    policy: Policy, anomaly_type: str, allowed: list[ActionType]
) -> None:
    assert anomaly_type in ANOMALY_TYPES
    again = probabilities(policy, anomaly_type, allowed[::-1])
    assert again == probabilities(policy, anomaly_type, allowed)


@given(
    st.lists(trials, max_size=20).flatmap(
        lambda some: st.tuples(st.just(some), st.permutations(some))
    )
)
def test_the_order_of_additions_does_not_matter(orders: tuple[list[Trial], list[Trial]]) -> None:
    first, second = map(policy_of, orders)
    assert first == second
    for anomaly_type in ANOMALY_TYPES:
        assert probabilities(first, anomaly_type, ACTIONS) == probabilities(
            second, anomaly_type, ACTIONS
        )
        assert reference(first, anomaly_type, 0.5) == reference(second, anomaly_type, 0.5)


def test_an_addition_leaves_the_policy_before_as_it_was() -> None:
    one = added(Policy(), "POLL", "MASS_EXIT", 3, 5)
    two = added(one, "POLL", "MASS_EXIT", 1, 2)
    assert one == Policy(1, {"POLL:MASS_EXIT": CellSums(1, 3, 5, 9, 15, 25)})
    assert two == Policy(2, {"POLL:MASS_EXIT": CellSums(2, 4, 7, 10, 17, 29)})


@given(policies, anomaly_types, actions)
def test_a_policy_from_elsewhere_with_the_same_sums_decides_the_same(
    policy: Policy, anomaly_type: str, action: ActionType
) -> None:
    assert anomaly_type in ANOMALY_TYPES
    copy = Policy(policy.version, dict(reversed(policy.cells.items())))
    assert probabilities(copy, anomaly_type, ACTIONS) == probabilities(
        policy, anomaly_type, ACTIONS
    )
    assert confidence(copy, anomaly_type, action) == confidence(policy, anomaly_type, action)


@given(st.integers(1, 30), st.integers(0, 500_000), st.integers(0, 300_000))
def test_confidence_grows_with_what_an_action_gave(times: int, after: int, more: int) -> None:
    hold = repeated("HOLD", 400_000, 300_000, times)
    worse = policy_of(hold + repeated("POLL", 400_000, after, times))
    better = policy_of(hold + repeated("POLL", 400_000, after + more, times))
    assert confidence(worse, "SUDDEN_DROP", "POLL") <= confidence(better, "SUDDEN_DROP", "POLL")


@given(st.integers(2, 30))
def test_confidence_grows_with_trials_that_say_the_same(times: int) -> None:
    before = 0.5
    for n in range(2, times + 1, 2):
        hold = repeated("HOLD", 400_000, 300_000, n)
        policy = policy_of(hold + repeated("POLL", 400_000, 350_000, n))
        now = confidence(policy, "SUDDEN_DROP", "POLL")
        assert now > before
        before = now


def test_an_action_is_not_credited_with_what_happens_anyway() -> None:
    """After false alarms scores recover, after true ones they fall, whatever is done."""
    for change in (-220_000, 90_000):
        policy = policy_of(
            [
                *repeated("HOLD", 400_000, 400_000 + change, 40),
                *repeated("POLL", 400_000, 400_000 + change, 40),
            ]
        )
        assert 0.35 < confidence(policy, "SUDDEN_DROP", "POLL") < 0.65


def test_what_an_action_did_after_one_type_of_anomaly_is_a_hint_for_others() -> None:
    trials = repeated("HOLD", 400_000, 300_000, 30) + repeated("POLL", 400_000, 360_000, 30)
    policy = policy_of(trials)
    there = confidence(policy, "SUDDEN_DROP", "POLL")
    elsewhere = confidence(policy, "MASS_EXIT", "POLL")
    assert 0.6 < elsewhere < there


@pytest.mark.parametrize("times", [2, 10, 40])
def test_effects_are_shrunk_as_two_levels_of_normal_effects_say(times: int) -> None:
    noise = 0.06**2 / times
    drops = repeated("HOLD", 400_000, 300_000, 2000)
    exits: list[Trial] = [(kind, "MASS_EXIT", before, after) for kind, _, before, after in drops]
    policy = policy_of([*drops, *exits, *repeated("POLL", 400_000, 360_000, times)])
    there = 0.06 * (0.05**2 + 0.03**2) / (0.05**2 + 0.03**2 + noise)
    elsewhere = 0.06 * 0.05**2 / (0.05**2 + 0.03**2 + noise)
    assert expected_effect(policy, "SUDDEN_DROP", "POLL") == pytest.approx(there, rel=0.02)
    assert expected_effect(policy, "MASS_EXIT", "POLL") == pytest.approx(elsewhere, rel=0.02)


def test_versions_say_nothing_of_what_was_learnt() -> None:
    """Two tenants may have the same version."""
    good = policy_of(repeated("POLL", 400_000, 700_000, 9) + repeated("HOLD", 400_000, 300_000, 9))
    bad = policy_of(repeated("POLL", 400_000, 100_000, 9) + repeated("HOLD", 400_000, 300_000, 9))
    assert good.version == bad.version
    assert confidence(good, "SUDDEN_DROP", "POLL") > 0.99
    assert confidence(bad, "SUDDEN_DROP", "POLL") < 0.01


def test_without_trials_the_reference_is_between_the_score_and_the_usual_one() -> None:
    assert reference(Policy(), "SUDDEN_DROP", 0.4) == 0.4
    assert 0.4 < reference(Policy(), "SUDDEN_DROP", 0.8) < 0.8
    assert 0.0 < reference(Policy(), "SUDDEN_DROP", 0.0) < 0.4


def test_the_reference_becomes_what_doing_nothing_gives() -> None:
    hold: list[Trial] = [
        ("HOLD", "MASS_EXIT", before, 100_000 + before * 3 // 10)
        for before in range(100_000, 900_000, 4_000)
    ]
    policy = policy_of(hold + repeated("POLL", 400_000, 900_000, 50))
    for before in (0.1, 0.5, 0.9):
        assert reference(policy, "MASS_EXIT", before) == pytest.approx(0.1 + 0.3 * before, abs=0.01)


@given(policies, anomaly_types, scores)
def test_the_reference_is_a_score(policy: Policy, anomaly_type: str, before: int) -> None:
    assert anomaly_type in ANOMALY_TYPES
    assert 0.0 <= reference(policy, anomaly_type, before / MICRO) <= 1.0


@given(st.uuids().map(str), st.text())
def test_a_draw_follows_from_the_anomaly_and_the_salt(anomaly_id: str, salt: str) -> None:
    number = draw(anomaly_id, salt)
    assert 0 <= number < MICRO
    assert number == draw(anomaly_id, salt)
    digest = hashlib.sha256(f"{anomaly_id}\n{salt}".encode()).hexdigest()
    assert number == pytest.approx(int(digest[:16], 16) / 2**64 * MICRO, abs=1e-6)
    assert number != draw(anomaly_id, salt + "x")


def test_types_share_the_range_of_draws_in_their_order() -> None:
    shares: Probabilities = {"BROADCAST": 500_000, "HOLD": 100_000, "POLL": 400_000}
    numbers = (0.0, 99_999.999, 100_000.0, 499_999.9, 500_000.0, 999_999.9999)
    kinds = [drawn(shares, number) for number in numbers]
    assert kinds == ["HOLD", "HOLD", "POLL", "POLL", "BROADCAST", "BROADCAST"]


def test_a_choice_that_was_never_made_takes_less_than_a_millisecond() -> None:
    cells = policy_of(
        (kind, each, 400_000, 300_000)
        for kind in INTERVENTION_TYPES
        for each in ANOMALY_TYPES
        for _ in range(3)
    ).cells
    took_s = []
    for version in range(21):
        policy = Policy(version, cells)
        began_s = process_time()
        probabilities(policy, "SUDDEN_DROP", ACTIONS)
        took_s.append(process_time() - began_s)
    assert sorted(took_s)[10] < 0.001
