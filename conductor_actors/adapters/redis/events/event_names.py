"""The Redis names to read events from: bare, and with the prefix of each tenant."""

import time
from collections.abc import Sequence
from typing import Final

import redis

from conductor_actors.adapters.redis.connections.namespaces import prefix_of
from conductor_actors.adapters.redis.events.ignored_tenants import IgnoredTenants
from conductor_actors.domain.events import DECODERS, EVENT_CHANNELS, EVENT_STREAMS, OWN_NAMES
from conductor_actors.domain.identity import (
    DEFAULT_TENANT,
    EVERY_TENANT,
    prefixed,
    split,
)
from conductor_actors.ports import Clock

TENANT_SCAN_S: Final = 10.0
KEYS_PER_SCAN: Final = 1000


def event_tenant(name: str) -> str | None:
    """Return the tenant whose events come under a Redis name; None if no events do."""
    parts = split(name)
    return parts[0] if parts is not None and parts[1] in DECODERS else None


class EventNames:
    """The names to read. The tenant `*` discovers tenants by their streams, every 10 s."""

    def __init__(
        self, client: redis.Redis, tenants: Sequence[str], clock: Clock = time.monotonic
    ) -> None:
        self._client = client
        self._prefix = prefix_of(client)
        self._clock = clock
        self._discovers_tenants = EVERY_TENANT in tenants
        self._scanned_s = float("-inf")
        self.ignored_tenants = IgnoredTenants()
        self._named = (DEFAULT_TENANT, *(each for each in tenants if each != EVERY_TENANT))
        self._names = [prefixed(tenant, name) for tenant in self._named for name in EVENT_STREAMS]

    def current(self) -> Sequence[str]:
        """Return the streams known now, in a stable order; new ones come at the end."""
        if self._discovers_tenants and self._clock() - self._scanned_s >= TENANT_SCAN_S:
            self._scan()
            self._scanned_s = self._clock()
        return self._names

    def own(self) -> Sequence[str]:
        """Return those of the current streams that only this service writes."""
        return [name for name in self.current() if name.endswith(OWN_NAMES)]

    def channels(self) -> Sequence[str]:
        """Return the channels to subscribe to by name: those that no pattern matches."""
        if self._discovers_tenants:
            return EVENT_CHANNELS
        return [prefixed(tenant, name) for tenant in self._named for name in EVENT_CHANNELS]

    def channel_patterns(self) -> Sequence[str]:
        """Return the patterns that match the names of every tenant; none if tenants are named."""
        return [f"*:{name}" for name in EVENT_CHANNELS] if self._discovers_tenants else []

    def _scan(self) -> None:
        known = set(self._names)
        match = f"{self._prefix}*:*"
        keys = self._client.scan_iter(match=match, count=KEYS_PER_SCAN, _type="stream")
        decoded = (key.decode("utf-8", "replace") for key in keys)
        found = sorted({name.removeprefix(self._prefix) for name in decoded} - known)
        streams = dict.fromkeys(self._names)
        for name in found:
            tenant = event_tenant(name)
            if tenant is None:
                self.ignored_tenants.report(name)
            else:  # what is first written to its own streams must not wait for a scan
                streams |= dict.fromkeys((name, *(prefixed(tenant, own) for own in OWN_NAMES)))
        self._names = [*streams]
