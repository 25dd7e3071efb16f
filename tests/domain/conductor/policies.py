"""Policies of tests, from trials that are given or drawn."""

from collections.abc import Iterable
from typing import TypeAlias

from hypothesis import strategies as st

from conductor_actors.domain.anomalies.changes import ANOMALY_TYPES, AnomalyType
from conductor_actors.domain.conductor.interventions import INTERVENTION_TYPES, InterventionType
from conductor_actors.domain.conductor.policy import Policy, added

Trial: TypeAlias = tuple[InterventionType, AnomalyType, int, int]

scores = st.integers(0, 1_000_000)
trials = st.tuples(
    st.sampled_from(INTERVENTION_TYPES), st.sampled_from(ANOMALY_TYPES), scores, scores
)


def policy_of(trials: Iterable[Trial]) -> Policy:
    policy = Policy()
    for trial in trials:
        policy = added(policy, *trial)
    return policy


policies = st.lists(trials, max_size=40).map(policy_of)
