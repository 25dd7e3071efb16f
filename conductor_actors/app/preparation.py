"""What must be true before events are read: both servers answer, and grant what is needed."""

from contextlib import closing
from threading import Event

from conductor_actors.adapters.postgres import migrations
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.adapters.redis.updates.update_publisher import RedisUpdatePublisher
from conductor_actors.app.collector import DATABASE_MAX_BACKOFF_S
from conductor_actors.app.deliveries import has_webhook
from conductor_actors.app.lease_wait import REDIS_MAX_BACKOFF_S
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.outages import Outage, retry_until
from conductor_actors.settings import Settings


def prepare_servers(settings: Settings, redis_url: str, database_url: str, stop: Event) -> None:
    """Wait for both servers, migrate the database, and check the grants.

    Raise `ConfigError` if a grant is missing, and `Unavailable` once stopped.
    """
    database = Outage("database")
    retry_until(stop, database, DATABASE_MAX_BACKOFF_S, lambda: migrations.migrate(database_url))
    retry_until(
        stop, database, DATABASE_MAX_BACKOFF_S, lambda: _require_tables(settings, database_url)
    )
    retry_until(stop, Outage("redis"), REDIS_MAX_BACKOFF_S, lambda: _require_publishing(redis_url))


def _require_tables(settings: Settings, database_url: str) -> None:
    """Raise `ConfigError` now, not at the first row, if a grant is missing."""
    store = PostgresRowStore(database_url, has_webhook=has_webhook(settings))
    connected, *others = store.check_access()
    if not connected.ok:  # the migration has just succeeded
        raise Unavailable(connected.line)
    obstacles = [finding.line for finding in others if not finding.ok]
    if obstacles:
        raise ConfigError(f"DATABASE_URL: {'; '.join(obstacles)}")


def _require_publishing(redis_url: str) -> None:
    """Raise `ConfigError` now, not at the first update, if a grant is missing."""
    with closing(RedisUpdatePublisher(redis_url, Fence())) as publisher:
        publisher.require_access()
