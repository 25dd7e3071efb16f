"""The parameters of the detector, and how the sensitivity changes them."""

from typing import Final, Literal, TypeAlias

import msgspec

from conductor_actors.domain.anomalies.changes import AnomalyType

Sensitivity: TypeAlias = Literal["low", "normal", "high"]


class Parameters(msgspec.Struct, frozen=True):
    """When a session has a baseline, and what differs from it enough to be an anomaly.

    Rates are of messages and reactions; shares are 0…1. Evidence is in nats: at most one false
    alarm in about e^evidence seconds.
    """

    types_off: tuple[AnomalyType, ...] = ()
    max_tick_s: int = 60  # with longer ticks nothing is detected

    # The baseline.
    delay_s: int = 60  # after which a bin of counts teaches the baseline
    fast_s: float = 120.0
    slow_s: float = 600.0
    min_age_s: int = 180  # of a session that is judged
    arrival_s: int = 60  # whose counts don't teach: everybody who arrives is active
    min_bins: int = 18
    hold_s: int = 60  # without judgement after a quiet time or missed ticks
    max_events_per_active: float = 2.0  # in a bin: more are one user's flood
    min_active: float = 3.0  # users who are usually active

    # A sudden drop, and a gradual decline.
    min_expected_per_min: float = 12.0
    min_audience_share: float = 0.3  # of the most people at once
    drop_remainder: float = 0.08
    scarce_expected_per_min: float = 30.0
    scarce_drop_evidence: float = 7.5
    drop_evidence: float = 7.0
    busy_expected_per_min: float = 75.0
    busy_drop_evidence: float = 6.5
    min_stop_s: int = 5
    max_stop_s: int = 90  # what takes longer is a decline
    min_recent_s: int = 30  # before a stop: it must be less than that, too
    recent_spreads: float = 0.5
    drop_suspect_s: int = 180  # after which less than before is usual
    decline_remainder: float = 0.3
    decline_evidence: float = 20.0
    decline_max_share: float = 0.18  # of the expected events, in the last minute
    decline_suspect_s: int = 400
    recovered_share: float = 0.6
    recovered_s: int = 45
    max_incident_s: int = 600

    # A mass exit.
    min_leavers: int = 4
    min_leaver_share: float = 0.15
    exit_for_s: int = 10  # while people who lost their connection come back
    max_returned_share: float = 0.15  # of those who left
    applause_chat: float = 1.5  # times the usual
    applause_reactions: float = 1.3
    applause_s: int = 120  # after which leaving is no ending any more
    ending_leaver_share: float = 0.06  # in a minute, after applause

    # Low engagement.
    low_score: float = 0.08
    low_rearmed_score: float = 0.2
    low_for_s: int = 60
    low_min_people: int = 10
    low_min_age_s: int = 360

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
        scarce_drop_evidence=NORMAL.scarce_drop_evidence * times,
        drop_evidence=NORMAL.drop_evidence * times,
        busy_drop_evidence=NORMAL.busy_drop_evidence * times,
        decline_evidence=NORMAL.decline_evidence * times,
    )
