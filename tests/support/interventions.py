"""Interventions, for tests that care about few of their values."""

from typing import Final
from uuid import UUID

from msgspec.structs import replace

from conductor_actors.domain.conductor.interventions import Choice, Intervention, MeasuredOutcome
from tests.support.score_rows import ANOMALY_ID, AT_MS

INTERVENTION_ID: Final = str(UUID(int=77))
MEASURED_MS: Final = AT_MS + 120_000
MESSAGE: Final = "What do you think?"

CHOICE: Final = Choice(
    ANOMALY_ID, "SUDDEN_DROP", 3, {"HOLD": 100_000, "POLL": 300_000, "BROADCAST": 600_000}, 0.75
)
MEASURED: Final = MeasuredOutcome(MEASURED_MS, 0.25, 0.5, 0.125, success=True)
CENSORED: Final = MeasuredOutcome(MEASURED_MS, 0.25, censored="gap")

_APPROVED: Final = Intervention(
    INTERVENTION_ID,
    AT_MS,
    "event",
    "BROADCAST",
    "act",
    "APPROVED",
    0.8,
    "2 events in 9 s, 14 were expected.",
    0.25,
    choice=CHOICE,
    content={"message": MESSAGE},
    send_by_ms=AT_MS + 15_000,
    steps={"APPROVED": AT_MS},
)


def intervention(number: int = 77, **changes: object) -> Intervention:
    return replace(_APPROVED, id=str(UUID(int=number)), **changes)
