"""Actions that are sent, in memory."""

from collections import defaultdict
from collections.abc import Sequence

from conductor_actors.ports.conductor_port import OutgoingAction, SendResult
from tests.support.score_rows import AT_MS

_HOUR_MS = 3_600_000
_MAX_PER_HOUR = 100


class MemoryActionSender:
    """Record what is sent in `sent`, and each call in `calls`; `now_ms` is the server's clock.

    While `outage` is set, every call raises it, after it has sent if `sends_before_outage`. A
    tenant in `refused_tenants` gets its error.
    """

    def __init__(self) -> None:
        self.sent: list[OutgoingAction] = []
        self.refused: list[OutgoingAction] = []
        self.calls: list[list[OutgoingAction]] = []
        self.outage: Exception | None = None
        self.sends_before_outage = False
        self.refused_tenants: dict[str, Exception] = {}
        self.now_ms = AT_MS
        self._known: set[tuple[str, str]] = set()
        self._hours: defaultdict[tuple[str, str], list[int]] = defaultdict(list)

    def send(self, actions: Sequence[OutgoingAction]) -> Sequence[SendResult]:
        self.calls.append([*actions])
        for action in actions:
            if action.tenant_id in self.refused_tenants:
                raise self.refused_tenants[action.tenant_id]
        if self.outage is not None and not self.sends_before_outage:
            raise self.outage
        results = [self._send(action) for action in actions]
        if self.outage is not None:
            raise self.outage
        return results

    def close(self) -> None:
        pass

    def _send(self, action: OutgoingAction) -> SendResult:
        key = action.tenant_id, action.record.id
        if key in self._known:
            return SendResult.SENT_BEFORE
        if self.now_ms >= action.record.send_by_ms:
            return SendResult.LATE
        self._known.add(key)
        hour = self._hours[action.tenant_id, action.record.event_id]
        hour[:] = [at_ms for at_ms in hour if at_ms > self.now_ms - _HOUR_MS]
        if len(hour) >= _MAX_PER_HOUR:
            self.refused.append(action)
            return SendResult.REFUSED
        hour.append(self.now_ms)
        self.sent.append(action)
        return SendResult.SENT
