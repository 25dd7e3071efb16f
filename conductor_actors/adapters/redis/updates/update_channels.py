"""The channels on which updates and anomalies are published."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from conductor_actors.adapters.redis.connections.liveness import Deadlines
from conductor_actors.adapters.redis.events.subscription import Subscriptions, is_message
from conductor_actors.domain import identity
from conductor_actors.ports import ANOMALIES, ANOMALIES_ENDED, UPDATES, PublishedMessage

CHANNEL_NAMES: Final = (UPDATES, ANOMALIES, ANOMALIES_ENDED)
UPDATE_DEADLINES: Final = Deadlines(quiet_s=1.0, pong_within_s=4.0)


def subscriptions_to_all_tenants(*names: str) -> Subscriptions:
    """Return the subscriptions to these names of every tenant."""
    return Subscriptions(names, [f"*:{name}" for name in names])


def subscriptions_to_tenant(tenant: str, *names: str) -> Subscriptions:
    """Return the subscriptions to these names of one tenant."""
    return Subscriptions([identity.prefixed(tenant, name) for name in names])


def published_message(reply: Sequence[Any]) -> PublishedMessage | None:
    """Return the message in a reply; None if it is not a message on one of the channels."""
    channel = _channel(reply[-2]) if is_message(reply) else None
    return None if channel is None else PublishedMessage(*channel, reply[-1])


@lru_cache(4096)
def _channel(raw: bytes) -> tuple[str, str] | None:
    """Split a channel into tenant and name; return None if it is another channel."""
    channel = raw.decode("utf-8", "replace")
    if channel in CHANNEL_NAMES:
        return identity.DEFAULT_TENANT, channel
    name = identity.split(channel)
    return name if name is not None and name[1] in CHANNEL_NAMES else None
