"""`run`, `collect`, `dashboard`, `demo` and `reshard`: the service, as one process or several."""

import sys

from conductor_actors import log_events
from conductor_actors.app.process_group import ProcessGroup
from conductor_actors.app.resharding import Resharding
from conductor_actors.app.service import DashboardService, Service
from conductor_actors.app.sharding import collector_workers, dashboard_worker
from conductor_actors.app.signals import Stoppable, exit_on_stop_signals, run_until_stopped
from conductor_actors.app.startup import ServerUrls, configure, open_servers
from conductor_actors.commands.demo.background import begin_simulation, simulate_and_show
from conductor_actors.commands.demo.environment import log_to_file, with_free_ports
from conductor_actors.commands.terminal import print_stderr
from conductor_actors.errors import Unavailable
from conductor_actors.observability import probes
from conductor_actors.observability.lifecycle import LifecycleTracker
from conductor_actors.observability.metrics import CollectorMetrics
from conductor_actors.settings import Settings
from conductor_actors.settings.loading import load_settings


def run(shards: int | None) -> int:
    """Run the collector and the dashboard; return the exit code."""
    settings = _start(shards)
    with open_servers(settings) as urls:
        if _has_several_collectors(settings):
            workers = collector_workers(settings, urls, settings.shards)
            workers.append(dashboard_worker(settings, urls, settings.shards))
            return _run_resharded(settings, urls, ProcessGroup(workers))
        _collect_metrics()
        return _run_resharded(settings, urls, Service(settings, urls.redis, urls.database))


def collect(shards: int | None, until_ms: int | None) -> int:
    """Run the collector without a dashboard, until it has read up to `until_ms`, if given."""
    settings = _start(shards)
    with open_servers(settings) as urls:
        if _has_several_collectors(settings):
            workers = collector_workers(settings, urls, settings.shards)
            return _run_resharded(settings, urls, ProcessGroup(workers))
        _collect_metrics()
        lifecycle = LifecycleTracker()
        log_events.subscribe(lifecycle.observe)
        with probes.serve_probes(settings.metrics_host, settings.metrics_port, lifecycle.status):
            collector = Service(
                settings, urls.redis, urls.database, with_dashboard=False, until_ms=until_ms
            )
            return _run_resharded(settings, urls, collector)


def dashboard() -> int:
    """Run the dashboard without a collector; return the exit code."""
    settings = _start()
    with open_servers(settings) as urls:
        return run_until_stopped(DashboardService(settings, urls.redis, urls.database))


def demo(sessions: int) -> int:
    """Run the service with simulated sessions, and a scoreboard on the terminal."""
    settings = with_free_ports(load_settings())
    exit_on_stop_signals(0)
    with log_to_file(settings), open_servers(settings) as urls:
        simulation, settings = begin_simulation(urls, sessions, settings)
        service = Service(settings, urls.redis, urls.database)
        with simulate_and_show(urls.redis, simulation, settings, service.stop):
            return run_until_stopped(service)


def reshard(shards: int | None) -> int:
    """Reshard the sessions; raise `Unavailable` if that was not done."""
    settings = _start(shards, exit_code_if_stopped=1)
    with open_servers(settings) as urls:
        resharding = Resharding(settings, urls, settings.shards)
        exit_code = run_until_stopped(resharding)
    if exit_code == 0 and not resharding.is_done:
        raise Unavailable("stopped before the sessions moved: their shards are unchanged")
    if exit_code == 0:
        print_stderr(f"the sessions are shared by {settings.shards}")
    return exit_code


def _start(shards: int | None = None, *, exit_code_if_stopped: int = 0) -> Settings:
    """Return the settings, with the number of shards from the command line, if given."""
    settings = configure(sys.stdout)
    exit_on_stop_signals(exit_code_if_stopped)
    return settings if shards is None else settings.model_copy(update={"shards": shards})


def _has_several_collectors(settings: Settings) -> bool:
    return settings.shards > 1 and settings.shard is None


def _run_resharded(settings: Settings, urls: ServerUrls, service: Stoppable) -> int:
    """Reshard the sessions if this process starts all collectors; then run the service."""
    if settings.shard is not None:
        return run_until_stopped(service)
    resharding = Resharding(settings, urls, settings.shards, optional=True)
    return run_until_stopped(resharding, service)


def _collect_metrics() -> None:
    log_events.subscribe(CollectorMetrics().observe)
