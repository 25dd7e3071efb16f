"""Where partitions are stored: in the Redis of the events, or in servers of their own."""

from collections.abc import Sequence

from conductor_actors.adapters.redis.connections.namespaces import with_namespace
from conductor_actors.settings import Settings


def partition_redis_urls(settings: Settings, redis_url: str) -> Sequence[str]:
    """Return the URLs of the Redis servers: of n, partition p is on number p modulo n.

    They have the namespace of the service, as `redis_url` has, which is the only one by default.
    """
    own = [with_namespace(url, settings.namespace) for url in settings.partition_redis_urls]
    return own or [redis_url]
