"""Whether every shard has an owner: for a dashboard beside them that is asked for readiness."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from threading import Event, Thread
from typing import Final

from conductor_actors.adapters.redis.shard_registry import ShardRegistry
from conductor_actors.dashboard.health import Elsewhere
from conductor_actors.domain.shards import Shard, all_shards
from conductor_actors.errors import ConfigError, Unavailable

LOOK_EVERY_S: Final = 1.0


class ShardOwners(Elsewhere):
    """The collectors that share the sessions. A lease says that its owner lives."""

    def __init__(self, count: int) -> None:
        self._without: Sequence[Shard] = all_shards(count)

    def state(self) -> str:
        """Return their state in a word."""
        return "stalled" if self._without else "running"

    def obstacles(self) -> Sequence[str]:
        """Return the shards that have no owner."""
        return [f"collector: nobody has shard {shard}" for shard in self._without]

    @contextmanager
    def looking(self, url: str) -> Iterator[None]:
        """Check once a second until the block ends; while Redis is away the last result stays."""
        stop = Event()
        thread = Thread(target=self._look, args=(url, stop), name="shard-owners", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(LOOK_EVERY_S)

    def _look(self, url: str, stop: Event) -> None:
        every = self._without
        with closing(ShardRegistry(url)) as redis:
            while not stop.is_set():
                with suppress(Unavailable, ConfigError):  # who hears the updates tells of it
                    owners = redis.owners(len(every))
                    self._without = [shard for shard in every if shard not in owners]
                stop.wait(LOOK_EVERY_S)
