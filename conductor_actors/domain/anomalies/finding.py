"""What is wrong with a session at a tick."""

import msgspec

from conductor_actors.domain.anomalies.changes import AnomalyType, Severity


class Finding(msgspec.Struct, frozen=True, gc=False):
    """An anomaly that begins unless another one is open. `degree` is 0…1."""

    type: AnomalyType
    severity: Severity
    degree: float
    onset_ms: int
    reason: str
