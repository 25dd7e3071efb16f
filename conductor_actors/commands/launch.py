"""`run`, `collect`, `dashboard` and `demo`: the service, as one process or several."""

import sys

from conductor_actors import log_events
from conductor_actors.app.service import DashboardService, Service
from conductor_actors.app.signals import exit_on_stop_signals, run_until_stopped
from conductor_actors.app.startup import ServerUrls, configure, open_servers
from conductor_actors.commands.demo.background import begin_simulation, simulate_and_show
from conductor_actors.commands.demo.environment import log_to_file, with_free_ports
from conductor_actors.observability import probes
from conductor_actors.observability.lifecycle import LifecycleTracker
from conductor_actors.observability.metrics import CollectorMetrics
from conductor_actors.settings import Settings
from conductor_actors.settings.loading import load_settings


def run(shards: int | None) -> int:
    """Run the collector and the dashboard; return the exit code."""
    settings = _start(shards)
    with open_servers(settings) as urls:
        if settings.shards > 1:
            return _run_hosts(settings, urls, with_dashboard=True)
        _collect_metrics()
        return run_until_stopped(Service(settings, urls.redis, urls.database))


def collect(shards: int | None) -> int:
    """Run the collector without a dashboard; return the exit code."""
    settings = _start(shards)
    with open_servers(settings) as urls:
        if settings.shards > 1:
            return _run_hosts(settings, urls, with_dashboard=False)
        _collect_metrics()
        lifecycle = LifecycleTracker()
        log_events.subscribe(lifecycle.observe)
        with probes.serve_probes(settings.metrics_host, settings.metrics_port, lifecycle.status):
            collector = Service(settings, urls.redis, urls.database, with_dashboard=False)
            return run_until_stopped(collector)


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


def _start(shards: int | None = None) -> Settings:
    """Return the settings, with the number of hosts from the command line, if given."""
    settings = configure(sys.stdout)
    exit_on_stop_signals(0)
    return settings if shards is None else settings.model_copy(update={"shards": shards})


def _run_hosts(settings: Settings, urls: ServerUrls, *, with_dashboard: bool) -> int:
    # Only here: Ray takes a quarter of a second to import, and may not be installed.
    from conductor_actors.cluster.local import run_local  # noqa: PLC0415

    return run_local(settings, urls, settings.shards, with_dashboard=with_dashboard)


def _collect_metrics() -> None:
    log_events.subscribe(CollectorMetrics().observe)
