"""`cluster up`: create the service on a cluster, and wait until it scores every session."""

import time
from collections.abc import Callable
from threading import Event
from typing import Final

from conductor_actors.app.startup import ServerUrls
from conductor_actors.cluster.cluster_client import connected
from conductor_actors.cluster.coordinator import Progress
from conductor_actors.cluster.host_messages import ServiceParameters
from conductor_actors.cluster.preparation_steps import prepare_cluster
from conductor_actors.cluster.require_ray import check_ray
from conductor_actors.settings import Settings

USUAL_START_S: Final = 5.0  # nothing is said before


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
        self._began_s = time.monotonic()
        self._problems: set[str] = set()

    def report(self, progress: Progress) -> None:
        for problem in set(progress.problems) - self._problems:
            self._print(problem)
        self._problems |= set(progress.problems)
        if progress.waits_for and progress.waits_for != self._printed and self._waits_long():
            self._printed = progress.waits_for
            self._print(f"waiting for {progress.waits_for}")

    def _waits_long(self) -> bool:
        return time.monotonic() - self._began_s > USUAL_START_S
