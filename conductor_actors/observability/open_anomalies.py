"""The anomalies that have begun and not ended, as log events report them."""

from collections import Counter
from typing import Final, TypeAlias

from conductor_actors.domain.identity import SessionKey
from conductor_actors.log_events import AnomalyContinues, AnomalyDetected, AnomalyOver, LogEvent

MAX_OPEN_ANOMALIES: Final = 1_000_000  # more than a service has sessions

OpenAnomalyEvent: TypeAlias = AnomalyDetected | AnomalyContinues


class OpenAnomalies:
    """The open anomaly of each session. Several threads may call `observe`."""

    def __init__(self, limit: int = MAX_OPEN_ANOMALIES) -> None:
        self._limit = limit
        self._open: dict[SessionKey, OpenAnomalyEvent] = {}

    def observe(self, event: LogEvent) -> None:
        """Record what a log event reports of an anomaly."""
        match event:
            case AnomalyDetected() | AnomalyContinues():
                key = SessionKey(event.tenant, event.session)
                if key in self._open or len(self._open) < self._limit:
                    self._open[key] = event
            case AnomalyOver():
                self._open.pop(SessionKey(event.tenant, event.session), None)

    def forget(self, partition: str) -> None:
        """Remove the anomalies of a partition that has left this process."""
        for key, event in [*self._open.items()]:
            if event.partition == partition:
                self._open.pop(key, None)

    def of(self, key: SessionKey) -> OpenAnomalyEvent | None:
        """Return the open anomaly of a session."""
        return self._open.get(key)

    def sessions(self) -> list[SessionKey]:
        """Return the sessions with an open anomaly."""
        return [*self._open]

    def by_type(self) -> Counter[str]:
        """Return the number of open anomalies of each type."""
        return Counter(event.type for event in [*self._open.values()])

    def by_tenant(self) -> Counter[str]:
        """Return the number of open anomalies of each tenant."""
        return Counter(key.tenant_id for key in [*self._open])
