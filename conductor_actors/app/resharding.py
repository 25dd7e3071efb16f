"""Change the number of collectors that share the sessions.

The old collectors read once more, up to the same moment, and drain; then the checkpoint of every
session moves to the shard that now owns it.
"""

import time
from contextlib import closing
from threading import Event
from typing import Final

from conductor_actors.actors.supervisor import EXIT_OK
from conductor_actors.adapters.redis.shard_registry import ShardRegistry
from conductor_actors.app.process_group import ProcessGroup
from conductor_actors.app.sharding import collector_workers
from conductor_actors.app.startup import ServerUrls
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import SessionsReshared, emit
from conductor_actors.settings import Settings

LEASE_EXPIRY_TIMEOUT_S: Final = 10.0  # a lease expires after 8
LEASE_POLL_S: Final = 0.25


class Resharding:
    """Reshards the sessions to `count` collectors, all of which are stopped.

    A collector checks the number of shards when it starts. So before a start an `optional`
    resharding may be skipped, which it is while Redis is unavailable.
    """

    def __init__(
        self, settings: Settings, urls: ServerUrls, count: int, *, optional: bool = False
    ) -> None:
        self._settings = settings
        self._urls = urls
        self._count = count
        self._is_optional = optional
        self._stop = Event()
        self._group: ProcessGroup | None = None
        self.is_done = False

    def stop(self) -> None:
        """Request the end: unless the sessions are about to move, they stay where they are."""
        self._stop.set()
        if self._group is not None:
            self._group.stop()

    def run(self) -> int:
        """Reshard, unless the sessions are shared by that number already; return the exit code.

        Raise `Unavailable` if Redis is, and `ConfigError` if collectors still run.
        """
        with closing(ShardRegistry(self._urls.redis)) as registry:
            try:
                old_count = registry.count()
            except Unavailable:
                if self._is_optional:
                    return EXIT_OK
                raise
            if old_count in (None, self._count):
                self.is_done = True
                return EXIT_OK
            return self._reshard(registry, old_count)

    def _reshard(self, registry: ShardRegistry, old_count: int) -> int:
        self._wait_for_expired_leases(registry, old_count)
        began_s = time.monotonic()
        if old_count > 1:
            exit_code = self._read_to_same_moment(registry, old_count)
            if exit_code:
                return exit_code
        if self._stop.is_set():
            return EXIT_OK
        sessions = registry.reshard(old_count, self._count)
        self.is_done = True
        emit(
            SessionsReshared(
                old_shards=old_count,
                new_shards=self._count,
                sessions=sessions,
                duration_s=round(time.monotonic() - began_s, 2),
            )
        )
        return EXIT_OK

    def _wait_for_expired_leases(self, registry: ShardRegistry, old_count: int) -> None:
        """Wait until leases of killed owners have expired; an owner that remains still runs."""
        until_s = time.monotonic() + LEASE_EXPIRY_TIMEOUT_S
        while owners := registry.owners(old_count):
            if time.monotonic() >= until_s:
                raise ConfigError(
                    f"CONDUCTOR_SHARDS: the sessions are shared by {old_count} collectors, which "
                    f"still run ({', '.join(owners.values())}): stop them first, or set "
                    f"CONDUCTOR_SHARDS={old_count}"
                )
            if self._stop.wait(LEASE_POLL_S):
                return

    def _read_to_same_moment(self, registry: ShardRegistry, old_count: int) -> int:
        """Run the old collectors until all have read up to now; return the exit code."""
        registry.require_checkpoints(old_count)
        until_ms = str(registry.now_ms())
        workers = collector_workers(self._settings, self._urls, old_count, "--until-ms", until_ms)
        self._group = ProcessGroup(workers, restart=False)
        if self._stop.is_set():  # `stop` may have been called just before there was a group
            return EXIT_OK
        return self._group.run()
