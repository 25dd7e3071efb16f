"""The coordinator of a cluster, as an actor of Ray: one, on the head, restarted for ever."""

import threading
from contextlib import ExitStack, closing
from typing import Any, Final

from conductor_actors.cluster.actor_names import COORDINATOR
from conductor_actors.cluster.actor_process import actor_process
from conductor_actors.cluster.coordinator import Coordinator, Progress
from conductor_actors.cluster.host_messages import ServiceParameters
from conductor_actors.cluster.living_actors import LivingActors
from conductor_actors.cluster.ray_engine import RayEngine
from conductor_actors.cluster.ray_view import cluster_address, read_view
from conductor_actors.cluster.status_publisher import StatusPublisher

HEAD_RESOURCE: Final = "node:__internal_head__"  # which the head alone has; an affinity is a hint
COORDINATOR_THREADS: Final = 4  # of Ray, for calls of commands


class CoordinatorActor:
    """Runs a `Coordinator` on a thread. Commands call it; they may do so again and again."""

    def __init__(self, parameters: ServiceParameters) -> None:
        self._parameters = parameters
        cleanup = ExitStack()
        cleanup.enter_context(actor_process(parameters))
        living = LivingActors(cluster_address(), read_view)
        publisher = cleanup.enter_context(closing(StatusPublisher(parameters.urls.redis)))
        engine = RayEngine(parameters, living)
        self._coordinator = Coordinator(parameters.settings, engine, publisher.publish)
        self._lock = threading.Lock()
        self._cleanup = cleanup
        threading.Thread(target=self._run, name="coordinator", daemon=True).start()

    def has_parameters(self, parameters: ServiceParameters) -> bool:
        """Return whether the cluster was created with these settings and servers."""
        return parameters == self._parameters

    def progress(self) -> Progress:
        """Return how far the cluster has come."""
        with self._lock:
            return self._coordinator.progress()

    def leave(self, node: str) -> int:
        """Empty a node; return how many partitions and splitters have not left it for another."""
        with self._lock:
            return self._coordinator.leave(node)

    def drain(self) -> int:
        """Drain everything; return how many partitions and splitters are left."""
        with self._lock:
            return self._coordinator.drain()

    def kill_all(self) -> None:
        """Kill every host and splitter."""
        with self._lock:
            self._coordinator.kill_all()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            with self._lock:
                self._coordinator.step()
                interval_s = self._coordinator.interval_s()
            pause.wait(interval_s)


def find_coordinator(ray: Any) -> Any | None:  # noqa: ANN401 - Ray may be missing, so its types are
    """Return the coordinator of the cluster; None if there is none."""
    try:
        return ray.get_actor(COORDINATOR)
    except ValueError:
        return None


def create_coordinator(ray: Any, parameters: ServiceParameters) -> Any:  # noqa: ANN401 - the same
    """Return the coordinator of the cluster, created if there is none.

    It takes no CPU. It is on the head, without which it could do nothing: so the loss of another
    node costs no time to replace it.
    """
    options: dict[str, Any] = {
        "name": COORDINATOR,
        "lifetime": "detached",
        "get_if_exists": True,
        "num_cpus": 0,
        "resources": {HEAD_RESOURCE: 0.001},
        "max_restarts": -1,
        "max_task_retries": -1,
        "max_concurrency": COORDINATOR_THREADS,
    }
    return ray.remote(CoordinatorActor).options(**options).remote(parameters)
