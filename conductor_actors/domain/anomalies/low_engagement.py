"""Low engagement: a session with people in it whose score has stayed low for a minute."""

import msgspec

from conductor_actors.domain.anomalies import reasons
from conductor_actors.domain.anomalies.finding import Finding
from conductor_actors.domain.anomalies.parameters import Parameters


class LowEngagement(msgspec.Struct, array_like=True, gc=False):
    """The mean score of a minute, and since when it is low. It arms when the score is up again."""

    mean: float = 0.0
    since_ms: int = 0  # 0: it is not low
    ticks: int = 0
    is_armed: bool = True

    def update(self, at_ms: int, score: float, tick_ms: int, parameters: Parameters) -> None:
        """Add the score of a tick."""
        self.ticks += 1
        first, weight = 1.0 / self.ticks, tick_ms / (parameters.low_for_s * 1000.0)
        if weight < first or weight > 1.0:  # `min` and `max` take as long as all else
            weight = first if weight < first else 1.0
        self.mean += weight * (score - self.mean)
        if self.mean > parameters.low_score:
            self.since_ms = 0
            if self.mean >= parameters.low_rearmed_score:
                self.is_armed = True
        elif not self.since_ms:
            self.since_ms = at_ms

    def is_due(self, at_ms: int, age_ms: int, parameters: Parameters) -> bool:
        """Check whether the mean has been low for long enough, in a session that is old enough."""
        return (
            self.since_ms > 0
            and at_ms - self.since_ms >= parameters.low_for_s * 1000
            and age_ms >= parameters.low_min_age_s * 1000
        )

    def find(self, at_ms: int, people: int, age_ms: int, parameters: Parameters) -> Finding | None:
        """Return low engagement, if there is some that was not yet reported."""
        if (
            not self.is_armed
            or not self.is_due(at_ms, age_ms, parameters)
            or people < parameters.low_min_people
            or "LOW_ENGAGEMENT" in parameters.types_off
        ):
            return None
        self.is_armed = False
        degree = 1.0 - self.mean / parameters.low_rearmed_score
        reason = reasons.of_low_engagement(self.mean, (at_ms - self.since_ms) // 1000, people)
        return Finding("LOW_ENGAGEMENT", "WARNING", degree, self.since_ms, reason)
