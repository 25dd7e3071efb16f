"""What commands do with a cluster of Ray: create a service on it, empty a node, end the service.

They run on a node of the cluster, whose address is RAY_ADDRESS.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from conductor_actors.cluster.actor_names import ray_namespace
from conductor_actors.cluster.coordinator import Progress
from conductor_actors.cluster.coordinator_actor import create_coordinator, find_coordinator
from conductor_actors.cluster.host_messages import Node, ServiceParameters
from conductor_actors.cluster.ray_signals import same_signal_handlers
from conductor_actors.cluster.ray_view import node_id, read_view
from conductor_actors.cluster.require_ray import require_ray
from conductor_actors.errors import ConfigError, Unavailable

PROGRESS_INTERVAL_S: Final = 0.25
CALL_TIMEOUT_S: Final = 30.0


class ClusterClient:
    """The service on a cluster. Calls raise `Unavailable` if the coordinator does not answer."""

    def __init__(self, ray: Any) -> None:  # noqa: ANN401 - Ray may be missing, so its types are
        self._ray = ray

    def bring_up(self, parameters: ServiceParameters, report: Callable[[Progress], None]) -> None:
        """Create the service, and wait until every partition has an owner and gets events.

        Raise `ConfigError` if it exists with other settings.
        """
        coordinator = create_coordinator(self._ray, parameters)
        if not self._call(coordinator.has_parameters, parameters):
            raise ConfigError(
                "the cluster runs with other settings: set the same, or run `cluster down` first"
            )
        while True:
            progress = self._call(coordinator.progress)
            report(progress)
            if progress.is_complete:
                return
            time.sleep(PROGRESS_INTERVAL_S)

    def leave(self, node: str | None) -> None:
        """Empty a node, by default this one, and wait until nothing of the service is left on it.

        Raise `ConfigError` if it is not known. Without a service there is nothing to empty.
        """
        found = node_id() if node is None else _node_named(node).id
        coordinator = find_coordinator(self._ray)
        while coordinator is not None and self._call(coordinator.leave, found):
            time.sleep(PROGRESS_INTERVAL_S)

    def take_down(self) -> None:
        """Drain everything, and remove the service; the next one continues."""
        coordinator = find_coordinator(self._ray)
        if coordinator is None:
            return
        while self._call(coordinator.drain):
            time.sleep(PROGRESS_INTERVAL_S)
        self._call(coordinator.kill_all)
        self._ray.kill(coordinator, no_restart=True)

    def _call(self, method: Any, *arguments: object) -> Any:  # noqa: ANN401 - Ray's
        try:
            return self._ray.get(method.remote(*arguments), timeout=CALL_TIMEOUT_S)
        except self._ray.exceptions.RayError as error:
            reason = str(error).partition("\n")[0]
            raise Unavailable(f"the coordinator does not answer: {reason}") from None


@contextmanager
def connected(namespace: str) -> Iterator[ClusterClient]:
    """Connect to the cluster at RAY_ADDRESS, as a node of it; `namespace` is that in Redis.

    Raise `ConfigError` if Ray is not installed, `Unavailable` if the cluster can't be reached.
    """
    ray = require_ray()
    try:
        with same_signal_handlers():
            ray.init(
                address="auto",
                namespace=ray_namespace(namespace),
                log_to_driver=False,
                configure_logging=False,
            )
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        reason = str(error).partition("\n")[0]
        raise Unavailable(f"RAY_ADDRESS: no node of a Ray cluster: {reason}") from None
    try:
        yield ClusterClient(ray)
    finally:
        ray.shutdown()


def _node_named(name: str) -> Node:
    """Return the node with this address, or the beginning of this id."""
    nodes = read_view().nodes
    found = [node for node in nodes if node.address == name or node.id.startswith(name)]
    if len(found) != 1:
        known = ", ".join(sorted(node.address for node in nodes))
        raise ConfigError(f"{name} is no node of the cluster; they are: {known}")
    return found[0]
