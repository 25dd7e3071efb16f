"""A cluster of Ray nodes with real servers, used as an operator does: through the command line."""

from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, time
from typing import Final

import redis

from conductor_actors.adapters.redis.key_names import CLUSTER_KEY
from conductor_actors.domain.partitions.partition import partition_of
from conductor_actors.simulate import bulk
from conductor_actors.wire.cluster_status import (
    CLUSTER_STATUS_MAX_AGE_S,
    ClusterStatus,
    decode_cluster_status,
)
from tests.cluster.nodes.network_namespace import missing_for_namespaces, network_namespace
from tests.cluster.nodes.ray_nodes import (
    RAY_SETTINGS,
    RayNode,
    head_node,
    node_address,
    worker_node,
)
from tests.faults.oracle import difference
from tests.faults.report import Report
from tests.faults.samples import Samples, Update, updates
from tests.faults.traffic import Sent, sending_events
from tests.support.processes import ROOT
from tests.support.programs import (
    QUICK,
    Completed,
    Row,
    replay_rows,
    rows_until,
    run_to_end,
    select_rows,
)
from tests.support.servers import server_pair
from tests.support.valkey_servers import valkey_server
from tests.support.waiting import becomes_true, wait_until

PARTITIONS: Final = 16  # 64 keep the limits, too, but not beside other tests on two cores
SESSIONS: Final = 64
EVENTS_PER_S: Final = 600
MAX_NODES: Final = 4  # beside the head
TENANT: Final = "default"
COMMAND_WITHIN_S: Final = 60.0
SETTLED_WITHIN_S: Final = 40.0

SETTINGS: Final = QUICK | {
    "CONDUCTOR_PARTITIONS": f"{PARTITIONS}",
    "CONDUCTOR_CHECKPOINT_S": "2",
    "CONDUCTOR_HOSTS_PER_NODE": "1",
    "CONDUCTOR_SESSION_TIMEOUT_S": "600",
    "CONDUCTOR_PRESENCE_TIMEOUT_S": "600",
}


def now_ms() -> int:
    """Return the time of this machine."""
    return int(time() * 1000)


class SteadyLoad:
    """The same events each time, in turn for every session."""

    def __init__(self, events_per_s: float = EVENTS_PER_S, sessions: int = SESSIONS) -> None:
        self._events = bulk(10_000_000, sessions)
        self._events_per_s = events_per_s
        self._due = 0.0

    def step(self, dt_s: float) -> list[Sent]:
        self._due += dt_s * self._events_per_s
        found = list(islice(self._events, int(self._due)))
        self._due -= len(found)
        return found


def sessions_of(partitions: Container[int]) -> set[str]:
    """Return the sessions of the load that are in some partitions."""
    names = (f"bulk-{number}" for number in range(SESSIONS))
    return {name for name in names if partition_of(TENANT, name, PARTITIONS) in partitions}


class ClusterTestbed:
    """A head, nodes, a Redis and a database; the program is started by `cluster up`."""

    def __init__(
        self, folder: Path, urls: dict[str, str], head: RayNode, gcs_storage: redis.Redis
    ) -> None:
        self.folder = folder
        self.settings: dict[str, str] = SETTINGS | urls
        self.redis_url, self.database_url = urls["REDIS_URL"], urls["DATABASE_URL"]
        self.client = redis.Redis.from_url(self.redis_url)
        self.head = head
        self._gcs_storage = gcs_storage
        self.nodes = {
            number: worker_node(folder, number, cpus=1) for number in range(2, MAX_NODES + 2)
        }

    def start(self, *numbers: int) -> None:
        """Start the head, if it does not run, and nodes."""
        if not self.head.is_running:
            self.head.start()
            self.head.wait_until_started()
        stopped = [self.nodes[number] for number in numbers if not self.nodes[number].is_running]
        for node in stopped:
            node.start()
        for node in stopped:
            node.wait_until_started()

    def lose_head(self) -> None:
        """Kill the head, and delete what it would know when it starts again."""
        self.head.kill()
        self._gcs_storage.flushall()

    def close(self) -> None:
        """Kill all nodes."""
        for node in (*self.nodes.values(), self.head):
            node.kill()
        self.client.close()

    def command(self, *arguments: str, **settings: str) -> Completed:
        """Run `cluster` with these arguments to its end."""
        return run_to_end(
            *("cluster", *arguments),
            cwd=self.folder,
            **RAY_SETTINGS | self._program_settings() | settings,
        )

    def succeed(self, *arguments: str, **settings: str) -> float:
        """Run `cluster`, which must succeed; return how long it took."""
        began_s = monotonic()
        ended = self.command(*arguments, **settings)
        assert ended.exit_code == 0, f"cluster {' '.join(arguments)}: {ended}"
        return monotonic() - began_s

    def status(self) -> ClusterStatus:
        """Return the stored status, which `cluster status` shows; empty if there is none."""
        body = self.client.get(CLUSTER_KEY)
        found = decode_cluster_status(body) if isinstance(body, bytes) else None
        return found or ClusterStatus(at_ms=0, partitions=PARTITIONS)

    def kill_actor(self, name: str, most: int = MAX_NODES) -> int:
        """Kill processes of a Ray actor's class; return how many were killed."""
        nodes = (self.head, *self.nodes.values())
        found = [process for node in nodes for process in node.processes_named(f"ray::{name}")]
        for process in found[:most]:
            process.kill()
        return len(found[:most])

    def fences(self) -> list[int]:
        """Return how often each partition has had a new owner."""
        keys = [f"conductor:fence:{{{number}}}" for number in range(PARTITIONS)]
        return [int(value or 0) for value in self.client.mget(keys)]

    def owned(self) -> list[bool]:
        """Return of each partition whether somebody has it."""
        keys = [f"conductor:owner:{{{number}}}" for number in range(PARTITIONS)]
        return [value is not None for value in self.client.mget(keys)]

    def partitions_on(self, number: int, status: ClusterStatus | None = None) -> set[int]:
        """Return the partitions that the hosts of a node have."""
        status = status or self.status()
        ids = {each.id for each in status.nodes if each.address == node_address(number)}
        hosts = [host for host in status.hosts if host.node in ids]
        return {partition for host in hosts for partition in host.partitions}

    def splitter_node(self) -> int:
        """Return the number of the node that has the splitter; 0 if none has."""
        status = self.status()
        node = status.splitter.node if status.splitter else ""
        addresses = {each.address for each in status.nodes if each.id == node}
        return next((n for n in self.nodes if node_address(n) in addresses), 0)

    def is_balanced(self, *numbers: int) -> bool:
        """Return whether these nodes, and no others, have all partitions in equal shares."""
        status = self.status()
        shares = [len(self.partitions_on(number, status)) for number in numbers]
        return sum(shares) == PARTITIONS and max(shares) - min(shares) <= 1

    def ensure(self, *numbers: int) -> None:
        """Bring it into the state in which these nodes run, and share all partitions equally.

        If there is a coordinator, it does that by itself.
        """
        for number in self.nodes.keys() - set(numbers):
            self.nodes[number].kill()
        self.start(*numbers)
        if self.status().at_ms < now_ms() - CLUSTER_STATUS_MAX_AGE_S * 1000:
            self.succeed("up")
        self.wait_until_balanced(*numbers)

    def wait_until_balanced(self, *numbers: int) -> None:
        wait_until(lambda: self.is_balanced(*numbers), COMMAND_WITHIN_S)

    @contextmanager
    def load(self) -> Iterator[Samples[Update]]:
        """Send events, and record updates, until the block ends; it begins when all are live."""
        with updates(self.redis_url) as samples, sending_events(self.redis_url, SteadyLoad()):
            wait_until(lambda: self._live_sessions(samples) == SESSIONS, SETTLED_WITHIN_S)
            yield samples

    def settle(self, report: Report, since_ms: int) -> None:
        """Compare the rows of ticks after a moment with those of a replay; traffic has ended."""
        since = datetime.fromtimestamp(since_ms / 1000, UTC).isoformat()
        expected = replay_rows(self.redis_url, self.folder, **self._program_settings())
        last = expected[-1][0]
        expected = [row for row in expected if row[0] >= since]

        def stored() -> list[Row]:
            return [
                row for row in rows_until(last, select_rows(self.database_url)) if row[0] >= since
            ]

        becomes_true(lambda: len(stored()) >= len(expected), SETTLED_WITHIN_S)
        found = difference(expected, stored())
        report.record(**dict(zip(found._fields[:5], found[:5], strict=True)))
        report.require(len(expected) > 0, "no rows")
        report.require(found.is_none, f"rows: {found.first}")

    def _program_settings(self) -> dict[str, str]:
        # A path of its own, so that it is started cold: in this network, and with Ray.
        return self.settings | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}

    def _live_sessions(self, samples: Samples[Update]) -> int:
        since_s = monotonic() - 2
        return len({update.session_id for update in samples.between(since_s, monotonic())})


@contextmanager
def new_cluster(make_head: Callable[[Path, str], RayNode] = head_node) -> Iterator[ClusterTestbed]:
    """Make a network with servers, in which nodes can be started, until the block ends."""
    addresses = [node_address(number) for number in range(1, MAX_NODES + 2)]
    with (
        TemporaryDirectory() as folder,
        network_namespace(addresses),
        server_pair() as servers,
        valkey_server() as gcs_storage,
        ExitStack() as stack,
    ):
        servers.start("redis")
        servers.start("database")
        head = make_head(Path(folder), f"127.0.0.1:{gcs_storage.port}")
        testbed = ClusterTestbed(Path(folder), servers.urls, head, gcs_storage.client)
        stack.callback(testbed.close)
        yield testbed


def missing_for_cluster() -> str | None:
    """Return what this machine lacks for a cluster; None if nothing."""
    if find_spec("ray") is None:
        return "Ray: pip install 'conductor-actors[cluster]'"
    return missing_for_namespaces()
