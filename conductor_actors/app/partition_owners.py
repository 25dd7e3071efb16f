"""Whether every partition has an owner, for a dashboard that runs beside them: by their leases."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from threading import Event, Thread
from typing import Final, NamedTuple

from conductor_actors.adapters.redis.cluster_status_store import RedisClusterStatus
from conductor_actors.adapters.redis.partitions.lease_owners import LeaseOwners
from conductor_actors.app.partition_urls import partition_redis_urls
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.observability.collector_status import ClusterHealth, CollectorStatus
from conductor_actors.settings import Settings
from conductor_actors.wire.cluster_status import CLUSTER_STATUS_MAX_AGE_S, ClusterStatus

OWNERS_POLL_S: Final = 1.0
REFUSED_POLL_S: Final = 30.0  # by a user without the grants
MAX_NAMED_PARTITIONS: Final = 5  # in an obstacle


class _Known(NamedTuple):
    """What was read last: of each partition whether it has an owner, None if that is unknown.

    `status` is None while no coordinator stores one.
    """

    owned: Mapping[int, bool | None]
    is_split: bool
    status: ClusterStatus | None


class PartitionOwners:
    """Those that share the sessions, as far as their leases show that they live.

    As long as one collector has all sessions, nothing is known of it: its own process reports it.
    """

    def __init__(self, settings: Settings, redis_url: str) -> None:
        self._redis_url = redis_url
        self._partition_urls = partition_redis_urls(settings, redis_url)
        self._placed_by = settings.partitions if settings.partition_database_urls else None
        self._known: _Known | None = None

    def status(self) -> CollectorStatus:
        """Return the status of all of them together."""
        known = self._known
        if known is None:
            return CollectorStatus()
        obstacles = [*_obstacles(known), *self._misplacement(len(known.owned))]
        lags_s = _lags_s(known.status)
        return CollectorStatus(
            "stalled" if obstacles else "running",
            obstacles,
            max(lags_s, default=None),
            cluster=_health(known),
        )

    def read(self) -> None:
        """Read the owners once."""
        with self._opened() as read, suppress(Unavailable, ConfigError):
            self._known = read()

    @contextmanager
    def polled(self) -> Iterator[None]:
        """Read the owners every second until the block ends; in an outage the last ones stand."""
        stop = Event()
        thread = Thread(target=self._poll, args=(stop,), name="partition-owners", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(OWNERS_POLL_S)

    def _misplacement(self, count: int) -> Iterator[str]:
        """Return why the dashboard would read sessions from other databases than they are in."""
        if self._placed_by not in (None, count):
            yield (
                f"CONDUCTOR_PARTITIONS={self._placed_by}: the sessions are in {count} partitions; "
                f"set CONDUCTOR_PARTITIONS={count}"
            )

    def _poll(self, stop: Event) -> None:
        with self._opened() as read:
            wait_s = 0.0
            while not stop.wait(wait_s):
                wait_s = OWNERS_POLL_S
                try:
                    self._known = read()
                except Unavailable:  # others report the outage
                    pass
                except ConfigError:
                    wait_s = REFUSED_POLL_S

    @contextmanager
    def _opened(self) -> Iterator[Callable[[], _Known | None]]:
        with (
            closing(LeaseOwners(self._redis_url, self._partition_urls)) as owners,
            closing(RedisClusterStatus(self._redis_url)) as statuses,
        ):
            yield lambda: _read(owners, statuses)


def _read(owners: LeaseOwners, statuses: RedisClusterStatus) -> _Known | None:
    found = owners.read()
    if found is None:
        return None
    status = statuses.read()
    if status is not None and status.age_s(found.now_ms) > CLUSTER_STATUS_MAX_AGE_S:
        status = None
    return _Known(found.partitions, found.is_split, status)


def _obstacles(known: _Known) -> Sequence[str]:
    obstacles = []
    if missing := _where(known, owned=False):
        obstacles.append(f"collector: nobody has partition {_named(missing)}")
    if unknown := _where(known, owned=None):
        obstacles.append(f"redis: the servers of partition {_named(unknown)} do not answer")
    if not known.is_split:
        obstacles.append("collector: nobody splits the events into partitions")
    return obstacles


def _where(known: _Known, *, owned: bool | None) -> list[int]:
    return [number for number, has_owner in known.owned.items() if has_owner is owned]


def _named(numbers: Sequence[int]) -> str:
    """Return numbers as text; of many, the first and how many others there are."""
    texts = [str(number) for number in numbers]
    if len(texts) > MAX_NAMED_PARTITIONS:
        others = len(texts) - MAX_NAMED_PARTITIONS + 1
        texts = [*texts[: MAX_NAMED_PARTITIONS - 1], f"{others} others"]
    *first, last = texts
    return f"{', '.join(first)} and {last}" if first else last


def _lags_s(status: ClusterStatus | None) -> Sequence[float]:
    if status is None:
        return ()
    return [
        each.lag_s
        for each in (*status.hosts, status.splitter)
        if each is not None and each.lag_s is not None
    ]


def _health(known: _Known) -> ClusterHealth:
    status = known.status
    return ClusterHealth(
        nodes=None if status is None else len(status.nodes),
        hosts=None if status is None else len(status.hosts),
        partitions=len(known.owned),
        without_owner=_where(known, owned=False),
        sessions=None if status is None else sum(host.sessions for host in status.hosts),
    )
