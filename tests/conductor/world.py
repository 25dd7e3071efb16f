"""Simulated sessions in which the effect of each action is known.

Sessions have anomalies that the detector gets right or wrong. After a right one the score falls
by 0.22 whatever is done, after a false one it rises by 0.09; a high score falls further than a low
one. What is done adds its effect to that. Scores are not clamped, so that effects are exactly the
known ones. Shares of types, scores before and the spread of scores after are near those of the
sessions that the detector is judged on: there the residual deviation is 0.13, here 0.11.
"""

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Final, NamedTuple, TypeAlias
from uuid import NAMESPACE_URL, uuid5

from conductor_actors.domain.anomalies.changes import ANOMALY_TYPES, AnomalyType
from conductor_actors.domain.conductor.interventions import (
    ACTIONS,
    HOLD,
    ActionType,
    InterventionType,
)

MAX_DECISIONS: Final = 400
DECISIONS_IN_A_SESSION: Final = 4
SHARES: Final[dict[AnomalyType, float]] = {
    "SUDDEN_DROP": 0.5,
    "MASS_EXIT": 0.2,
    "GRADUAL_DECLINE": 0.15,
    "LOW_ENGAGEMENT": 0.15,
}
FALSE_SHARE: Final = 0.1  # of anomalies
CHANGE_AFTER_TRUE: Final = -0.22
CHANGE_AFTER_FALSE: Final = 0.09
USUAL: Final = 0.4  # the score that the changes above are of
LOW: Final = 0.06  # the usual score of a session with low engagement
SLOPE: Final = 0.45  # of the score after on the score before
NOISE: Final = 0.06
ALLOWED_SHARE: Final = 0.9  # of actions, each time; the others were done a moment ago

Effects: TypeAlias = Mapping[tuple[ActionType, AnomalyType], float]


class Moment(NamedTuple):
    """An anomaly, what is allowed then, the effects, and the score after doing nothing."""

    anomaly_id: str
    anomaly_type: AnomalyType
    before: float
    allowed: tuple[ActionType, ...]
    effects: Effects
    without_action: float

    @property
    def choices(self) -> tuple[InterventionType, ...]:
        return (HOLD, *self.allowed)

    def effect(self, kind: InterventionType) -> float:
        return 0.0 if kind == HOLD else self.effects[kind, self.anomaly_type]

    def after(self, kind: InterventionType) -> float:
        return self.without_action + self.effect(kind)

    def regret(self, kind: InterventionType) -> float:
        """Return how much more the best choice would have given."""
        best = max(self.effect(kind) for kind in self.choices)
        return best - self.effect(kind)


def typical(rng: Random) -> Effects:
    """Effects as the model expects: 0.05 from action to action, 0.03 more by type."""
    return _effects(rng, lambda _: rng.gauss(0, 0.05), 0.03)


def strong(rng: Random) -> Effects:
    """Effects twice as large."""
    return _effects(rng, lambda _: rng.gauss(0, 0.10), 0.06)


def one_fixed(rng: Random) -> Effects:
    """One action helps whatever the type; the others change nothing."""
    good = rng.choice(ACTIONS)
    return _effects(rng, lambda action: 0.08 * (action == good), 0.0)


def all_harmful(rng: Random) -> Effects:
    """Every action harms."""
    return _effects(rng, lambda _: rng.uniform(-0.10, -0.02), 0.0)


def _effects(rng: Random, of: Callable[[ActionType], float], deviation: float) -> Effects:
    means = {action: of(action) for action in ACTIONS}
    return {
        (action, anomaly_type): mean + rng.gauss(0, deviation)
        for action, mean in means.items()
        for anomaly_type in ANOMALY_TYPES
    }


class Scenario(NamedTuple):
    """How effects are made; if they drift, others hold at the end than at the beginning."""

    name: str
    effects: Callable[[Random], Effects]
    is_drifting: bool = False


SCENARIOS: Final = (
    Scenario("typical", typical),
    Scenario("strong", strong),
    Scenario("one fixed", one_fixed),
    Scenario("all harmful", all_harmful),
    Scenario("drifting", typical, is_drifting=True),
)


def moments(scenario: Scenario, seed: int, repetition: int) -> Iterator[Moment]:
    """Return the anomalies of a world, in order: the same whenever they are made."""
    name = f"{scenario.name}/{seed}/{repetition}"
    rng = Random(name)
    first, last = scenario.effects(rng), scenario.effects(rng)
    session_level = 0.0
    for number in range(MAX_DECISIONS):
        if number % DECISIONS_IN_A_SESSION == 0:
            session_level = rng.gauss(0, 0.1)
        moved = number / MAX_DECISIONS if scenario.is_drifting else 0.0
        [anomaly_type] = rng.choices(list(SHARES), list(SHARES.values()))
        before = _before(rng, anomaly_type, session_level)
        change = CHANGE_AFTER_FALSE if rng.random() < FALSE_SHARE else CHANGE_AFTER_TRUE
        yield Moment(
            str(uuid5(NAMESPACE_URL, f"{name}/{number}")),
            anomaly_type,
            before,
            tuple(action for action in ACTIONS if rng.random() < ALLOWED_SHARE),
            {key: (1 - moved) * first[key] + moved * last[key] for key in first},
            USUAL + change + SLOPE * (before - USUAL) + rng.gauss(0, NOISE),
        )


def _before(rng: Random, anomaly_type: AnomalyType, session_level: float) -> float:
    if anomaly_type == "LOW_ENGAGEMENT":
        return LOW + rng.uniform(-0.04, 0.04)
    return min(0.95, max(0.05, USUAL + session_level + rng.gauss(0, 0.11)))
