"""What is wrong with a session at a tick."""

from conductor_actors.domain.anomalies.changes import AnomalyType, Severity


class Finding:
    """An anomaly that begins unless another one is open. `degree` is 0…1."""

    __slots__ = ("degree", "onset_ms", "reason", "severity", "type")

    def __init__(
        self, type_: AnomalyType, severity: Severity, degree: float, onset_ms: int, reason: str
    ) -> None:
        self.type = type_
        self.severity = severity
        self.degree = degree
        self.onset_ms = onset_ms
        self.reason = reason
