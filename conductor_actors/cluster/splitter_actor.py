"""The splitter, as an actor of Ray: it reads all events and writes them to the partitions.

It takes no CPU of its node. Splitting costs a few microseconds an event, so that a core of its own
would be idle most of the time, and a cluster of small nodes would lack a host.
"""

import os
import threading
from contextlib import ExitStack

from conductor_actors.actors.supervisor import EXIT_FAILED
from conductor_actors.app.splitter import SplitterService
from conductor_actors.cluster.actor_names import owner_name
from conductor_actors.cluster.actor_process import actor_process, served_metrics
from conductor_actors.cluster.host_messages import (
    ServiceParameters,
    SplitterCommand,
    SplitterReport,
)
from conductor_actors.cluster.living_actors import LivingActors
from conductor_actors.cluster.process_figures import Rate
from conductor_actors.cluster.ray_view import cluster_address, node_id, read_view
from conductor_actors.errors import ConfigError


class SplitterActor:
    """Answers each command with a report, at once; it splits on a thread of its own."""

    def __init__(self, name: str, parameters: ServiceParameters) -> None:
        self._cleanup = ExitStack()
        self._cleanup.enter_context(actor_process(parameters))
        self._cleanup.enter_context(served_metrics(parameters))
        self._node = node_id()
        self._living = LivingActors(cluster_address(), read_view)
        owner = owner_name(cluster_address(), name)
        self._service = SplitterService(
            parameters.settings, parameters.urls, owner, self._living.may_break
        )
        self._exit_code: int | None = None
        self._problem = ""
        self._events = Rate()
        threading.Thread(target=self._run, name="splitter", daemon=True).start()

    def exchange(self, command: SplitterCommand) -> SplitterReport:
        """Drain, if that is commanded; return the state."""
        if command.is_drained:
            self._service.stop()
        status = self._service.status()
        return SplitterReport(
            self._node,
            os.getpid(),
            "ended" if self._exit_code is not None else status.state,
            status.lag_s,
            self._events.measure(status.events),
            self._exit_code,
            self._problem,
        )

    def _run(self) -> None:
        exit_code = EXIT_FAILED  # unless it is known better
        try:
            exit_code = self._service.run()
        except ConfigError as error:
            self._problem = str(error)
        finally:
            self._exit_code = exit_code
