"""Low engagement: a session with people in it whose score has stayed low for a minute."""

from conductor_actors.domain.anomalies import reasons
from conductor_actors.domain.anomalies.finding import Finding
from conductor_actors.domain.anomalies.packed_detector import Packed
from conductor_actors.domain.anomalies.parameters import (
    LOW_FOR_MS,
    LOW_MIN_AGE_MS,
    LOW_MIN_PEOPLE,
    LOW_REARMED_SCORE,
    LOW_SCORE,
    Parameters,
)


class LowEngagement:
    """The mean score of a minute, and since when it is low. It arms when the score is up again."""

    __slots__ = ("is_armed", "mean", "since_ms", "ticks")

    def __init__(
        self, mean: float = 0.0, since_ms: int = 0, ticks: int = 0, is_armed: bool = True
    ) -> None:
        self.mean = mean
        self.since_ms = since_ms  # 0: it is not low
        self.ticks = ticks
        self.is_armed = is_armed

    def update(self, at_ms: int, score: float, tick_ms: int) -> None:
        """Add the score of a tick."""
        self.ticks = ticks = self.ticks + 1
        first, weight = 1.0 / ticks, tick_ms / LOW_FOR_MS
        if weight < first or weight > 1.0:  # `min` and `max` take as long as all else
            weight = first if weight < first else 1.0
        self.mean = mean = self.mean + weight * (score - self.mean)
        if mean > LOW_SCORE:
            self.since_ms = 0
            if mean >= LOW_REARMED_SCORE:
                self.is_armed = True
        elif not self.since_ms:
            self.since_ms = at_ms

    def is_due(self, at_ms: int, age_ms: int) -> bool:
        """Check whether the mean has been low for long enough, in a session that is old enough."""
        since_ms = self.since_ms
        return since_ms > 0 and at_ms - since_ms >= LOW_FOR_MS and age_ms >= LOW_MIN_AGE_MS

    def find(self, at_ms: int, people: int, age_ms: int, parameters: Parameters) -> Finding | None:
        """Return low engagement, if there is some that was not yet reported."""
        if (
            not self.is_armed
            or not self.is_due(at_ms, age_ms)
            or people < LOW_MIN_PEOPLE
            or "LOW_ENGAGEMENT" in parameters.types_off
        ):
            return None
        self.is_armed = False
        degree = 1.0 - self.mean / LOW_REARMED_SCORE
        reason = reasons.of_low_engagement(self.mean, (at_ms - self.since_ms) // 1000, people)
        return Finding("LOW_ENGAGEMENT", "WARNING", degree, self.since_ms, reason)

    def pack(self) -> Packed:
        """Return it as a checkpoint stores it."""
        return (self.mean, self.since_ms, self.ticks, self.is_armed)
