"""What a session's detector reports with a row: an anomaly has begun, or has ended.

The row has the rest: tenant, session, event, tick, signals and score. Source of the types: the
contract, section 2.
"""

from typing import Final, Literal, TypeAlias, get_args

import msgspec

AnomalyType: TypeAlias = Literal["SUDDEN_DROP", "GRADUAL_DECLINE", "MASS_EXIT", "LOW_ENGAGEMENT"]
Severity: TypeAlias = Literal["WARNING", "CRITICAL"]

ANOMALY_TYPES: Final[tuple[AnomalyType, ...]] = get_args(AnomalyType)


class AnomalyBegan(msgspec.Struct, frozen=True, gc=False, tag_field="change", tag="began"):
    """An anomaly begins at the row's tick.

    `id` is a UUID of tenant, session, type and tick. `anomaly_score` is 0…1. `expected_engagement`
    is the score that the session had before; `deviation` is how far the row's score is from it.
    `onset_ms` is when it began, as estimated. `reason` is one sentence with its figures.
    """

    id: str
    type: AnomalyType
    severity: Severity
    anomaly_score: float
    expected_engagement: float
    deviation: float
    onset_ms: int
    reason: str


class AnomalyEnded(msgspec.Struct, frozen=True, gc=False, tag_field="change", tag="ended"):
    """The anomaly `id`, which began at the tick `began_ms`, ends at the row's tick."""

    id: str
    type: AnomalyType
    began_ms: int


AnomalyChange: TypeAlias = AnomalyBegan | AnomalyEnded


class ExpectedScore(msgspec.Struct, frozen=True, gc=False):
    """The range of scores that the baseline of a session expects, 0…1."""

    low: float
    high: float
