"""The engine: Ray."""

from collections.abc import Sequence
from typing import Any

from conductor_actors.cluster.host import HOST_THREADS, Host
from conductor_actors.cluster.host_messages import (
    ActorCommand,
    ActorReply,
    EngineView,
    Node,
    ServiceParameters,
)
from conductor_actors.cluster.living_actors import LivingActors
from conductor_actors.cluster.require_ray import require_ray
from conductor_actors.cluster.splitter_actor import SplitterActor


class RayEngine:
    """Actors of Ray: detached, with names, and never restarted by Ray.

    A restarted actor would have the name of its predecessor, so nobody could tell which of the two
    has a lease. The coordinator creates another one instead.
    """

    def __init__(self, parameters: ServiceParameters, living: LivingActors) -> None:
        self._ray = require_ray()
        self._parameters = parameters
        self._living = living
        self._actors: dict[str, Any] = {}
        self._calls: dict[Any, str] = {}
        self._failed: list[ActorReply] = []

    def view(self) -> EngineView:
        """Return what was alive when Ray last answered."""
        return self._living.view()

    def create_host(self, name: str, node: Node, cpus: float) -> None:
        """Create a host on a node."""
        self._create(Host, name, node, num_cpus=cpus)

    def create_splitter(self, name: str, node: Node) -> None:
        """Create a splitter on a node."""
        self._create(SplitterActor, name, node, num_cpus=0)

    def send(self, name: str, command: ActorCommand) -> None:
        """Call an actor."""
        try:
            actor = self._actors.get(name) or self._ray.get_actor(name)
        except ValueError:  # Ray does not know it any more
            self._failed.append(ActorReply(name, None, is_dead=True))
            return
        self._actors[name] = actor
        self._calls[actor.exchange.remote(command)] = name

    def replies(self) -> Sequence[ActorReply]:
        """Return the replies that have come."""
        failed, self._failed = self._failed, []
        calls = list(self._calls)
        done, _ = self._ray.wait(calls, num_returns=len(calls), timeout=0) if calls else ([], [])
        return failed + [self._reply(call) for call in done]

    def kill(self, name: str) -> None:
        """Kill an actor and its process."""
        actor = self._actors.pop(name, None)
        try:
            self._ray.kill(actor or self._ray.get_actor(name))
        except (ValueError, self._ray.exceptions.RayError):  # it is dead already
            return

    def request_cpus(self, count: int) -> None:
        """Request that there be nodes with so many CPUs."""
        from ray.autoscaler.sdk import request_resources  # noqa: PLC0415 - Ray may be missing

        request_resources(bundles=[{"CPU": 1}] * count)

    def _create(self, kind: type, name: str, node: Node, num_cpus: float) -> None:
        strategies = self._ray.util.scheduling_strategies
        options = {
            "name": name,
            "lifetime": "detached",
            "num_cpus": num_cpus,
            "max_restarts": 0,
            "max_task_retries": 0,
            "max_concurrency": HOST_THREADS,
            "scheduling_strategy": strategies.NodeAffinitySchedulingStrategy(node.id, soft=False),
        }
        remote = self._ray.remote(kind).options(**options)
        self._actors[name] = remote.remote(name, self._parameters)

    def _reply(self, call: Any) -> ActorReply:  # noqa: ANN401 - a reference of Ray's
        name = self._calls.pop(call)
        try:
            return ActorReply(name, self._ray.get(call))
        except self._ray.exceptions.ActorDiedError:
            self._actors.pop(name, None)
            return ActorReply(name, None, is_dead=True)
        except self._ray.exceptions.RayError:  # it can't be reached, for now
            return ActorReply(name, None)
