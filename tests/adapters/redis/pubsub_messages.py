"""The messages that a listener has received, one by one."""

from conductor_actors.adapters.redis.events.pubsub_listener import PubSubListener
from conductor_actors.adapters.redis.events.tenant_buffer import PubSubMessage
from conductor_actors.domain.gaps import Gap


def pop_messages(listener: PubSubListener) -> tuple[list[PubSubMessage], list[Gap]]:
    """Remove and return all messages, those of a tenant in order, and the new gaps."""
    received, gaps = listener.pop_before(float("inf"))
    return [message for each in received for message in each.messages], gaps


def pop_bodies(listener: PubSubListener) -> tuple[list[bytes], list[Gap]]:
    """Remove and return the bodies of all messages, those of a tenant in order, and new gaps."""
    messages, gaps = pop_messages(listener)
    return [body for _, body in messages], gaps
