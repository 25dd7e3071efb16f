"""Whether every shard has an owner, for the readiness of a dashboard that runs beside them."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from threading import Event, Thread
from typing import Final

from conductor_actors.adapters.redis.shard_registry import ShardRegistry
from conductor_actors.domain.shards import Shard, all_shards
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.observability.collector_status import CollectorStatus

OWNERS_POLL_S: Final = 1.0


class ShardOwners:
    """The collectors that share the sessions, as far as their leases show that they live."""

    def __init__(self, count: int) -> None:
        self._without_owner: Sequence[Shard] = all_shards(count)

    def status(self) -> CollectorStatus:
        """Return the status of all of them together."""
        obstacles = [f"collector: nobody has shard {shard}" for shard in self._without_owner]
        return CollectorStatus("stalled" if obstacles else "running", obstacles)

    @contextmanager
    def poll(self, url: str) -> Iterator[None]:
        """Read the owners every second until the block ends.

        While Redis is away the last result stands.
        """
        stop = Event()
        thread = Thread(target=self._poll, args=(url, stop), name="shard-owners", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(OWNERS_POLL_S)

    def _poll(self, url: str, stop: Event) -> None:
        shards = self._without_owner  # all of them before the first result
        with closing(ShardRegistry(url)) as registry:
            while not stop.is_set():
                with suppress(Unavailable, ConfigError):  # the dashboard reports the outage
                    owners = registry.owners(len(shards))
                    self._without_owner = [shard for shard in shards if shard not in owners]
                stop.wait(OWNERS_POLL_S)
