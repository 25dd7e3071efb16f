"""The channels on which updates and anomalies are published, and what a message there says."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from conductor_actors.adapters.redis.subscription import Subscriptions, is_message
from conductor_actors.domain import identity
from conductor_actors.ports import ANOMALIES, UPDATES, PublishedMessage

NAMES: Final = (UPDATES, ANOMALIES)


def of_all_tenants(*names: str) -> Subscriptions:
    """Return the subscriptions to these names, of the default tenant and of all others."""
    return Subscriptions(names, [f"*:{name}" for name in names])


def of_tenant(tenant: str, name: str) -> Subscriptions:
    """Return the subscription to one name of one tenant."""
    return Subscriptions([identity.prefixed(tenant, name)])


def published(reply: Sequence[Any]) -> PublishedMessage | None:
    """Return the message in a reply, or None if it is none of a tenant's."""
    channel = _channel(reply[-2]) if is_message(reply) else None
    return None if channel is None else PublishedMessage(*channel, reply[-1])


@lru_cache(4096)
def _channel(raw: bytes) -> tuple[str, str] | None:
    """Split a channel into tenant and name."""
    channel = raw.decode("utf-8", "replace")
    if channel in NAMES:
        return identity.DEFAULT_TENANT, channel
    name = identity.split(channel)
    return name if name is not None and name[1] in NAMES else None
