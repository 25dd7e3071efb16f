"""The policy of a tenant: what its trials gave so far, as sums that can be added in any order."""

from typing import TypeAlias

import msgspec

from conductor_actors.domain.anomalies.changes import AnomalyType
from conductor_actors.domain.conductor.interventions import InterventionType


class CellSums(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The trials of one intervention type after one type of anomaly.

    Scores before and after are whole millionths; so all sums are integers, and exact.
    """

    trials: int = 0
    before: int = 0
    after: int = 0
    before_squared: int = 0
    before_after: int = 0
    after_squared: int = 0


class Policy(msgspec.Struct, frozen=True, gc=False):
    """One version of what was learnt: the sums of each cell, by its `cell_name`."""

    version: int = 0
    cells: dict[str, CellSums] = {}


Probabilities: TypeAlias = dict[InterventionType, int]  # in millionths; they add up to a million


def cell_name(kind: InterventionType, anomaly_type: AnomalyType) -> str:
    """Return the name of a cell, such as `POLL:SUDDEN_DROP`."""
    return f"{kind}:{anomaly_type}"
