"""One repetition of a world: each player decides, learns, and is compared with the truth."""

from collections.abc import Mapping
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

from conductor_actors.domain.conductor.effects import Effect, Trial, effects_of
from conductor_actors.domain.conductor.interventions import (
    ACTIONS,
    HOLD,
    INTERVENTION_TYPES,
    MICRO,
    InterventionType,
    Origin,
)
from conductor_actors.domain.conductor.policy import Probabilities
from tests.conductor.players import (
    BeforeAfterBandit,
    Chance,
    Conductor,
    Player,
    SemiAutoConductor,
)
from tests.conductor.world import Moment, Scenario, moments

PRODUCT: Final = "AUTO"
SEMI_AUTO: Final = "SEMI_AUTO"
CHANCE: Final = "random"
BANDIT: Final = "before/after bandit"
DELAY: Final = 2  # decisions, in other sessions, until an outcome is known
CENSORED_SHARE: Final = 0.1  # of outcomes: the session ended, or something else was done


class Interval(NamedTuple):
    """An estimated effect with its interval, and the truth."""

    found: Effect
    truth: float

    @property
    def is_covering(self) -> bool:
        assert self.found.low is not None
        assert self.found.high is not None
        return self.found.low <= self.truth <= self.found.high

    @property
    def width(self) -> float:
        assert self.found.low is not None
        assert self.found.high is not None
        return self.found.high - self.found.low


class Logged(NamedTuple):
    """The probability of one type at a decision, and whether it was drawn."""

    probability: float
    is_drawn: bool


class Repetition(NamedTuple):
    """Regret by player after each decision; intervals and logged probabilities of the product."""

    regret: Mapping[str, list[float]]
    intervals: list[Interval]
    logged: list[Logged]


def play(scenario: Scenario, seed: int, repetition: int) -> Repetition:
    """Let all players decide about the same anomalies."""
    world = list(moments(scenario, seed, repetition))
    conductor = Conductor()
    rng = Random(f"players/{scenario.name}/{seed}/{repetition}")
    players: dict[str, Player] = {
        PRODUCT: conductor,
        SEMI_AUTO: SemiAutoConductor(),
        CHANCE: Chance(rng),
        BANDIT: BeforeAfterBandit(rng),
    }
    is_measured = [rng.random() >= CENSORED_SHARE for _ in world]
    chosen = {name: _decide(player, world, is_measured) for name, player in players.items()}
    regret = {
        name: list(accumulate(each.regret(kind) for each, kind in zip(world, kinds, strict=True)))
        for name, kinds in chosen.items()
    }
    trials = [
        _trial(moment, kind, shares)
        for moment, kind, shares, measured in zip(
            world, chosen[PRODUCT], conductor.logged, is_measured, strict=True
        )
        if measured
    ]
    logged = _logged(conductor.logged, chosen[PRODUCT])
    return Repetition(regret, _intervals(world, trials), logged)


def _decide(player: Player, world: list[Moment], is_measured: list[bool]) -> list[InterventionType]:
    kinds: list[InterventionType] = []
    for number, moment in enumerate(world):
        known = number - DELAY
        if known >= 0 and is_measured[known]:
            player.learn(world[known], kinds[known], world[known].after(kinds[known]))
        kinds.append(player.choose(moment))
    return kinds


def _trial(moment: Moment, kind: InterventionType, shares: Probabilities) -> Trial:
    origin: Origin = "hold" if kind == HOLD else "act"
    return Trial(kind, origin, moment.anomaly_type, moment.before, moment.after(kind), dict(shares))


def _intervals(world: list[Moment], trials: list[Trial]) -> list[Interval]:
    """Return the estimates with the mean effect over all decisions in which it was allowed."""
    truths = {}
    for action in ACTIONS:
        effects = [moment.effect(action) for moment in world if action in moment.allowed]
        truths[action] = sum(effects) / len(effects)
    return [
        Interval(found, truths[found.type])
        for found in effects_of(trials)
        if found.effect is not None
    ]


def _logged(choices: list[Probabilities], kinds: list[InterventionType]) -> list[Logged]:
    """Return one type of each choice, in turns, so that they are independent."""
    return [
        Logged(shares[kind] / MICRO, drawn == kind)
        for number, (shares, drawn) in enumerate(zip(choices, kinds, strict=True))
        if (kind := INTERVENTION_TYPES[number % len(INTERVENTION_TYPES)]) in shares
    ]
