"""Open the adapters of a collector and connect them to its ports."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

from conductor_actors.actors.title_writer import TitleSinks
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.postgres.session_catalog import PostgresSessionCatalog
from conductor_actors.adapters.postgres.titles_table import PostgresTitleTable
from conductor_actors.adapters.redis.dead_letter_stream import RedisDeadLetterQueue
from conductor_actors.adapters.redis.interventions.action_sender import RedisActionSender
from conductor_actors.adapters.redis.interventions.policy_store import RedisPolicyStore
from conductor_actors.adapters.redis.introspection_channel import RedisIntrospectionChannel
from conductor_actors.adapters.redis.outbox import RedisOutbox, RedisTitleOutbox
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.adapters.redis.updates.update_publisher import RedisUpdatePublisher
from conductor_actors.app.collector_ports import Ports
from conductor_actors.app.deliveries import has_webhook, open_deliveries
from conductor_actors.app.monitored_ports import (
    MonitoredCheckpoints,
    MonitoredPublisher,
    MonitoredSource,
)
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.observability.collector_progress import CollectorProgress
from conductor_actors.ports import CheckpointStore, EventSource, Lease
from conductor_actors.settings import Settings


class Servers(NamedTuple):
    """The URLs of what a collector uses. `owned_redis` has what only the owner may change."""

    redis: str
    owned_redis: str
    database: str


class CollectorConfig(NamedTuple):
    """How a collector is configured: one of all sessions, or of a partition."""

    settings: Settings
    servers: Servers
    partition: Partition | None = None


class SharedTables(NamedTuple):
    """Tables that are written seldom: the collectors of a process share a connection to each."""

    catalog: PostgresSessionCatalog
    titles: PostgresTitleTable


class OwnerPorts(NamedTuple):
    """The ports that make one process the owner of sessions, and say where it continues."""

    source: EventSource
    checkpoints: CheckpointStore
    lease: Lease
    fence: Fence  # of what is written to `redis`


def open_tables(
    settings: Settings, database_url: str, on_close: Callable[[Callable[[], None]], object]
) -> SharedTables:
    """Return the tables that collectors share; `on_close` receives what closes them."""
    tables = SharedTables(
        PostgresSessionCatalog(database_url, has_webhook=has_webhook(settings)),
        PostgresTitleTable(database_url),
    )
    for table in tables:
        on_close(table.close)
    return tables


def open_ports(
    config: CollectorConfig,
    ownership: OwnerPorts,
    progress: CollectorProgress,
    to_close: ExitStack,
    tables: SharedTables | None = None,
) -> Ports:
    """Return the ports of a collector; without `tables`, it has its own."""
    settings, servers, partition = config
    url, fence = servers.redis, ownership.fence
    publisher = RedisUpdatePublisher(url, fence, settings.agent_mode)
    catalog, titles = tables or open_tables(settings, servers.database, to_close.callback)
    opened = (
        PostgresRowStore(servers.database, has_webhook=has_webhook(settings)),
        RedisDeadLetterQueue(url, fence),
        PostgresRowStore(servers.database),
        RedisOutbox(servers.owned_redis, partition),
        RedisIntrospectionChannel(url),
        RedisActionSender(url, fence),
        RedisPolicyStore(url, fence),
        RedisTitleOutbox(servers.owned_redis, partition),
    )
    store, dead_letters, old_rows, outbox, channel, actions, policies, title_outbox = opened
    for port in (ownership.source, ownership.checkpoints, publisher, *opened):
        to_close.callback(port.close)
    return Ports(
        MonitoredSource(ownership.source, progress),
        store,
        MonitoredPublisher(publisher, progress),
        dead_letters,
        old_rows,
        ownership.lease,
        outbox,
        MonitoredCheckpoints(ownership.checkpoints, progress),
        channel,
        actions,
        policies,
        catalog,
        TitleSinks(titles, title_outbox),
        open_deliveries(settings, servers.database, to_close, partition),
    )
