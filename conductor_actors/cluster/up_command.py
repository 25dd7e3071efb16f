"""`cluster up`: create the service on a cluster, and wait until it scores every session."""

from collections.abc import Callable
from threading import Event

from conductor_actors.app.startup import ServerUrls
from conductor_actors.cluster.cluster_client import connected
from conductor_actors.cluster.coordinator import Progress
from conductor_actors.cluster.host_messages import ServiceParameters
from conductor_actors.cluster.preparation_steps import prepare_cluster
from conductor_actors.cluster.require_ray import check_ray
from conductor_actors.settings import Settings


def bring_up(settings: Settings, urls: ServerUrls, print_line: Callable[[str], None]) -> None:
    """Create the service; print a line when what it waits for changes.

    Raise `ConfigError` for what the operator must change, `Unavailable` if there is no cluster.
    """
    check_ray()
    with connected(settings.namespace) as client:
        prepare_cluster(settings, urls, Event())
        client.bring_up(ServiceParameters(settings, urls), _ProgressLines(print_line).report)


class _ProgressLines:
    """Prints what `up` waits for, and why partitions fail, each once."""

    def __init__(self, print_line: Callable[[str], None]) -> None:
        self._print = print_line
        self._printed = ""
        self._problems: set[str] = set()

    def report(self, progress: Progress) -> None:
        missing, hosts, problems = progress
        for problem in set(problems) - self._problems:
            self._print(problem)
        self._problems |= set(problems)
        line = "" if hosts or not missing else "waiting for a node with a CPU"
        if line and line != self._printed:
            self._print(line)
        self._printed = line
