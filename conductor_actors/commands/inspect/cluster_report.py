"""What the report has of the hosts that share the sessions, by the leases of their partitions."""

from collections.abc import Sequence

import msgspec

from conductor_actors.observability.collector_status import CollectorStatus


class ClusterReport(msgspec.Struct, frozen=True):
    """The hosts and their partitions. What only the coordinator knows is None while it is away.

    `lag_s` is the longest of all partitions and of the splitter, `obstacles` why some are not
    scored.
    """

    nodes: int | None
    hosts: int | None
    partitions: int
    without_owner: Sequence[int]
    lag_s: float | None
    obstacles: Sequence[str]


def cluster_report(status: CollectorStatus) -> ClusterReport | None:
    """Return the report on a cluster; None if one collector has all sessions."""
    cluster = status.cluster
    if cluster is None:
        return None
    return ClusterReport(
        cluster.nodes,
        cluster.hosts,
        cluster.partitions,
        cluster.without_owner,
        status.lag_s,
        status.obstacles,
    )
