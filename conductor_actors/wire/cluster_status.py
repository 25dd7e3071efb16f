"""The status of a cluster: the one definition of its JSON, for the coordinator and every reader.

The coordinator stores it every second, in Redis.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

CLUSTER_STATUS_EXPIRES_S: Final = 10
CLUSTER_STATUS_MAX_AGE_S: Final = 5.0  # an older one: the coordinator is away

SplitterState = Literal["starting", "standby", "running", "draining", "ended", "unreachable"]


class ClusterNode(msgspec.Struct, frozen=True):
    """A node of the cluster; `hosts` is how many hosts it has, `leaving` that it is emptied."""

    id: str
    address: str
    cpus: float
    hosts: int
    leaving: bool = False


class ClusterHost(msgspec.Struct, frozen=True):
    """A host: the partitions that it runs, and their figures together.

    `node` is the id of its node, `lag_s` the largest of its partitions, `cpu` the share of a core
    that it used. A host that does not answer has the figures that it had.
    """

    name: str
    node: str
    partitions: Sequence[int]
    sessions: int = 0
    events_per_s: float = 0.0
    lag_s: float | None = None
    cpu: float = 0.0
    memory_bytes: int = 0
    leaving: bool = False


class ClusterSplitter(msgspec.Struct, frozen=True):
    """The splitter, which reads all events and writes them to the partitions."""

    node: str
    state: SplitterState
    lag_s: float | None = None
    events_per_s: float = 0.0


class ClusterMove(msgspec.Struct, frozen=True):
    """A partition that moved from host to host; `source` is empty if its host had died."""

    at_ms: int
    partition: int
    source: str
    target: str
    duration_s: float


class ClusterStatus(msgspec.Struct, frozen=True):
    """The whole status. `partitions` is their number, `without_owner` are those nobody scores."""

    at_ms: int
    partitions: int
    nodes: Sequence[ClusterNode] = ()
    hosts: Sequence[ClusterHost] = ()
    without_owner: Sequence[int] = ()
    splitter: ClusterSplitter | None = None
    moves: Sequence[ClusterMove] = ()

    def age_s(self, now_ms: int) -> float:
        """Return how old the status is; not less than 0, as clocks differ."""
        return max(0, now_ms - self.at_ms) / 1000


_status_decoder: Final = msgspec.json.Decoder(ClusterStatus)


def encode_cluster_status(status: ClusterStatus) -> bytes:
    """Return the status as JSON."""
    return msgspec.json.encode(status)


def decode_cluster_status(body: bytes) -> ClusterStatus | None:
    """Return the status; None if the body is no status that this version can read."""
    try:
        return _status_decoder.decode(body)
    except (ValueError, RecursionError):
        return None
