"""Incidents before they are labelled: when a session loses its activity, and how much of it."""

from random import Random
from typing import Final, NamedTuple

from conductor_actors.domain.anomalies.changes import AnomalyType
from tests.detector.corpus.formats import log_uniform
from tests.detector.corpus.programme import ENDING_S, Programme

LEAST_BEFORE_S: Final = 300  # of ordinary activity before an incident
LEAST_BETWEEN_S: Final = 420
ATTEMPTS: Final = 40


class Loss(NamedTuple):
    """From the onset on, activity falls to the share `kept`; at the end it comes back."""

    type: AnomalyType
    onset_s: float
    end_s: float
    kept: float
    falling_s: float = 0.0
    rising_s: float = 0.0

    def kept_at(self, at_s: float) -> float:
        if at_s <= self.onset_s or at_s >= self.end_s + self.rising_s:
            return 1.0
        if at_s > self.end_s:
            return self.kept + (1 - self.kept) * (at_s - self.end_s) / self.rising_s
        if at_s >= self.onset_s + self.falling_s:
            return self.kept
        return 1 - (1 - self.kept) * (at_s - self.onset_s) / self.falling_s


def sudden_drop(rng: Random, *, is_total: bool) -> Loss:
    kept = rng.choice((0.0, 0.0, 0.02, 0.04)) if is_total else rng.uniform(0.08, 0.25)
    return Loss("SUDDEN_DROP", 0, log_uniform(rng, (90, 500)), kept, 0.0, rng.uniform(1, 30))


def gradual_decline(rng: Random) -> Loss:
    falling_s, kept = log_uniform(rng, (150, 600)), rng.uniform(0.03, 0.2)
    end_s = falling_s + rng.uniform(180, 480)
    return Loss("GRADUAL_DECLINE", 0, end_s, kept, falling_s, rng.uniform(5, 30))


def mass_exit(rng: Random) -> Loss:
    """Lose people instead of activity: `kept` is their share, `falling_s` how long it takes."""
    kept = 1 - rng.uniform(0.18, 0.7)
    return Loss("MASS_EXIT", 0, 180, kept, log_uniform(rng, (2, 45)))


def placed(
    loss: Loss, programme: Programme, rng: Random, first_s: float, others: list[Loss]
) -> Loss | None:
    """Return the loss at a time at which only it happens; None if there is none."""
    last_s = programme.duration_s - ENDING_S - 60 - loss.end_s
    first_s += LEAST_BEFORE_S
    for _ in range(ATTEMPTS if first_s < last_s else 0):
        onset_s = rng.uniform(first_s, last_s)
        end_s = onset_s + loss.end_s
        is_apart = all(
            onset_s > each.end_s + LEAST_BETWEEN_S or end_s < each.onset_s - LEAST_BETWEEN_S
            for each in others
        )
        if is_apart and programme.is_free(onset_s - 60, end_s + 60):
            return loss._replace(onset_s=onset_s, end_s=end_s)
    return None
