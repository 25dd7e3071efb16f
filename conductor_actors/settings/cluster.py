"""Settings of partitions, and of the hosts that share them."""

from typing import NamedTuple

from pydantic import BaseModel, Field, model_validator

from conductor_actors.domain.partitions.partition import MAX_PARTITIONS
from conductor_actors.settings.types import CommaSeparated


class HostRules(NamedTuple):
    """How many hosts there may be; `per_node` is 0 for one a CPU, `most` for no autoscaling.

    `cpu` is the share of a core that a host may use before there should be more.
    """

    per_node: int
    least: int
    most: int
    cpu: float


class ClusterSettings(BaseModel):
    """How the sessions are partitioned, where partitions are stored, and how many hosts there are.

    They have no effect on a single collector.
    """

    partitions: int = Field(
        default=64,
        ge=1,
        le=MAX_PARTITIONS,
        description="Number of partitions of the sessions, which hosts share. It is fixed at the "
        "first start.",
    )
    partition_redis_urls: CommaSeparated = Field(
        default=(),
        examples=["redis://10.0.0.1:6379,redis://10.0.0.2:6379"],
        description="URLs of the Redis servers that store the partitions: of n, partition p is on "
        "number p modulo n. A Redis Cluster has one URL. If unset, `REDIS_URL` stores them.",
    )
    partition_database_urls: CommaSeparated = Field(
        default=(),
        examples=["postgresql://db1/conductor,postgresql://db2/conductor"],
        description="URLs of the databases of the partitions' rows: of n, partition p writes to "
        "number p modulo n. If unset, all write to `DATABASE_URL`.",
    )
    hosts_per_node: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="Hosts on each node of the cluster. 0: as many as the node has CPUs.",
    )
    min_hosts: int = Field(
        default=1, ge=1, le=MAX_PARTITIONS, description="Fewest hosts that autoscaling keeps."
    )
    max_hosts: int = Field(
        default=0,
        ge=0,
        le=MAX_PARTITIONS,
        description="Most hosts that autoscaling asks nodes for. 0: no autoscaling.",
    )
    host_cpu: float = Field(
        default=0.6,
        gt=0,
        le=1,
        description="Share of a core that autoscaling lets a host use before it asks for more.",
    )

    @model_validator(mode="after")
    def _check_hosts(self) -> "ClusterSettings":
        if self.max_hosts and self.max_hosts < self.min_hosts:
            raise ValueError(
                "CONDUCTOR_MAX_HOSTS: must not be less than CONDUCTOR_MIN_HOSTS, e.g. "
                f"CONDUCTOR_MAX_HOSTS={self.min_hosts}"
            )
        return self

    def partition_database_url(self, number: int) -> str | None:
        """Return the URL of the database of a partition's rows; None if it is `DATABASE_URL`."""
        urls = self.partition_database_urls
        return urls[number % len(urls)] if urls else None

    def host_rules(self) -> HostRules:
        """Return how many hosts there may be."""
        return HostRules(self.hosts_per_node, self.min_hosts, self.max_hosts, self.host_cpu)
