"""The parameters of the detector: when a session has a baseline, and what differs from it enough.

Rates are of messages and reactions; shares are 0…1. Evidence is in nats: at most one false alarm in
about e^evidence seconds. What no setting changes is a constant, which costs nothing to read.
"""

from typing import Final, Literal, TypeAlias

import msgspec

from conductor_actors.domain.anomalies.changes import AnomalyType

Sensitivity: TypeAlias = Literal["low", "normal", "high"]

# The baseline.
LEARNING_DELAY_MS: Final = 60_000  # after which a bin of counts teaches the baseline
FAST_S: Final = 120.0
SLOW_S: Final = 600.0
MIN_AGE_MS: Final = 180_000  # of a session that is judged
ARRIVAL_MS: Final = 60_000  # whose counts don't teach: everybody who arrives is active
MIN_BINS: Final = 18
HOLD_MS: Final = 60_000  # without judgement after a quiet time or missed ticks
MAX_EVENTS_PER_ACTIVE: Final = 2.0  # in a bin: more are one user's flood
MIN_ACTIVE: Final = 3.0  # users who are usually active

# A sudden drop, and a gradual decline.
MIN_EXPECTED_PER_MIN: Final = 12.0
MIN_AUDIENCE_SHARE: Final = 0.3  # of the most people at once
DROP_REMAINDER: Final = 0.08
SCARCE_EXPECTED_PER_MIN: Final = 30.0
BUSY_EXPECTED_PER_MIN: Final = 75.0
MIN_STOP_MS: Final = 5_000
MAX_STOP_MS: Final = 90_000  # what takes longer is a decline
MIN_RECENT_S: Final = 30  # before a stop: it must be less than that, too
RECENT_SPREADS: Final = 0.5
DROP_SUSPECT_MS: Final = 180_000  # after which less than before is usual
DECLINE_REMAINDER: Final = 0.3
DECLINE_MAX_SHARE: Final = 0.18  # of the expected events, in the last minute
DECLINE_SUSPECT_MS: Final = 400_000
RECOVERED_SHARE: Final = 0.6
RECOVERED_S: Final = 45
MAX_INCIDENT_MS: Final = 600_000

# A mass exit.
MIN_LEAVERS: Final = 4
MIN_LEAVER_SHARE: Final = 0.15
EXIT_FOR_MS: Final = 10_000  # while people who lost their connection come back
MAX_RETURNED_SHARE: Final = 0.15  # of those who left
APPLAUSE_CHAT: Final = 1.5  # times the usual
APPLAUSE_REACTIONS: Final = 1.3
ENDING_MS: Final = 120_000  # after applause; then leaving is no ending any more
ENDING_LEAVER_SHARE: Final = 0.06  # in a minute, after applause

# Low engagement.
LOW_SCORE: Final = 0.08
LOW_REARMED_SCORE: Final = 0.2
LOW_FOR_MS: Final = 60_000
LOW_MIN_PEOPLE: Final = 10
LOW_MIN_AGE_MS: Final = 360_000


class Parameters(msgspec.Struct, frozen=True):
    """What settings change."""

    types_off: tuple[AnomalyType, ...] = ()
    scarce_drop_evidence: float = 7.5
    drop_evidence: float = 7.0
    busy_drop_evidence: float = 6.5
    decline_evidence: float = 20.0
    max_tick_s: int = 60  # with longer ticks nothing is detected

    @property
    def least_drop_evidence(self) -> float:
        """The least evidence for a sudden drop at any rate."""
        return min(self.scarce_drop_evidence, self.drop_evidence, self.busy_drop_evidence)

    @property
    def is_off(self) -> bool:
        """Whether nothing can be detected."""
        return len(self.types_off) == 4


NORMAL: Final = Parameters()
EVIDENCE_TIMES: Final[dict[Sensitivity, float]] = {"low": 1.4, "normal": 1.0, "high": 0.75}


def parameters_of(sensitivity: Sensitivity, types_off: tuple[AnomalyType, ...] = ()) -> Parameters:
    """Return the parameters for a sensitivity, without some types."""
    times = EVIDENCE_TIMES[sensitivity]
    return Parameters(
        types_off,
        NORMAL.scarce_drop_evidence * times,
        NORMAL.drop_evidence * times,
        NORMAL.busy_drop_evidence * times,
        NORMAL.decline_evidence * times,
    )
