"""`run` and `collect` with several hosts on this machine, on a Ray of this process."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Final

from conductor_actors.actors.supervisor import EXIT_FAILED, EXIT_OK
from conductor_actors.app.service import relay_logs
from conductor_actors.app.signals import DRAIN_TIMEOUT_S, run_until_stopped
from conductor_actors.app.startup import ServerUrls
from conductor_actors.cluster.coordinator import Coordinator
from conductor_actors.cluster.dashboard_thread import DashboardThread
from conductor_actors.cluster.host_messages import ServiceParameters
from conductor_actors.cluster.living_actors import LivingActors
from conductor_actors.cluster.local_ray import local_ray
from conductor_actors.cluster.log_collector import collect_logs
from conductor_actors.cluster.preparation_steps import prepare_cluster
from conductor_actors.cluster.ray_engine import RayEngine
from conductor_actors.cluster.ray_view import cluster_address, read_view
from conductor_actors.cluster.require_ray import check_ray
from conductor_actors.cluster.status_publisher import StatusPublisher
from conductor_actors.domain.failures import RestartBudget
from conductor_actors.errors import Unavailable
from conductor_actors.log_events import DrainBegan, RestartsExhausted, ServiceStopped, emit
from conductor_actors.observability.collector_status import CollectorState, CollectorStatus
from conductor_actors.observability.probes import serve_probes
from conductor_actors.settings import Settings

DRAIN_WITHIN_S: Final = DRAIN_TIMEOUT_S - 3.0  # Ray ends in the rest


def run_local(settings: Settings, urls: ServerUrls, shards: int, *, with_dashboard: bool) -> int:
    """Run `shards` hosts, and the dashboard in this process, until a stop signal drains them.

    Return the exit code; raise `ConfigError` if Ray is not installed, or they can't start.
    """
    check_ray()
    return run_until_stopped(LocalCluster(settings, urls, shards, with_dashboard=with_dashboard))


class LocalCluster:
    """Hosts, a splitter and, if wanted, a dashboard, all on this machine."""

    def __init__(
        self, settings: Settings, urls: ServerUrls, hosts: int, *, with_dashboard: bool
    ) -> None:
        self._settings = settings.model_copy(update={"hosts_per_node": hosts, "max_hosts": 0})
        self._urls = urls
        self._dashboard = DashboardThread(settings, urls) if with_dashboard else None
        self._stop = threading.Event()
        self._budget = RestartBudget()
        self._lost_hosts = 0
        self._status = CollectorStatus("starting", ["collector: starting"])

    def stop(self) -> None:
        """Request a drain; any thread may call this, more than once."""
        self._stop.set()

    def run(self) -> int:
        """Run until `stop`, or until the dashboard or Ray fails, or hosts die too often."""
        with ExitStack() as cleanup:
            if self._settings.log_stream:
                cleanup.enter_context(relay_logs(self._urls.redis))
            cleanup.enter_context(self._served())
            try:
                prepare_cluster(self._settings, self._urls, self._stop)
            except Unavailable:  # stopped while waiting for a server
                return EXIT_OK
            coordinator = cleanup.enter_context(self._coordinator())
            exit_code = self._watch(coordinator)
            drain_exit_code = self._drain(coordinator)
        return exit_code or drain_exit_code

    @contextmanager
    def _served(self) -> Iterator[None]:
        """Serve the dashboard, or probes."""
        settings = self._settings
        with (
            self._dashboard.running()
            if self._dashboard
            else serve_probes(settings.metrics_host, settings.metrics_port, lambda: self._status)
        ):
            yield

    @contextmanager
    def _coordinator(self) -> Iterator[Coordinator]:
        with (
            local_ray(self._settings.hosts_per_node) as directory,
            collect_logs(directory) as log_socket,
            closing(LivingActors(cluster_address(), read_view)) as living,
            closing(StatusPublisher(self._urls.redis)) as publisher,
        ):
            parameters = ServiceParameters(self._settings, self._urls, log_socket)
            engine = RayEngine(parameters, living)
            yield Coordinator(self._settings, engine, publisher.publish)

    def _watch(self, coordinator: Coordinator) -> int:
        while not self._stop.wait(coordinator.interval_s()):
            coordinator.step()
            self._report(coordinator, "running")
            exit_code = self._dashboard.exit_code() if self._dashboard else None
            if exit_code is not None:
                return exit_code
            if coordinator.has_no_node() or not self._may_continue(coordinator):
                return EXIT_FAILED
        return EXIT_OK

    def _may_continue(self, coordinator: Coordinator) -> bool:
        """Spend the budget of restarts; return whether it suffices for the hosts that died."""
        while self._lost_hosts < coordinator.lost_hosts:
            self._lost_hosts += 1
            if not self._budget.spend(time.monotonic()):
                emit(RestartsExhausted(actor="host", restarts=self._budget.limit))
                return False
        return True

    def _drain(self, coordinator: Coordinator) -> int:
        """Drain all; return an exit code other than 0 if that takes too long."""
        emit(DrainBegan(within_s=DRAIN_TIMEOUT_S))
        began_s = time.monotonic()
        left = coordinator.drain()
        while left and time.monotonic() - began_s < DRAIN_WITHIN_S:
            coordinator.step()
            self._report(coordinator, "draining")
            left = coordinator.drain()
            time.sleep(coordinator.interval_s())
        exit_code = EXIT_FAILED if left else EXIT_OK
        duration_s = round(time.monotonic() - began_s, 2)
        emit(ServiceStopped(duration_s=duration_s, exit_code=exit_code))
        return exit_code

    def _report(self, coordinator: Coordinator, state: CollectorState) -> None:
        missing = len(coordinator.progress().without_owner)
        obstacles = [f"collector: {missing} partitions have no owner"] if missing else []
        self._status = CollectorStatus("starting" if missing else state, obstacles)
