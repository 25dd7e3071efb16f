"""What decides in a world: the conductor's policy, chance, and a plain contextual bandit."""

from math import sqrt
from random import Random
from typing import Final, Protocol

from conductor_actors.domain.anomalies.changes import AnomalyType
from conductor_actors.domain.conductor.conduct_rules import MIN_CONFIDENCE_TO_SUGGEST
from conductor_actors.domain.conductor.interventions import MICRO, ActionType, InterventionType
from conductor_actors.domain.conductor.policy import (
    Policy,
    Probabilities,
    added,
    confidence,
    draw,
    drawn,
    probabilities,
)
from tests.conductor.world import Moment

SALT: Final = "world"


class Player(Protocol):
    """Decides at each moment, and is told later what the score was."""

    def choose(self, moment: Moment) -> InterventionType: ...

    def learn(self, moment: Moment, kind: InterventionType, after: float) -> None: ...


class Conductor:
    """The policy of the service in the mode AUTO. `logged` has the probabilities of each choice."""

    def __init__(self) -> None:
        self._policy = Policy()
        self.logged: list[Probabilities] = []

    def choose(self, moment: Moment) -> InterventionType:
        allowed = [each for each in moment.allowed if self._may_choose(each, moment)]
        self.logged.append(probabilities(self._policy, moment.anomaly_type, allowed))
        return drawn(self.logged[-1], draw(moment.anomaly_id, SALT))

    def learn(self, moment: Moment, kind: InterventionType, after: float) -> None:
        before_micro, after_micro = round(moment.before * MICRO), round(after * MICRO)
        self._policy = added(self._policy, kind, moment.anomaly_type, before_micro, after_micro)

    def _may_choose(self, action: ActionType, moment: Moment) -> bool:
        del action, moment
        return True


class SemiAutoConductor(Conductor):
    """The same in the mode SEMI_AUTO, in which every suggestion is approved.

    Actions that are probably worse than doing nothing are not allowed.
    """

    def _may_choose(self, action: ActionType, moment: Moment) -> bool:
        certainty = confidence(self._policy, moment.anomaly_type, action)
        return certainty >= MIN_CONFIDENCE_TO_SUGGEST


class Chance:
    """Chooses among all that is allowed with equal probabilities."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def choose(self, moment: Moment) -> InterventionType:
        return self._rng.choice(moment.choices)

    def learn(self, moment: Moment, kind: InterventionType, after: float) -> None:
        """Learn nothing."""


class BeforeAfterBandit:
    """Thompson sampling by type of anomaly; the reward is the score after less that before.

    It has no floors, and doing nothing is one of its arms.
    """

    PRIOR: Final = 0.15**2
    NOISE: Final = 0.10**2

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._sums: dict[tuple[InterventionType, AnomalyType], tuple[int, float]] = {}

    def choose(self, moment: Moment) -> InterventionType:
        return max(moment.choices, key=lambda kind: self._sample(kind, moment))

    def learn(self, moment: Moment, kind: InterventionType, after: float) -> None:
        key = kind, moment.anomaly_type
        count, total = self._sums.get(key, (0, 0.0))
        self._sums[key] = count + 1, total + after - moment.before

    def _sample(self, kind: InterventionType, moment: Moment) -> float:
        count, total = self._sums.get((kind, moment.anomaly_type), (0, 0.0))
        precision = 1 / self.PRIOR + count / self.NOISE
        return self._rng.gauss(total / self.NOISE / precision, sqrt(1 / precision))
