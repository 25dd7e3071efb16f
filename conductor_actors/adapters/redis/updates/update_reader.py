"""Read published updates synchronously, for displays on a terminal."""

from collections.abc import Sequence
from typing import Final

from conductor_actors.adapters.redis.connections.client import REDIS_TIMEOUT_S, open_client
from conductor_actors.adapters.redis.connections.liveness import Deadlines
from conductor_actors.adapters.redis.events.subscription import Subscription, Subscriptions
from conductor_actors.adapters.redis.updates import update_channels
from conductor_actors.adapters.redis.updates.update_channels import UPDATE_DEADLINES
from conductor_actors.domain.identity import EVERY_TENANT
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import UPDATES, PublishedMessage

MAX_UPDATES_PER_READ: Final = 20_000  # those of a tick


class RedisUpdateReader:
    """Reads published updates. Subscribes at the first read, and again after a failure."""

    def __init__(
        self, url: str, timeout_s: float = REDIS_TIMEOUT_S, deadlines: Deadlines = UPDATE_DEADLINES
    ) -> None:
        self._client = open_client(url, timeout_s)
        self._deadlines = deadlines
        self._subscriptions: Subscriptions | None = None
        self._subscription: Subscription | None = None

    def select(self, tenant: str | None, names: Sequence[str] = (UPDATES,)) -> None:
        """Select the tenant of the next reads: one, `EVERY_TENANT`, or none; and the messages."""
        self._unsubscribe()
        if tenant is None:
            self._subscriptions = None
        elif tenant == EVERY_TENANT:
            self._subscriptions = update_channels.subscriptions_to_all_tenants(*names)
        else:
            self._subscriptions = update_channels.subscriptions_to_tenant(tenant, *names)

    def select_all(self, *names: str) -> None:
        """Select these messages of every tenant, and what conductors do in all their sessions."""
        self._unsubscribe()
        self._subscriptions = update_channels.subscriptions_with_session_events(*names)

    def read(self, timeout_s: float = 0) -> Sequence[PublishedMessage]:
        """Return the messages that have arrived; wait for one if there is none.

        Raise `Unavailable` if Redis is away, and `ConfigError` for what the operator must grant.
        """
        if self._subscriptions is None:
            return ()
        try:
            if self._subscription is None:
                self._subscription = Subscription(
                    self._client, self._subscriptions, self._deadlines
                )
            replies = self._subscription.read(timeout_s, MAX_UPDATES_PER_READ)
        except (Unavailable, ConfigError):
            self._unsubscribe()
            raise
        return [
            message for reply in replies if (message := update_channels.published_message(reply))
        ]

    def close(self) -> None:
        """Close every connection."""
        self._unsubscribe()
        self._client.close()

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
