"""What Ray says is alive: actors by name, and nodes."""

import time
from typing import Final

from conductor_actors.cluster.host_messages import EngineView, Node
from conductor_actors.cluster.require_ray import require_ray

VIEW_RETRY_S: Final = 1.0


def cluster_address() -> str:
    """Return the address of the cluster's head, by which all of its processes know it."""
    return str(require_ray().get_runtime_context().gcs_address)


def node_id() -> str:
    """Return the id of the node of this process."""
    return str(require_ray().get_runtime_context().get_node_id())


def read_view() -> EngineView:
    """Return what is alive; wait while the head is away."""
    ray = require_ray()
    while True:
        began_s = time.monotonic()
        try:
            names = frozenset(ray.util.list_named_actors())
            nodes = [_node(each) for each in ray.nodes() if each["Alive"]]
        except ray.exceptions.RayError:
            time.sleep(VIEW_RETRY_S)
        except (ConnectionError, RuntimeError, TimeoutError):  # the client of the head
            time.sleep(VIEW_RETRY_S)
        else:
            return EngineView(began_s, names, nodes)


def _node(found: dict[str, object]) -> Node:
    resources = found["Resources"]
    cpus = resources.get("CPU", 0.0) if isinstance(resources, dict) else 0.0
    return Node(str(found["NodeID"]), str(found["NodeManagerAddress"]), float(cpus))
