"""What must be true before a cluster is created: servers, grants and partitions."""

from threading import Event

from conductor_actors.adapters.redis.partitions.partition_count import fix_partition_count
from conductor_actors.app.adoption import adopt_checkpoint
from conductor_actors.app.lease_wait import REDIS_MAX_BACKOFF_S
from conductor_actors.app.partition_collector import HostServices
from conductor_actors.app.startup import ServerUrls
from conductor_actors.outages import Outage, retry_until
from conductor_actors.settings import Settings


def prepare_cluster(settings: Settings, urls: ServerUrls, stop: Event) -> None:
    """Wait for the servers, migrate the databases, and fix the number of partitions.

    If a single collector had the sessions, they are shared out among the partitions.

    Raise `ConfigError` for what the operator must change, and `Unavailable` once stopped.
    """
    services = HostServices(settings, urls)
    try:
        services.prepare(stop)
    finally:
        services.close()
    redis = Outage("redis")
    for step in (
        lambda: fix_partition_count(urls.redis, settings.partitions),
        lambda: adopt_checkpoint(settings, urls.redis),
    ):
        retry_until(stop, redis, REDIS_MAX_BACKOFF_S, step)
