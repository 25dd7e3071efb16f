"""The collector of one partition; a process runs as many of them as it has partitions."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from threading import Event
from typing import Final, Literal, NamedTuple, TypeAlias

from conductor_actors.actors.supervisor import EXIT_FAILED
from conductor_actors.adapters.redis.ownership.fence_mirror import FenceMirror
from conductor_actors.adapters.redis.ownership.lease import RedisLease
from conductor_actors.adapters.redis.partitions.partition_checkpoints import PartitionCheckpoints
from conductor_actors.adapters.redis.partitions.partition_source import PartitionSource
from conductor_actors.app.collector_run import CollectorRun, Surroundings
from conductor_actors.app.deliveries import serves_all
from conductor_actors.app.lease_wait import MayBreak
from conductor_actors.app.opened_ports import (
    CollectorConfig,
    OwnerPorts,
    Servers,
    SharedTables,
    open_ports,
    open_tables,
)
from conductor_actors.app.partition_urls import partition_redis_urls
from conductor_actors.app.preparation import prepare_servers
from conductor_actors.app.startup import ServerUrls
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.errors import ConfigError
from conductor_actors.log_events import PartitionEnded, PartitionStarted, emit, observed_by
from conductor_actors.log_events.log_event import of_partition
from conductor_actors.observability.collector_progress import CollectorProgress
from conductor_actors.settings import Settings

EXIT_REFUSED: Final = 2  # a setting, a grant or the checkpoint prevents the start

PartitionState: TypeAlias = Literal[
    "starting", "standby", "running", "stalled", "draining", "ended"
]

# The splitter applies the limits of tenants, because it has all events of each.
_SPLITTER_LIMITS: Final = {
    "tenant_events_per_s": 0.0,
    "tenant_sessions": 0,
    "session_events_per_s": 0.0,
}


class PartitionStatus(NamedTuple):
    """What a partition's collector does. `entries` are those read since it started."""

    number: int
    state: PartitionState
    sessions: int
    entries: int
    lag_s: float | None
    obstacles: Sequence[str]
    exit_code: int | None


class HostServices:
    """What the partitions of a process share: settings, servers, and seldom used connections."""

    def __init__(self, settings: Settings, urls: ServerUrls) -> None:
        self.settings = settings
        self._urls = urls
        self._tables: dict[str, SharedTables] = {}
        self._lock = threading.Lock()
        self._cleanup = ExitStack()

    def prepare(self, stop: Event) -> None:
        """Wait for the servers, migrate the databases and check the grants; see `prepare_servers`.

        The partitions' own Redis is waited for by each partition.
        """
        for url in self.settings.partition_database_urls or (self._urls.database,):
            prepare_servers(self.settings, self._urls.redis, url, stop)

    def servers_of(self, partition: Partition) -> Servers:
        """Return the URLs of a partition's servers."""
        redis, database = self._urls
        owned = partition_redis_urls(self.settings, redis)
        rows = self.settings.partition_database_url(partition.number)
        return Servers(redis, owned[partition.number % len(owned)], rows or database)

    def tables_of(self, partition: Partition) -> SharedTables:
        """Return the shared tables in a partition's database."""
        url = self.servers_of(partition).database
        with self._lock:
            if url not in self._tables:
                self._tables[url] = open_tables(self.settings, url, self._cleanup.callback)
            return self._tables[url]

    def close(self) -> None:
        """Close every shared connection; no partition may run any more."""
        self._cleanup.close()


class PartitionCollector:
    """Runs on threads of its own, from `start` until it was stopped, failed, or lost the lease.

    It takes the lease as `owner`, and at once if `may_break` says that the one who has it is dead.
    """

    def __init__(
        self, services: HostServices, partition: Partition, owner: str, may_break: MayBreak
    ) -> None:
        self._services = services
        self._settings = _settings_of(services.settings, partition)
        self._partition = partition
        self._owner = owner
        self._may_break = may_break
        self._progress = CollectorProgress()
        self._stop = Event()
        self._run: CollectorRun | None = None
        self._exit_code: int | None = None
        self._obstacles: Sequence[str] = ()
        self._thread = threading.Thread(
            target=self._collect, name=f"partition-{partition.number}", daemon=True
        )

    def start(self) -> None:
        """Start; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Request a drain: rows are written, a checkpoint is committed, the lease is released."""
        self._stop.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end; return whether it has come."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def status(self) -> PartitionStatus:
        """Return the status of this moment."""
        progress = self._progress.status()
        state: PartitionState = "starting" if progress.state == "elsewhere" else progress.state
        return PartitionStatus(
            self._partition.number,
            state if self._exit_code is None else "ended",
            0 if self._run is None else self._run.sessions(),
            self._progress.entries,
            progress.lag_s,
            self._obstacles or progress.obstacles,
            self._exit_code,
        )

    def _collect(self) -> None:
        exit_code = EXIT_FAILED  # unless it is known better
        try:
            with of_partition(str(self._partition)):
                exit_code = self._collect_as_partition()
        finally:
            self._exit_code = exit_code

    def _collect_as_partition(self) -> int:
        exit_code = EXIT_FAILED
        try:
            with (
                observed_by(self._progress.observe, str(self._partition)),
                ExitStack() as cleanup,
            ):
                exit_code = self._run_collector(cleanup)
        except ConfigError as error:
            exit_code, self._obstacles = EXIT_REFUSED, (str(error),)
        emit(PartitionEnded(exit_code=exit_code, reason="; ".join(self._obstacles)))
        return exit_code

    def _run_collector(self, cleanup: ExitStack) -> int:
        servers = self._services.servers_of(self._partition)
        lease = _open_lease(servers, self._partition, self._owner)
        cleanup.callback(lease.close)
        ownership = OwnerPorts(
            PartitionSource(servers.owned_redis, self._partition),
            PartitionCheckpoints(servers.owned_redis, lease.fence, self._partition),
            lease,
            lease.fence,
        )
        tables = self._services.tables_of(self._partition)
        config = CollectorConfig(self._settings, servers, self._partition)
        ports = open_ports(config, ownership, self._progress, cleanup, tables)
        surroundings = Surroundings(started=lambda: emit(PartitionStarted()))
        self._run = CollectorRun(config, lease, self._progress, self._stop, surroundings)
        return self._run.run(ports, self._may_break)


def _open_lease(servers: Servers, partition: Partition, owner: str) -> RedisLease:
    is_alone = servers.owned_redis == servers.redis
    mirror = None if is_alone else FenceMirror(servers.redis, partition)
    return RedisLease(servers.owned_redis, partition, owner, mirror)


def _settings_of(settings: Settings, partition: Partition) -> Settings:
    """Return the settings of a partition's collector: what is done once is done by the first."""
    changed: dict[str, object] = {**_SPLITTER_LIMITS}
    if not serves_all(settings, partition):
        changed["retention_days"] = 0.0
    return settings.model_copy(update=changed)
