"""The channels on which updates, anomalies, and what conductors do are published."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from conductor_actors.adapters.redis.connections.liveness import Deadlines
from conductor_actors.adapters.redis.events.subscription import Subscriptions, is_message
from conductor_actors.domain import identity
from conductor_actors.ports import (
    ANOMALIES,
    ANOMALIES_ENDED,
    SESSION_EVENTS_BEGIN,
    SESSION_EVENTS_END,
    UPDATES,
    PublishedMessage,
)

CHANNEL_NAMES: Final = (UPDATES, ANOMALIES, ANOMALIES_ENDED)
SESSION_EVENTS_PATTERN: Final = f"{SESSION_EVENTS_BEGIN}*{SESSION_EVENTS_END}"
_SESSION_PATTERN: Final = SESSION_EVENTS_PATTERN.encode()
UPDATE_DEADLINES: Final = Deadlines(quiet_s=1.0, pong_within_s=4.0)


def subscriptions_to_all_tenants(*names: str) -> Subscriptions:
    """Return the subscriptions to these names of every tenant."""
    return Subscriptions(names, [f"*:{name}" for name in names])


def subscriptions_with_session_events(*names: str) -> Subscriptions:
    """Return the same subscriptions, and those to what the conductor does in every session."""
    channels, patterns = subscriptions_to_all_tenants(*names)
    events = (SESSION_EVENTS_PATTERN, f"*:{SESSION_EVENTS_PATTERN}")
    return Subscriptions(channels, [*patterns, *events])


def subscriptions_to_tenant(tenant: str, *names: str) -> Subscriptions:
    """Return the subscriptions to these names of one tenant."""
    return Subscriptions([identity.prefixed(tenant, name) for name in names])


def published_message(reply: Sequence[Any]) -> PublishedMessage | None:
    """Return the message in a reply; None if it is not a message on one of the channels."""
    if not is_message(reply):
        return None
    kind, *pattern, raw, body = reply
    is_session_event = kind == b"pmessage" and pattern[0].endswith(_SESSION_PATTERN)
    channel = _session_channel(raw, pattern[0]) if is_session_event else _channel(raw)
    return None if channel is None else PublishedMessage(*channel, body)


def _session_channel(raw: bytes, pattern: bytes) -> tuple[str, str] | None:
    """Split the channel of a session into tenant and name; return None if it is another channel.

    `session:session:a:events` is one of the default tenant and of the tenant `session`. It matches
    both patterns, and so is received for each.
    """
    channel = raw.decode("utf-8", "replace")
    is_tenants = pattern.endswith(b"*:" + _SESSION_PATTERN)
    name = identity.split(channel) if is_tenants else (identity.DEFAULT_TENANT, channel)
    return name if name is not None and name[1].startswith(SESSION_EVENTS_BEGIN) else None


@lru_cache(4096)
def _channel(raw: bytes) -> tuple[str, str] | None:
    """Split a channel into tenant and name; return None if it is another channel."""
    channel = raw.decode("utf-8", "replace")
    if channel in CHANNEL_NAMES:
        return identity.DEFAULT_TENANT, channel
    name = identity.split(channel)
    return name if name is not None and name[1] in CHANNEL_NAMES else None
