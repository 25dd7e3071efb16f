"""Which Redis names are read: the six names, bare and for each tenant with its prefix."""

import time
from collections.abc import Sequence
from typing import Final

import redis

from conductor_actors.domain.events import DECODERS
from conductor_actors.domain.identity import DEFAULT_TENANT, EVERY_TENANT, prefixed, split
from conductor_actors.ports import Clock

LOOK_EVERY_S: Final = 10.0
SCAN_COUNT: Final = 1000


def event_tenant(name: str) -> str | None:
    """Return the tenant whose events have this Redis name; None if it is no event name."""
    parts = split(name)
    return parts[0] if parts is not None and parts[1] in DECODERS else None


class EventNames:
    """The names to read. With `*` the tenants' streams are looked for every 10 s."""

    def __init__(
        self, client: redis.Redis, tenants: Sequence[str], clock: Clock = time.monotonic
    ) -> None:
        self._client = client
        self._clock = clock
        self.finds_tenants = EVERY_TENANT in tenants
        self._look_s = float("-inf")
        named = [each for each in tenants if each != EVERY_TENANT]
        self._names = [
            prefixed(tenant, name) for tenant in (DEFAULT_TENANT, *named) for name in DECODERS
        ]

    def current(self) -> Sequence[str]:
        """Return the names known now, in a stable order; new ones come at the end."""
        if self.finds_tenants and self._clock() - self._look_s >= LOOK_EVERY_S:
            self._look()
            self._look_s = self._clock()
        return self._names

    def channels(self) -> Sequence[str]:
        """Return the channels to subscribe to by name: those that no pattern matches."""
        return list(DECODERS) if self.finds_tenants else self._names

    def channel_patterns(self) -> Sequence[str]:
        """Return the patterns that match every tenant's names; empty if tenants are named."""
        return [f"*:{name}" for name in DECODERS] if self.finds_tenants else []

    def _look(self) -> None:
        known = set(self._names)
        keys = self._client.scan_iter(match="*:*", count=SCAN_COUNT, _type="stream")
        found = {key.decode("utf-8", "replace") for key in keys} - known
        self._names = [*self._names, *sorted(filter(event_tenant, found))]
