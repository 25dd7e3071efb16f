"""Read published updates on one thread, at the caller's pace: for what is shown on a terminal."""

from collections.abc import Sequence
from typing import Final

from conductor_actors.adapters.redis import update_channels
from conductor_actors.adapters.redis.client import REDIS_TIMEOUT_S, open_client
from conductor_actors.adapters.redis.liveness import Deadlines
from conductor_actors.adapters.redis.subscription import Subscription, Subscriptions
from conductor_actors.domain.identity import EVERY_TENANT
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports import UPDATES, PublishedMessage

DEADLINES: Final = Deadlines(quiet_s=1.0, pong_within_s=4.0)
MOST_AT_ONCE: Final = 20_000  # messages a read: the updates of a tick


class RedisUpdateReader:
    """Subscribe at the first read, and again at the next read after a failure."""

    def __init__(
        self, url: str, deadline_s: float = REDIS_TIMEOUT_S, deadlines: Deadlines = DEADLINES
    ) -> None:
        self._client = open_client(url, deadline_s)
        self._deadlines = deadlines
        self._subscriptions: Subscriptions | None = None
        self._subscription: Subscription | None = None

    def select(self, tenant: str | None) -> None:
        """Read updates of this tenant, or of `EVERY_TENANT`, or none, from the next read on."""
        self._unsubscribe()
        if tenant is None:
            self._subscriptions = None
        elif tenant == EVERY_TENANT:
            self._subscriptions = update_channels.of_all_tenants(UPDATES)
        else:
            self._subscriptions = update_channels.of_tenant(tenant, UPDATES)

    def read(self, timeout_s: float = 0) -> Sequence[PublishedMessage]:
        """Return the updates that are there, waiting for one if there is none.

        Raise `Unavailable` if Redis is away, and `ConfigError` for what the operator must grant.
        """
        if self._subscriptions is None:
            return ()
        try:
            if self._subscription is None:
                self._subscription = Subscription(
                    self._client, self._subscriptions, self._deadlines
                )
            replies = self._subscription.read(timeout_s, MOST_AT_ONCE)
        except (Unavailable, ConfigError):
            self._unsubscribe()
            raise
        return [message for reply in replies if (message := update_channels.published(reply))]

    def close(self) -> None:
        """Close every connection."""
        self._unsubscribe()
        self._client.close()

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
