"""Names of actors in the cluster, and of the owners of leases, which contain them.

A name is never used again: what has a lease and no living actor is dead.
"""

from typing import Final
from uuid import uuid4

COORDINATOR: Final = "conductor-coordinator"
HOST_PREFIX: Final = "conductor-host-"
SPLITTER_PREFIX: Final = "conductor-splitter-"

_RAY_NAMESPACE: Final = "conductor"


def new_host_name() -> str:
    """Return a name for a new host."""
    return HOST_PREFIX + uuid4().hex[:12]


def new_splitter_name() -> str:
    """Return a name for a new splitter."""
    return SPLITTER_PREFIX + uuid4().hex[:12]


def owner_name(cluster: str, actor: str) -> str:
    """Return the name by which an actor owns leases; `cluster` is the address of its head."""
    return f"{cluster}/{actor}"


def actor_of(cluster: str, owner: str) -> str | None:
    """Return the actor of this cluster that an owner is, or None if it is another process."""
    found, _, actor = owner.rpartition("/")
    is_ours = found == cluster and actor.startswith((HOST_PREFIX, SPLITTER_PREFIX))
    return actor if is_ours else None


def ray_namespace(namespace: str) -> str:
    """Return Ray's namespace for a namespace in Redis: services that share a cluster differ."""
    return f"{_RAY_NAMESPACE}-{namespace}" if namespace else _RAY_NAMESPACE
