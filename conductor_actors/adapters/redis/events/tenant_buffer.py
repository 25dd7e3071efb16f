"""Received pub/sub messages, bounded so that a tenant that floods loses its own messages."""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from operator import attrgetter
from typing import TypeAlias

from conductor_actors.domain.buckets import UNIT_BYTES, units

PubSubMessage: TypeAlias = tuple[str, bytes]  # channel and body


class ReceivedMessages:
    """Messages of a tenant in the order of receipt, and the monotonic time of it."""

    __slots__ = ("messages", "received_s", "units")

    def __init__(self, received_s: float, messages: list[PubSubMessage], units: int) -> None:
        self.received_s = received_s
        self.messages = messages
        self.units = units


class TenantBuffer:
    """At most `limit` units of received messages, a unit being up to a kilobyte.

    When it is full, it drops the newest message of the tenant with the most units, which is the
    tenant that floods; that can be the message being added.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queues: dict[str, deque[ReceivedMessages]] = {}
        self._units: Counter[str] = Counter()
        self._total = 0
        self._dropped: Counter[str] = Counter()

    def add(self, received_s: float, messages: Sequence[tuple[str, PubSubMessage]]) -> None:
        """Add tenants' messages in the order of receipt; drop as many as necessary to make room."""
        by_tenant: defaultdict[str, list[PubSubMessage]] = defaultdict(list)
        for tenant, message in messages:
            by_tenant[tenant].append(message)
        sizes = {tenant: _units(of_tenant) for tenant, of_tenant in by_tenant.items()}
        if self._total + sum(sizes.values()) <= self._limit:
            for tenant, of_tenant in by_tenant.items():
                self._append(tenant, ReceivedMessages(received_s, of_tenant, sizes[tenant]))
        else:
            for tenant, message in messages:
                self._add_or_drop(received_s, tenant, message)

    def is_empty(self) -> bool:
        """Check whether there is no message."""
        return not self._queues

    def pop_before(self, before_s: float) -> list[ReceivedMessages]:
        """Remove and return the messages received before a moment, those of a tenant in order."""
        popped: list[ReceivedMessages] = []
        for tenant, queue in [*self._queues.items()]:
            while queue and queue[0].received_s < before_s:
                popped.append(queue.popleft())
                self._subtract(tenant, popped[-1].units)
            if not queue:
                del self._queues[tenant], self._units[tenant]
        popped.sort(key=attrgetter("received_s"))
        return popped

    def pop_dropped(self) -> Counter[str]:
        """Return how many messages of each tenant were dropped since the last call."""
        dropped, self._dropped = self._dropped, Counter()
        return dropped

    def _add_or_drop(self, received_s: float, tenant: str, message: PubSubMessage) -> None:
        """Add one message where many don't fit."""
        size = _units([message])
        while self._total + size > self._limit:
            flooding = max(self._units, key=self._units.__getitem__, default=tenant)
            if flooding == tenant or self._units[flooding] < self._units[tenant] + size:
                self._dropped[tenant] += 1
                return
            self._drop_newest(flooding)
        self._append(tenant, ReceivedMessages(received_s, [message], size))

    def _append(self, tenant: str, received: ReceivedMessages) -> None:
        if tenant not in self._queues:
            self._queues[tenant] = deque()
        queue = self._queues[tenant]
        if queue and queue[-1].received_s == received.received_s:
            queue[-1].messages += received.messages
            queue[-1].units += received.units
        else:
            queue.append(received)
        self._units[tenant] += received.units
        self._total += received.units

    def _drop_newest(self, tenant: str) -> None:
        queue = self._queues[tenant]
        newest = queue[-1]
        size = _units([newest.messages.pop()])
        newest.units -= size
        if not newest.messages:
            queue.pop()
        self._dropped[tenant] += 1
        self._subtract(tenant, size)

    def _subtract(self, tenant: str, size: int) -> None:
        self._units[tenant] -= size
        self._total -= size


def _units(messages: Sequence[PubSubMessage]) -> int:
    sizes = [len(body) for _, body in messages]
    return len(sizes) if max(sizes) < UNIT_BYTES else sum(map(units, sizes))
